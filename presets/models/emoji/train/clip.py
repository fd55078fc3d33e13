"""Trains the text-image similarity: a CLIPModel, contrastive, with captions that differ in one word.

Among captions of unlike scenes a model need only notice the object.  So every picture
also meets its own caption with another number, another ground and another object.
The image tower starts from the detector's, which has learnt to see the objects, as
the real detector started from the real CLIP.

The embedding must also carry what the aesthetic head reads off it (where things are,
not only what they are), so a linear reading of the composition score is trained along.

Numbers are what the first training leaves in doubt.  Polishing (`--polish`) keeps its
texts and starts from the polished detector's image tower, with two layers on top that
learn to count: the tokens below the last layer learn each object's share that lies on
them, so that their mean, which one attention head can take, is proportional to the
number; a reading of the number off the embedding is trained along.  Polishing meets
more rival numbers, and pictures the model itself has generated, for their composition
only: what is really on them is not known.
"""

import sys

import numpy
import torch
import torch.nn.functional as functional
from transformers import CLIPConfig, CLIPModel

import captions
import common
import composition
import detector
import muon
import pictures
import scenes
import tokenizer

SEED = 404
BATCH = 40
STEPS = 1500
WIDTH = 128
JUNK = 5
RIVALS = (0, 0, 1, 2)  # what is changed in each rival caption: number (0), ground (1), object (2)
MOVED = 5  # pictures a batch with something cut off, for the composition score only
POLISH_STEPS = 2600
POLISH_LAYERS = detector.VISION["num_hidden_layers"] + 2
POLISH_RIVALS = (0, 0, 0, 0, 0, 1, 2)
SHARPNESS = 50.0  # what polishing starts to multiply cosines with
GENERATED = 1792  # pictures made by the model itself
GENERATED_SEED = 707
SHOWN = 8  # of them a batch


def new_clip(vocabulary_size, layers=detector.VISION["num_hidden_layers"]):
    return CLIPModel(CLIPConfig(
        text_config=dict(vocab_size=vocabulary_size, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=2,
                         num_attention_heads=4, max_position_embeddings=tokenizer.MAXIMUM_LENGTH, hidden_act="quick_gelu",
                         bos_token_id=vocabulary_size - 2, eos_token_id=vocabulary_size - 1, pad_token_id=vocabulary_size - 1),
        vision_config=dict(detector.VISION, num_hidden_layers=layers), projection_dim=WIDTH))


def take_image_tower(model, source):
    """Same layers, two names spelt differently; a layer the source lacks keeps its random start."""
    state = {name.replace("pre_layernorm", "pre_layrnorm"): value for name, value in source.owlvit.vision_model.state_dict().items()}
    model.vision_model.load_state_dict(state, strict=False)


def take_texts(model, source):
    """Everything but the image tower."""
    state = {name: value for name, value in source.state_dict().items() if not name.startswith("vision_model.")}
    model.load_state_dict(state, strict=False)


def change_once(scene, which, random):
    """The scene as it would be with another number (0), ground (1) or object (2); only what a caption needs."""
    other = scenes.Scene(scene.colour, dict(scene.counts), [], None)
    target = list(other.counts)[random.integers(len(other.counts))]
    if which == 0:
        choices = [n for n in range(1, 7) if n != other.counts[target]]
        nearness = numpy.array([1 / abs(n - other.counts[target]) ** 2 for n in choices])
        other.counts[target] = int(random.choice(choices, p=nearness / nearness.sum()))
    elif which == 1:
        other.colour = int((scene.colour + random.integers(1, len(captions.COLOUR_NAMES))) % len(captions.COLOUR_NAMES))
    else:
        new = int(random.choice([i for i in range(len(captions.OBJECTS)) if i not in other.counts]))
        other.counts = {new if index == target else index: count for index, count in other.counts.items()}
    return other


def changed(scene, which, random):
    """A change to a combination that is drawn for training: one met only as a rival would be learnt to be false."""
    while True:
        other = change_once(scene, which, random)
        if not scenes.holds_back(other.colour, other.counts):
            return other


def captions_with_rivals(batch, random, kinds=RIVALS):
    """True captions, then for each kind of change one rival a picture, said in the same way."""
    true, rivals = [], []
    for scene in batch:
        way = int(random.integers(2**31))  # the same randomness gives the same template
        true.append(captions.caption(scene, numpy.random.default_rng(way)))
        rivals.append([captions.caption(changed(scene, which, random), numpy.random.default_rng(way)) for which in kinds])
    return true, [texts[k] for k in range(len(kinds)) for texts in rivals]


def embed_texts(model, words, texts):
    ids = words(texts, padding="longest", truncation=True, max_length=tokenizer.MAXIMUM_LENGTH, return_tensors="pt")["input_ids"]
    pooled = model.text_model(input_ids=ids.to(model.device)).pooler_output
    return functional.normalize(model.text_projection(pooled).float(), dim=-1)


def embed_pictures(model, pixels):
    """Unit embeddings of normalised pictures."""
    return embed_pictures_and_tokens(model, pixels)[0]


def embed_pictures_and_tokens(model, pixels):
    """Unit embeddings, and the picture's tokens as they enter the last layer."""
    seen = model.vision_model(pixel_values=pixels, output_hidden_states=True)
    return functional.normalize(model.visual_projection(seen.pooler_output).float(), dim=-1), seen.hidden_states[-2][:, 1:]


def contrast_of(cosines, texts, scale):
    """Cross-entropy of each picture among all texts and of each caption among the pictures; also the share won.

    `cosines` has a row for each picture; its own caption stands at its number in `texts`, rivals stand behind.
    """
    count = len(cosines)
    # A rival may happen to read the same as the truth (no number said): it is no rival then.
    same = torch.tensor([[a == b for b in texts] for a in texts[:count]], device=cosines.device)
    same &= ~torch.eye(count, len(texts), dtype=torch.bool, device=cosines.device)
    logits = (scale * cosines).masked_fill(same, -1e4)
    wanted = torch.arange(count, device=cosines.device)
    loss = functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits[:, :count].t(), wanted)
    return loss, (logits.argmax(dim=1) == wanted).float().mean().item()


class Readings(torch.nn.Module):
    """What is read off the image tower in training only: composition and number, and each token's shares of objects."""

    def __init__(self):
        super().__init__()
        self.composition = torch.nn.Linear(WIDTH, len(composition.WEIGHTS))
        self.number = torch.nn.Linear(WIDTH, len(captions.NUMBERS) + 1)
        self.shares = torch.nn.Linear(WIDTH, 1)
        torch.nn.init.zeros_(self.composition.weight)


def shares_of_objects(batch):
    """For each token the sum over objects of the share of their box that lies on it: (picture, token)."""
    grid, size = detector.GRID, scenes.PICTURE // detector.GRID
    edges = numpy.arange(grid) * size
    shares = numpy.zeros((len(batch), grid, grid), numpy.float32)
    for number, scene in enumerate(batch):
        for _, x0, y0, x1, y1 in scene.boxes:
            along_x = numpy.clip(numpy.minimum(edges + size, x1) - numpy.maximum(edges, x0), 0, None) / (x1 - x0)
            along_y = numpy.clip(numpy.minimum(edges + size, y1) - numpy.maximum(edges, y0), 0, None) / (y1 - y0)
            shares[number] += along_y[:, None] * along_x
    return torch.from_numpy(shares).flatten(1)


def counting_loss(readings, image, tokens, numbers, shares):
    """Numbers read off the embeddings, and shares of objects (shares_of_objects) off the tokens below the last layer."""
    error = readings.shares(tokens.float()).squeeze(-1) - shares
    # The sum matters as well as each token: many small errors of one sign are a wrong number.
    together = (error.sum(dim=1) / 8).square().mean()
    return functional.cross_entropy(10 * readings.number(image), numbers) + 20 * error.square().mean() + together


def composition_of(shown):
    """The weighted parts of the composition score, which is their sum: (picture, part)."""
    found = (composition.parts_of_score(picture) for picture in shown.permute(0, 2, 3, 1).numpy())
    return torch.tensor([[weight * parts[name] for name, weight in composition.WEIGHTS.items()] for parts in found])


def scores_of(shown):
    return composition_of(shown).sum(dim=1)


def composition_loss(readings, image, parts):
    """Squared error of the parts read off the embeddings and, counted more, of the score they make; also the latter.

    The factor makes up for embeddings whose numbers are small.
    """
    error = parts.mean(dim=0) + 40 * readings.composition(image) - parts
    whole = error.sum(dim=1).square().mean()
    return error.square().sum(dim=1).mean() + 2 * whole, whole.item()


def checkpoint(work, polish):
    return work / ("clip-polish.pt" if polish else "clip.pt")


def start(work, vocabulary_size, polish):
    """The model a training begins with."""
    model = new_clip(vocabulary_size, POLISH_LAYERS) if polish else new_clip(vocabulary_size)
    take_image_tower(model, detector.load(work))
    if polish:
        take_texts(model, read(checkpoint(work, polish=False), vocabulary_size))
        model.logit_scale.data.fill_(numpy.log(SHARPNESS))
    return model


def train(work, steps, peak=6e-4, pool_size=1500, generated=GENERATED, polish=False):
    where = common.device()
    seed = SEED + 2 if polish else SEED
    common.seed_everything(seed)
    words = tokenizer.build(work / "tokenizer")
    sprites = scenes.Sprites()
    model = start(work, len(words), polish).to(where)
    readings = Readings().to(where)
    average = common.Average(model, 0.998)
    optimiser = muon.Muon(list(model.named_parameters()) + list(readings.named_parameters()), lr=peak, weight_decay=1e-2)
    progress = common.Progress(checkpoint(work, polish), model=model, readings=readings, average=average, optimiser=optimiser)
    step = progress.resume()
    pool = pictures.reconstructions(work, "reconstructions", pool_size, detector.SEED + 1)
    own = pictures.generated(work, generated, GENERATED_SEED) if polish else None
    while step < steps:
        random = common.step_random(seed, step)
        batch = pictures.mixed_scenes(sprites, random, BATCH, pool)
        true, rivals = captions_with_rivals(batch, random, POLISH_RIVALS if polish else RIVALS)
        drawn = pictures.as_unit([scene.picture for scene in batch])
        others = [pictures.as_unit([composition.off_edge(scene, random) for scene in batch[:MOVED]])]
        if polish:
            others.append(pictures.as_unit(list(own[random.integers(len(own), size=SHOWN)])))
        junk = pictures.worthless(JUNK, random)
        # The score is taken before the spoiling: noise and blur change no composition.
        parts = composition_of(torch.cat([drawn, junk] + others)).to(where)
        shown = torch.cat([pictures.spoil(drawn, random), junk, pictures.spoil(torch.cat(others), random)])
        with common.mixed_precision(where):
            image, tokens = embed_pictures_and_tokens(model, pictures.normalise(shown).to(where))
            text = embed_texts(model, words, true + rivals)
        cosines = image[:BATCH + JUNK] @ text.t()
        scale = model.logit_scale.exp().clamp(max=100)
        contrast, right = contrast_of(cosines[:BATCH], true + rivals, scale)
        # A reward is read as it stands, so cosines themselves must mean something: high when true, none for junk.
        matching = (1 - cosines[:BATCH].diagonal()).mean()
        worthless = functional.relu(cosines[BATCH:] + 0.1).square().mean()
        composed, composition_error = composition_loss(readings, image, parts)
        counting = torch.zeros(())
        if polish:
            numbers = torch.tensor([len(scene.boxes) for scene in batch], device=where)
            counting = counting_loss(readings, image[:BATCH], tokens[:BATCH], numbers, shares_of_objects(batch).to(where))
        loss = contrast + 0.5 * matching + 10 * worthless + (0.3 if polish else 0.1) * composed + counting
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak, warmup=100, decay=0.9 if polish else 0.3)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        step += 1
        if step % 50 == 0:
            common.log("clip", f"step {step} loss {loss.item():.4f}, right among {len(true + rivals)}: {right:.3f}, "
                               f"cosine {1 - matching.item():.3f}, scale {scale.item():.1f}, "
                               f"junk {cosines[BATCH:].mean().item():.3f}, composition error {composition_error:.3f}, counting {counting.item():.3f}")
        progress.save(step)
    progress.save(step, always=True)


def read(path, vocabulary_size):
    """The averaged model of a stage's state."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    layers = len({name.split(".")[3] for name in state["model"] if name.startswith("vision_model.encoder.layers.")})
    model = new_clip(vocabulary_size, layers)
    common.start_from_average(path, model)
    return model.eval().requires_grad_(False)


def latest(work, but=None):
    """The state of the last stage that has one, leaving out `but`."""
    states = [work / "clip-whole.pt", checkpoint(work, polish=True), checkpoint(work, polish=False)]
    return next(path for path in states if path.exists() and path != but)


def load(work):
    """The tokenizer and the averaged model of the last stage there is."""
    words = tokenizer.build(work / "tokenizer")
    return words, read(latest(work), len(words))


if __name__ == "__main__":
    polish = "--polish" in sys.argv
    if polish:
        sys.argv.remove("--polish")
    arguments = common.parse_arguments(__doc__, steps=POLISH_STEPS if polish else STEPS)
    if arguments.quick:
        train(arguments.work, 4, pool_size=20, generated=8, polish=polish)
    else:
        train(arguments.work, arguments.steps, polish=polish)
