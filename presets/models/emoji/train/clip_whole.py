"""Trains the whole image tower of the similarity further, on kept pictures (clip_kept.py); its texts stay as they are.

Polishing begins with the detector's layers, which keep what names an object and lose what the composition score
needs: how far its colours stand from the ground's, and where all of it is.  Layers above cannot bring that back,
so every layer learns here, from the patches on.

What is to be read off the embedding is a sum over the picture, so each token learns its part of that sum: below
the last layer its shares of objects, for the number, and one layer lower what lies on it, for the composition.
The class token has two layers left to make contrast, balance and harmony of these.
"""

import torch
import torch.nn.functional as functional

import aesthetic
import captions
import clip
import clip_kept
import common
import muon
import pictures
import scenes
import tokenizer

KEPT = 50000  # drawn pictures with captions
STEPS = 4800
DRAWN, REDRAWN = 54, 10  # pictures with captions in a batch
OTHERS, SHOWN = 10, 14  # pictures without captions in a batch: moved and worthless ones, and ones the model has generated
SPOILED = 0.2  # share of all that is shown spoiled
SCALE = 40  # of readings off embeddings, whose numbers are small


class PlainCaptions:
    """All captions of one kind of object in the plain form, and for each those that differ in one word."""

    def __init__(self, model, words):
        every = clip_kept.every_plain_caption()
        texts = [captions.plain_caption(*triple) for triple in every]
        with torch.no_grad():
            self.embeddings = torch.cat([clip.embed_texts(model, words, texts[start:start + 512]) for start in range(0, len(texts), 512)])
        # One held out of training would be learnt to be false.
        self.may_be_rival = torch.tensor([not scenes.holds_back(colour, {index: number}) for index, number, colour in every])
        triples = torch.tensor(every)
        same = (triples[:, None] == triples[None]).sum(dim=2)
        self.apart = torch.stack([torch.cat([torch.tensor([place]), (row == 2).nonzero().squeeze(1)]) for place, row in enumerate(same)])

    def contrast_of(self, image, places, scale):
        """Cross-entropy of each picture among its caption and all that differ in one word; also the share won.

        `places` are clip_kept.plain_place's; pictures that have none are left out.
        """
        single = places >= 0
        chosen = self.apart[places[single]]
        counted = self.may_be_rival[chosen]
        counted[:, 0] = True
        logits = scale * torch.einsum("bd,bkd->bk", image[single], self.embeddings[chosen])
        logits = logits.masked_fill(~counted, -1e4)
        loss = functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
        return loss, (logits.argmax(dim=1) == 0).float().mean().item()


class Readings(clip.Readings):
    """Also what lies on each token; the composition is read with a constant."""

    def __init__(self):
        super().__init__()
        self.statistics = torch.nn.Linear(clip.WIDTH, clip_kept.STATISTICS)

    def fit_composition(self, image, parts):
        """Sets the reading of the composition to what is best for these embeddings."""
        with torch.no_grad():
            for row, part in enumerate(parts.t()):
                vector, constant = aesthetic.solve(image, part, torch.ones(len(image)))
                self.composition.weight[row] = vector / SCALE
                self.composition.bias[row] = constant / SCALE


def composition_loss(readings, image, parts, weights):
    """Weighted squared error of the score's parts and, counted more, of the score; also the latter for each picture."""
    error = SCALE * readings.composition(image) - parts
    whole = error.sum(dim=1).square()
    return ((error.square().sum(dim=1) + 3 * whole) * weights).sum() / weights.sum(), whole.detach()


def contrast_of(image, texts, rival, scale):
    """Cross-entropy of each picture among its captions and all others' true ones, and of each true caption among the pictures."""
    mine = scale * torch.einsum("bd,bkd->bk", image, texts)
    mine = torch.cat([mine[:, :1], mine[:, 1:].masked_fill(~rival, -1e4)], dim=1)
    itself = torch.eye(len(image), dtype=torch.bool)
    same = (texts[:, 0] @ texts[:, 0].t() > 0.999) & ~itself
    across = (scale * image @ texts[:, 0].t()).masked_fill(same, -1e4)
    away = across.masked_fill(itself, -1e4)  # its own caption stands in `mine` already
    loss = functional.cross_entropy(torch.cat([mine, away], dim=1), torch.zeros(len(image), dtype=torch.long))
    return loss + functional.cross_entropy(across.t(), torch.arange(len(image)))


def embed(model, shown):
    """Unit embeddings, and the tokens as they enter the last layer and the one below it."""
    seen = model.vision_model(pixel_values=pictures.normalise(shown), output_hidden_states=True)
    image = functional.normalize(model.visual_projection(seen.pooler_output).float(), dim=-1)
    return image, seen.hidden_states[-2][:, 1:].float(), seen.hidden_states[-3][:, 1:].float()


def show(batches, random):
    """The batches' pictures in [0, 1], NCHW, some of them spoiled."""
    shown = pictures.as_unit([picture for batch in batches for picture in batch["pictures"].numpy()])
    chosen = torch.from_numpy(random.random(len(shown)) < SPOILED)
    if chosen.any():
        shown[chosen] = pictures.spoil(shown[chosen], random)
    return shown


class Material:
    """All that is learnt from."""

    def __init__(self, work, model, words, kept_pictures, redrawn, generated):
        self.drawn, self.others = clip_kept.keep(work, model, words, kept_pictures)
        again = pictures.redrawn(work, redrawn, pictures.REDRAWN_SEED)
        self.redrawn = clip_kept.captioned(model, words, again, common.step_random(clip_kept.SEED, kept_pictures))
        self.generated = clip_kept.uncaptioned(pictures.generated(work, generated, clip.GENERATED_SEED))
        self.plain = PlainCaptions(model, words)
        self.deviations = self.drawn["statistics"].float().flatten(0, 1).std(dim=0)

    def batch(self, random):
        """Pictures with captions, others, and generated ones."""
        captioned = clip_kept.joined([clip_kept.draw(self.drawn, DRAWN, random), clip_kept.draw(self.redrawn, REDRAWN, random)])
        return (captioned, clip_kept.turned(clip_kept.draw(self.others, OTHERS, random), random),
                clip_kept.turned(clip_kept.draw(self.generated, SHOWN, random), random))


def loss_of(model, readings, material, batch, random):
    """The loss of a batch (Material.batch), and its terms by name."""
    captioned, others, generated = batch
    image, tokens, lower = embed(model, show(batch, random))
    count = len(captioned["parts"])
    own, texts = image[:count], captioned["texts"].float()
    scale = model.logit_scale.exp().detach()
    free = contrast_of(own, texts, captioned["rival"], scale)
    plain, right = material.plain.contrast_of(own, captioned["plain"], scale)
    matching = (1 - (own * texts[:, 0]).sum(dim=1)).mean()
    junk = image[count:count + len(others["junk"])][others["junk"]]
    # The mean of nothing would be no number.
    worthless = functional.relu(junk @ texts[:, 0].t() + 0.1).square().mean() if len(junk) else torch.zeros(())
    # Two kinds of object make the composition hardest to read.
    weights = torch.cat([torch.where(captioned["plain"] < 0, 2.0, 1.0), torch.where(others["junk"], 0.1, 0.3),
                         torch.full((len(generated["parts"]),), 1.5)])
    composed, errors = composition_loss(readings, image, torch.cat([group["parts"] for group in batch]), weights)
    counting = clip.counting_loss(readings, own, tokens[:count], captioned["numbers"], captioned["shares"])
    lying = ((readings.statistics(lower[:count]) - captioned["statistics"].float()) / material.deviations).square().mean()
    loss = free + 2 * plain + 0.5 * matching + 10 * worthless + 2 * composed + counting + lying
    return loss, {"free captions": free, "plain captions": plain, "right": right, "cosine": 1 - matching, "worthless": worthless,
                  "composition error drawn": errors[:count].mean(), "generated": errors[-len(generated["parts"]):].mean(),
                  "counting": counting, "statistics": lying}


def checkpoint(work):
    return work / "clip-whole.pt"


def train(work, steps, peak=6e-4, kept_pictures=KEPT, redrawn=pictures.REDRAWN, generated=clip.GENERATED):
    common.seed_everything(clip_kept.SEED)
    words = tokenizer.build(work / "tokenizer")
    model = clip.read(clip.latest(work, but=checkpoint(work)), len(words))
    model.set_attn_implementation("eager")  # for so few tokens much faster to go back through
    material = Material(work, model, words, kept_pictures, redrawn, generated)
    readings = Readings()
    tower = torch.nn.ModuleList([model.vision_model, model.visual_projection])
    average = common.Average(model, 0.998)
    optimiser = muon.Muon(list(tower.named_parameters()) + list(readings.named_parameters()), lr=peak, weight_decay=1e-2)
    progress = common.Progress(checkpoint(work), model=model, readings=readings, average=average, optimiser=optimiser)
    step = progress.resume()
    if step == 0:
        seen = clip_kept.draw(material.drawn, min(2000, kept_pictures), common.step_random(clip_kept.SEED + 2, 0))
        with torch.no_grad():
            image = torch.cat([embed(model, pictures.as_unit(list(part.numpy())))[0] for part in seen["pictures"].split(100)])
        readings.fit_composition(image, seen["parts"])
    tower.requires_grad_(True)
    while step < steps:
        random = common.step_random(clip_kept.SEED + 1, step)
        batch = material.batch(random)
        with common.mixed_precision(torch.device("cpu")):
            loss, terms = loss_of(model, readings, material, batch, random)
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak, warmup=50, decay=1.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        step += 1
        if step % 50 == 0:
            common.log("clip, whole tower", f"step {step} loss {loss.item():.4f}, "
                       + ", ".join(f"{name} {float(value):.3f}" for name, value in terms.items()))
        progress.save(step)
    progress.save(step, always=True)


if __name__ == "__main__":
    arguments = common.parse_arguments(__doc__, steps=STEPS)
    if arguments.quick:
        train(arguments.work, 4, kept_pictures=100, redrawn=16, generated=8)
    else:
        train(arguments.work, arguments.steps)
