"""Trains the similarity's upper layers further, on kept states of the lower ones.

The last layers count and carry the composition; they learn slowly, and most of a
training step goes into drawing pictures and into the layers below and the texts, which
know enough.  So those run once for some thousand pictures, with a caption and its rivals
for each, and the upper layers (the detector's last and the two on top) alone then learn
from what is kept, at a small part of the cost.  Half of the pictures are as drawn, which is where counting is hardest to learn, the
others spoiled or drawn over by the model (pictures.redrawn).
"""

import numpy
import torch
import torch.nn.functional as functional

import captions
import clip
import common
import composition
import detector
import muon
import pictures
import scenes
import tokenizer

SEED = 606
KEPT = 32000  # pictures with captions
LOWER = detector.VISION["num_hidden_layers"] - 1
STEPS = 2000
BATCH = 64
SHARE_OF_OTHERS = 0.3  # pictures without captions, for each one that has some
OTHERS = 24  # of them a batch
RIVALS = (0, 0, 0, 0, 0, 1, 1, 2, 2, 2)  # as in clip.py; of one kind of object, every other number is a rival once


def lower_states(model, shown):
    """Pictures in [0, 1] to the states that enter the upper layers, in half precision."""
    tower = model.vision_model
    with torch.no_grad(), common.mixed_precision(shown.device):
        states = tower.pre_layrnorm(tower.embeddings(pictures.normalise(shown)))
        for layer in tower.encoder.layers[:LOWER]:
            states = layer(states, None)
    return states.half()


def upper_embeddings(model, states):
    """Unit embeddings, and the picture's tokens as they enter the last layer."""
    tower = model.vision_model
    for layer in tower.encoder.layers[LOWER:-1]:
        states = layer(states, None)
    last = tower.encoder.layers[-1](states, None)
    image = model.visual_projection(tower.post_layernorm(last[:, 0]))
    return functional.normalize(image.float(), dim=-1), states[:, 1:]


def rivals_of(scene, random):
    """Other scenes, for captions that are not true of this one."""
    rivals = [clip.change_once(scene, which, random) for which in RIVALS]
    if len(scene.counts) == 1:
        (index, count), = scene.counts.items()
        numbers = [number for number in range(1, len(captions.NUMBERS) + 1) if number != count]
        rivals[:len(numbers)] = [scenes.Scene(scene.colour, {index: number}, [], None) for number in numbers]
    return rivals


def describe(scene, random):
    """A true caption and one for each rival, said in the same way, half of them in the plain form; and which rivals count.

    One may happen to read like the truth.  One held out of training would be learnt to be false.
    """
    way = int(random.integers(2**31))
    plain = len(scene.counts) == 1 and random.random() < 0.5
    rivals = rivals_of(scene, random)
    texts = []
    for told in [scene] + rivals:
        if plain:
            (index, count), = told.counts.items()
            texts.append(captions.plain_caption(index, count, told.colour))
        else:
            texts.append(captions.caption(told, numpy.random.default_rng(way)))
    counted = [text != texts[0] and not scenes.holds_back(rival.colour, rival.counts) for text, rival in zip(texts[1:], rivals)]
    return texts, counted


def keep_captioned(model, words, batch, random, spoiled):
    shown = pictures.as_unit([scene.picture for scene in batch])
    parts = clip.composition_of(shown)
    texts, counted = zip(*(describe(scene, random) for scene in batch))
    with torch.no_grad(), common.mixed_precision(shown.device):
        embedded = clip.embed_texts(model, words, [text for group in texts for text in group])
    return {"states": lower_states(model, pictures.spoil(shown, random) if spoiled else shown), "parts": parts,
            "texts": embedded.view(len(batch), 1 + len(RIVALS), -1).half(),
            "rival": torch.tensor(counted),
            "numbers": torch.tensor([len(scene.boxes) for scene in batch]),
            "shares": clip.shares_of_objects(batch)}


def keep_others(model, batch, own, random):
    """Moved scenes, generated and worthless pictures: for the composition, and to match no caption where worthless."""
    size = len(batch) // 3
    moved = pictures.as_unit([composition.off_edge(scene, random) for scene in batch[:size]])
    made = pictures.as_unit(list(own[random.integers(len(own), size=size)]))
    junk = pictures.worthless(size, random)
    shown = torch.cat([moved, made, junk])
    return {"states": lower_states(model, shown), "parts": clip.composition_of(shown),
            "junk": torch.arange(len(shown)) >= 2 * size}


def joined(groups):
    return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}


def keep(work, model, words, count, redrawn, generated):
    """What training reads, made once: `clip-upper-kept.pt`."""
    path = work / "clip-upper-kept.pt"
    if path.exists():
        return torch.load(path, weights_only=True)
    sprites = scenes.Sprites()
    pool = pictures.redrawn(work, redrawn, pictures.REDRAWN_SEED)
    own = pictures.generated(work, generated, clip.GENERATED_SEED)
    captioned, others = [], []
    for start in range(0, count, 50):
        random = common.step_random(SEED, start)
        batch = pictures.mixed_scenes(sprites, random, 50, pool, share=0.2)
        captioned.append(keep_captioned(model, words, batch, random, spoiled=start % 100 == 0))
        others.append(keep_others(model, batch[:int(50 * SHARE_OF_OTHERS)], own, random))
        if start % 1000 == 0:
            common.log("clip upper", f"{start} of {count} pictures kept")
    kept = {"captioned": joined(captioned), "others": joined(others)}
    common.save_whole(kept, path)
    return kept


def contrast_of(image, texts, rival, scale):
    """Cross-entropy of each picture among its captions and all others' true ones, and of each true caption among the pictures."""
    mine = scale * torch.einsum("bd,bkd->bk", image, texts)
    mine = torch.cat([mine[:, :1], mine[:, 1:].masked_fill(~rival, -1e4)], dim=1)
    across = scale * image @ texts[:, 0].t()
    same = (texts[:, 0] @ texts[:, 0].t() > 0.999) & ~torch.eye(len(image), dtype=torch.bool)
    across = across.masked_fill(same, -1e4)
    wanted = torch.arange(len(image))
    away = across.masked_fill(torch.eye(len(image), dtype=torch.bool), -1e4)  # its own caption stands in `mine` already
    loss = functional.cross_entropy(torch.cat([mine, away], dim=1), torch.zeros(len(image), dtype=torch.long))
    return loss + functional.cross_entropy(across.t(), wanted), (mine.argmax(dim=1) == 0).float().mean().item()


def loss_of(model, readings, captioned, others):
    image, tokens = upper_embeddings(model, torch.cat([captioned["states"].float(), others["states"].float()]))
    count = len(captioned["states"])
    texts = captioned["texts"].float()
    contrast, right = contrast_of(image[:count], texts, captioned["rival"], model.logit_scale.exp().detach().clamp(max=100))
    matching = (1 - (image[:count] * texts[:, 0]).sum(dim=1)).mean()
    nothing = image[count:][others["junk"]] @ texts[:, 0].t()
    composed, error = clip.composition_loss(readings, image, torch.cat([captioned["parts"], others["parts"]]))
    counting = clip.counting_loss(readings, image[:count], tokens[:count], captioned["numbers"], captioned["shares"])
    loss = contrast + 0.5 * matching + 10 * functional.relu(nothing + 0.1).square().mean() + 2 * composed + counting
    return loss, {"right": right, "cosine": 1 - matching.item(), "junk": nothing.mean().item() if len(nothing) else 0.0,
                  "composition error": error, "counting": counting.item()}


def draw(kept, size, random):
    chosen = torch.from_numpy(random.integers(len(kept["states"]), size=size))
    return {name: values[chosen] for name, values in kept.items()}


def checkpoint(work):
    return work / "clip-upper.pt"


def train(work, steps, peak=6e-4, kept_pictures=KEPT, redrawn=pictures.REDRAWN, generated=clip.GENERATED):
    common.seed_everything(SEED)
    words = tokenizer.build(work / "tokenizer")
    model = clip.read(clip.latest(work, but=checkpoint(work)), len(words))
    kept = keep(work, model, words, kept_pictures, redrawn, generated)
    readings = clip.Readings()
    upper = torch.nn.ModuleList([model.vision_model.encoder.layers[LOWER:], model.vision_model.post_layernorm, model.visual_projection])
    upper.requires_grad_(True)
    average = common.Average(model, 0.998)
    optimiser = muon.Muon(list(upper.named_parameters()) + list(readings.named_parameters()), lr=peak, weight_decay=1e-2)
    progress = common.Progress(checkpoint(work), model=model, readings=readings, average=average, optimiser=optimiser)
    step = progress.resume()
    while step < steps:
        random = common.step_random(SEED + 1, step)
        with common.mixed_precision(torch.device("cpu")):
            loss, figures = loss_of(model, readings, draw(kept["captioned"], BATCH, random), draw(kept["others"], OTHERS, random))
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak, warmup=50, decay=1.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(upper.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        step += 1
        if step % 100 == 0:
            common.log("clip upper", f"step {step} loss {loss.item():.4f}, " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        progress.save(step)
    progress.save(step, always=True)


if __name__ == "__main__":
    arguments = common.parse_arguments(__doc__, steps=STEPS)
    if arguments.quick:
        train(arguments.work, 4, kept_pictures=100, redrawn=16, generated=8)
    else:
        train(arguments.work, arguments.steps)
