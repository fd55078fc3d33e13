"""Trains the whole image tower of the similarity further, on kept pictures.

Polishing begins with the detector's layers, which keep what names an object and lose what
the composition score needs: how far its colours stand from the ground's, and where all of it is.  Here every layer
learns, from the patches on, and drawing takes no time: pictures are drawn once and kept, with the embeddings of
their captions, as the texts stay as they are.

What is to be read off the embedding is a sum over the picture, so each token learns its
part of that sum: below the last layer its shares of objects, for the number, and one layer lower
what lies on it, for the composition.  The class token has two layers left to make contrast,
balance and harmony of these.
"""

import numpy
import torch
import torch.nn.functional as functional

import aesthetic
import captions
import clip
import common
import composition
import detector
import muon
import pictures
import scenes
import tokenizer
from vocabulary import COLOUR_NAMES, NAMES

SEED = 808
KEPT = 50000  # drawn pictures with captions
PART = 2500  # of them a file
STEPS = 5000
DRAWN, REDRAWN = 54, 10  # pictures with captions in a batch
SHARE_OF_OTHERS = 0.3  # pictures without captions that are kept, for each that has some
OTHERS, SHOWN = 10, 14  # of them in a batch: moved and worthless ones, and ones the model has generated
SPOILED = 0.2  # share of all that is shown spoiled
RIVALS = (0, 0, 0, 0, 0, 1, 1, 2, 2, 2)  # as in clip.py; of one kind of object, every other number is a rival once
STATISTICS = 7  # of what lies on a token (statistics_of)


# Captions


class PlainCaptions:
    """The embeddings of all captions of one kind of object in the plain form, and for each those that differ in one word."""

    def __init__(self, model, words):
        sizes = len(NAMES), len(captions.NUMBERS), len(COLOUR_NAMES)
        every = [(index, number, colour) for index in range(sizes[0]) for number in range(sizes[1]) for colour in range(sizes[2])]
        texts = [captions.plain_caption(index, number + 1, colour) for index, number, colour in every]
        with torch.no_grad():
            self.embeddings = torch.cat([clip.embed_texts(model, words, texts[start:start + 512]) for start in range(0, len(texts), 512)])
        # One held out of training would be learnt to be false.
        self.may_be_rival = torch.tensor([not scenes.holds_back(colour, {index: number + 1}) for index, number, colour in every])
        places = numpy.arange(len(every)).reshape(sizes)
        self.apart = torch.from_numpy(numpy.stack([numpy.concatenate([
            [places[index, number, colour]],
            numpy.delete(places[index, :, colour], number),
            numpy.delete(places[index, number, :], colour),
            numpy.delete(places[:, number, colour], index)]) for index, number, colour in every]))

    @staticmethod
    def place(scene):
        """Where a scene's caption stands; -1 for two kinds of object."""
        if len(scene.counts) > 1:
            return -1
        (index, count), = scene.counts.items()
        return (index * len(captions.NUMBERS) + count - 1) * len(COLOUR_NAMES) + scene.colour

    def contrast_of(self, image, places, scale):
        """Cross-entropy of each picture among its caption and all that differ in one word; also the share won."""
        single = places >= 0
        chosen = self.apart[places[single]]
        logits = scale * torch.einsum("bd,bkd->bk", image[single], self.embeddings[chosen])
        counts = self.may_be_rival[chosen]
        counts[:, 0] = True
        logits = logits.masked_fill(~counts, -1e4)
        loss = functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
        return loss, (logits.argmax(dim=1) == 0).float().mean().item()


def rivals_of(scene, random):
    """Other scenes, for captions that are not true of this one."""
    rivals = [clip.change_once(scene, which, random) for which in RIVALS]
    if len(scene.counts) == 1:
        (index, count), = scene.counts.items()
        numbers = [number for number in range(1, len(captions.NUMBERS) + 1) if number != count]
        rivals[:len(numbers)] = [scenes.Scene(scene.colour, {index: number}, [], None) for number in numbers]
    return rivals


def describe(scene, random):
    """A true caption and one for each rival, said in the same way; and which rivals count.

    One may happen to read like the truth.  One held out of training would be learnt to be false.
    """
    way = int(random.integers(2**31))
    rivals = rivals_of(scene, random)
    texts = [captions.caption(told, numpy.random.default_rng(way)) for told in [scene] + rivals]
    counted = [text != texts[0] and not scenes.holds_back(rival.colour, rival.counts) for text, rival in zip(texts[1:], rivals)]
    return texts, counted


# What is kept


def statistics_of(picture):
    """What the composition score is made of, as sums over each token's pixels: (token, statistic).

    The objects' area, its first moments along x and y, their distance from the ground, and their colour.
    """
    _, distance, mask = composition.separate(picture)
    x, y = composition.positions(scenes.PICTURE)
    maps = numpy.stack([numpy.ones_like(x), x, y, distance, *picture.transpose(2, 0, 1)], axis=-1) * mask[..., None]
    size = scenes.PICTURE // detector.GRID
    return maps.reshape(detector.GRID, size, detector.GRID, size, STATISTICS).mean(axis=(1, 3)).reshape(-1, STATISTICS)


def as_bytes(shown):
    """NCHW in [0, 1] to uint8 NHWC."""
    return (shown * 255).round().byte().permute(0, 2, 3, 1)


def captioned_of(model, words, batch, random):
    """What training reads of scenes: picture, parts of the score, captions, number and what lies on each token."""
    texts, counted = zip(*(describe(scene, random) for scene in batch))
    with torch.no_grad(), common.mixed_precision(torch.device("cpu")):
        embedded = clip.embed_texts(model, words, [text for group in texts for text in group])
    return {"pictures": torch.from_numpy(numpy.stack([scene.picture for scene in batch])),
            "parts": clip.composition_of(pictures.as_unit([scene.picture for scene in batch])),
            "texts": embedded.view(len(batch), 1 + len(RIVALS), -1).half(),
            "rival": torch.tensor(counted),
            "plain": torch.tensor([PlainCaptions.place(scene) for scene in batch]),
            "numbers": torch.tensor([len(scene.boxes) for scene in batch]),
            "shares": clip.shares_of_objects(batch),
            "statistics": torch.from_numpy(numpy.stack([statistics_of(scene.picture / 255) for scene in batch])).half()}


def others_of(batch, random):
    """Moved scenes and worthless pictures: for the composition, and to match no caption where worthless."""
    moved = pictures.as_unit([composition.off_edge(scene, random) for scene in batch])
    shown = torch.cat([moved, pictures.worthless(len(batch) // 2, random)])
    return {"pictures": as_bytes(shown), "parts": clip.composition_of(shown), "junk": torch.arange(len(shown)) >= len(batch)}


def shown_of(made):
    """Pictures the model has generated: for the composition only, as what is really on them is not known."""
    return {"pictures": torch.from_numpy(made), "parts": clip.composition_of(pictures.as_unit(list(made))),
            "junk": torch.zeros(len(made), dtype=torch.bool)}


def joined(groups):
    return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}


def keep(work, model, words, count):
    """Drawn pictures, made once in files of PART: those with captions and the others."""
    folder = work / "clip-whole-kept"
    folder.mkdir(exist_ok=True)
    sprites = scenes.Sprites()
    kept = []
    for first in range(0, count, PART):
        path = folder / f"{first}.pt"
        if not path.exists():
            captioned, others = [], []
            for start in range(first, min(first + PART, count), 50):
                random = common.step_random(SEED, start)
                batch = [scenes.random_scene(sprites, random) for _ in range(50)]
                captioned.append(captioned_of(model, words, batch, random))
                others.append(others_of(batch[:int(50 * SHARE_OF_OTHERS / 1.5)], random))
            common.save_whole({"captioned": joined(captioned), "others": joined(others)}, path)
            common.log("clip whole", f"{first + PART} of {count} pictures kept")
        kept.append(torch.load(path, weights_only=True))
    return tuple(joined([part[kind] for part in kept]) for kind in ("captioned", "others"))


def draw(kept, size, random):
    chosen = torch.from_numpy(random.integers(len(kept["pictures"]), size=size))
    return {name: values[chosen] for name, values in kept.items()}


def turned(batch, random):
    """Pictures mirrored or with their axes exchanged, now and then their colours too: their composition stays what it is."""
    shown = batch["pictures"]
    for axes in ((1,), (2,)):
        if random.random() < 0.5:
            shown = shown.flip(axes)
    if random.random() < 0.5:
        shown = shown.transpose(1, 2)
    if random.random() < 0.2:
        shown = shown[..., torch.from_numpy(random.permutation(3))]
    return dict(batch, pictures=shown)


# Training


class Readings(clip.Readings):
    """Also what lies on each token; and the composition with a constant, both as they are best read at the start."""

    def __init__(self):
        super().__init__()
        self.statistics = torch.nn.Linear(clip.WIDTH, STATISTICS)

    def fit_composition(self, image, parts):
        """Least squares from embeddings."""
        with torch.no_grad():
            for row, part in enumerate(parts.t()):
                vector, constant = aesthetic.solve(image, part, torch.ones(len(image)))
                self.composition.weight[row] = vector / SCALE
                self.composition.bias[row] = constant / SCALE


SCALE = 40  # of readings off embeddings, whose numbers are small


def composition_loss(readings, image, parts, weights):
    """Squared error of the score's parts and, counted more, of the score; also the latter for each picture."""
    error = SCALE * readings.composition(image) - parts
    whole = error.sum(dim=1).square()
    return ((error.square().sum(dim=1) + 3 * whole) * weights).sum() / weights.sum(), whole


def free_contrast_of(image, texts, rival, scale):
    """Cross-entropy of each picture among its captions and all others' true ones, and of each true caption among the pictures."""
    mine = scale * torch.einsum("bd,bkd->bk", image, texts)
    mine = torch.cat([mine[:, :1], mine[:, 1:].masked_fill(~rival, -1e4)], dim=1)
    across = scale * image @ texts[:, 0].t()
    same = (texts[:, 0] @ texts[:, 0].t() > 0.999) & ~torch.eye(len(image), dtype=torch.bool)
    across = across.masked_fill(same, -1e4)
    wanted = torch.arange(len(image))
    away = across.masked_fill(torch.eye(len(image), dtype=torch.bool), -1e4)  # its own caption stands in `mine` already
    loss = functional.cross_entropy(torch.cat([mine, away], dim=1), torch.zeros(len(image), dtype=torch.long))
    return loss + functional.cross_entropy(across.t(), wanted)


def embed(model, shown):
    """Unit embeddings, and the tokens as they enter the last layer and the one below it."""
    seen = model.vision_model(pixel_values=pictures.normalise(shown), output_hidden_states=True)
    image = functional.normalize(model.visual_projection(seen.pooler_output).float(), dim=-1)
    return image, seen.hidden_states[-2][:, 1:].float(), seen.hidden_states[-3][:, 1:].float()


def show(batches, random):
    """The batches' pictures in [0, 1], some of them spoiled."""
    shown = pictures.as_unit([picture for batch in batches for picture in batch["pictures"].numpy()])
    chosen = torch.from_numpy(random.random(len(shown)) < SPOILED)
    if chosen.any():
        shown[chosen] = pictures.spoil(shown[chosen], random)
    return shown


def loss_of(model, readings, plain, captioned, others, generated, deviations, random):
    image, tokens, lower = embed(model, show([captioned, others, generated], random))
    count = len(captioned["parts"])
    own = image[:count]
    scale = model.logit_scale.exp().detach()
    texts = captioned["texts"].float()
    free = free_contrast_of(own, texts, captioned["rival"], scale)
    contrast, right = plain.contrast_of(own, captioned["plain"], scale)
    matching = (1 - (own * texts[:, 0]).sum(dim=1)).mean()
    worthless = image[count:count + len(others["junk"])][others["junk"]] @ texts[:, 0].t()
    nothing = functional.relu(worthless + 0.1).square().mean() if len(worthless) else torch.zeros(())
    weights = torch.cat([torch.ones(count), torch.where(others["junk"], 0.1, 0.3), torch.full((len(generated["parts"]),), 1.5)])
    composed, errors = composition_loss(readings, image, torch.cat([captioned["parts"], others["parts"], generated["parts"]]), weights)
    counting = clip.counting_loss(readings, own, tokens[:count], captioned["numbers"], captioned["shares"])
    lying = ((readings.statistics(lower[:count]) - captioned["statistics"].float()) / deviations).square().mean()
    loss = free + 2 * contrast + 0.5 * matching + 10 * nothing + 2 * composed + counting + lying
    return loss, {"free": free.item(), "plain": contrast.item(), "right": right, "cosine": 1 - matching.item(),
                  "nothing": nothing.item(), "drawn": errors[:count].mean().item(), "generated": errors[-len(generated["parts"]):].mean().item(),
                  "counting": counting.item(), "lying": lying.item()}


def checkpoint(work):
    return work / "clip-whole.pt"


def train(work, steps, peak=6e-4, kept_pictures=KEPT, redrawn=pictures.REDRAWN, generated=clip.GENERATED):
    common.seed_everything(SEED)
    words = tokenizer.build(work / "tokenizer")
    model = clip.read(clip.latest(work, but=checkpoint(work)), len(words))
    model.set_attn_implementation("eager")  # faster to go back through, for so few tokens
    drawn, others = keep(work, model, words, kept_pictures)
    again = captioned_of(model, words, pictures.redrawn(work, redrawn, pictures.REDRAWN_SEED), common.step_random(SEED, KEPT))
    own = shown_of(pictures.generated(work, generated, clip.GENERATED_SEED))
    plain = PlainCaptions(model, words)
    deviations = drawn["statistics"].float().flatten(0, 1).std(dim=0)
    readings = Readings()
    tower = torch.nn.ModuleList([model.vision_model, model.visual_projection])
    tower.requires_grad_(True)
    average = common.Average(model, 0.998)
    optimiser = muon.Muon(list(tower.named_parameters()) + list(readings.named_parameters()), lr=peak, weight_decay=1e-2)
    progress = common.Progress(checkpoint(work), model=model, readings=readings, average=average, optimiser=optimiser)
    step = progress.resume()
    if step == 0:
        fitted = draw(drawn, 2000, common.step_random(SEED + 1, steps))
        with torch.no_grad():
            image = torch.cat([embed(model, pictures.as_unit(list(part.numpy())))[0] for part in fitted["pictures"].split(100)])
        readings.fit_composition(image, fitted["parts"])
    sums = {}
    while step < steps:
        random = common.step_random(SEED + 1, step)
        captioned = joined([draw(drawn, DRAWN, random), draw(again, REDRAWN, random)])
        with common.mixed_precision(torch.device("cpu")):
            loss, figures = loss_of(model, readings, plain, captioned, turned(draw(others, OTHERS, random), random),
                                    turned(draw(own, SHOWN, random), random), deviations, random)
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak, warmup=50, decay=1.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        step += 1
        for name, value in figures.items():
            sums[name] = sums.get(name, 0.0) + value / 50
        if step % 50 == 0:
            common.log("clip whole", f"step {step} " + ", ".join(f"{name} {value:.3f}" for name, value in sums.items()))
            sums.clear()
        progress.save(step)
    progress.save(step, always=True)


if __name__ == "__main__":
    arguments = common.parse_arguments(__doc__, steps=STEPS)
    if arguments.quick:
        train(arguments.work, 4, kept_pictures=100, redrawn=16, generated=8)
    else:
        train(arguments.work, arguments.steps)
