"""Trains the detector: an OwlViTForObjectDetection that finds objects by their names.

Boxes are known exactly in drawn scenes.  The loss is this project's own, as
transformers has none for this model: each object belongs to the token its centre
falls into; scores get a focal loss, boxes L1 and generalised IoU.  The focal exponent
falls to zero during training: the end is plain cross-entropy, after which scores
are probabilities and their sum is a count.

A centre near the border of two tokens leaves both in doubt, and a doubtful score counts
for nothing.  So polishing (`--polish`) asks for a score of the token of the centre only
and leaves its neighbours free to claim the object too; all of them learn its box.
Claims on one object then overlap, and non-maximum suppression makes them one.
"""

import sys

import torch
import torch.nn.functional as functional
from torchvision.ops import generalized_box_iou_loss, nms
from transformers import OwlViTConfig, OwlViTForObjectDetection

import common
import muon
import pictures
import scenes
import tokenizer
from vocabulary import OBJECTS

SEED = 303
BATCH = 32
STEPS = 2400
FROM_RECONSTRUCTIONS = 700
POLISH_STEPS = 2000
QUERY_LENGTH = 16
GRID = 8
NEAR = 1.0  # tokens: how far a token's middle may be from an object's, on each axis, to claim it in polishing
VISION = dict(hidden_size=128, intermediate_size=512, num_hidden_layers=5, num_attention_heads=4,
              image_size=scenes.PICTURE, patch_size=scenes.PICTURE // GRID, hidden_act="quick_gelu")


def new_detector(vocabulary_size):
    model = OwlViTForObjectDetection(OwlViTConfig(
        text_config=dict(vocab_size=vocabulary_size, hidden_size=128, intermediate_size=512, num_hidden_layers=2,
                         num_attention_heads=4, max_position_embeddings=QUERY_LENGTH, hidden_act="quick_gelu",
                         pad_token_id=0, bos_token_id=vocabulary_size - 2, eos_token_id=vocabulary_size - 1),
        vision_config=VISION, projection_dim=128))
    with torch.no_grad():  # start from small scores, nearly every token shows nothing, and from boxes on their token
        # The library's start is so wide that the boxes' sigmoid saturates and never learns.
        for layer in (model.box_head.dense0, model.box_head.dense1):
            torch.nn.init.xavier_uniform_(layer.weight)
            layer.bias.zero_()
        model.box_head.dense2.weight.zero_()
        model.box_head.dense2.bias.zero_()
        model.class_head.logit_scale.bias.fill_(9.0)
        model.class_head.logit_shift.bias.fill_(-0.4)
        model.class_head.logit_scale.weight.mul_(0.1)
        model.class_head.logit_shift.weight.mul_(0.1)
    return model


def query_texts(random):
    """One way of naming every object: 'cat', 'a cat', 'cats', or a synonym."""
    texts = []
    for entry in OBJECTS:
        pairs = ((entry.name, entry.plural),) + entry.synonyms
        singular, plural = pairs[random.integers(len(pairs)) if random.random() < 0.3 else 0]
        texts.append((singular, singular, f"a {singular}", plural)[random.integers(4)])
    return texts


def encode_queries(words, texts):
    """Padded to the longest only: attention is causal, so what stands after the end token changes nothing."""
    return words(texts, padding="longest", truncation=True, max_length=QUERY_LENGTH, return_tensors="pt")["input_ids"]


def embed_queries(model, ids):
    """Text embeddings of the queries, each computed once for the whole batch."""
    states = model.owlvit.text_model(input_ids=ids)
    embeds = model.owlvit.text_projection(states.pooler_output)
    return embeds / embeds.norm(dim=-1, keepdim=True)


def detect(model, pixels, queries):
    """Scores before the sigmoid (batch, token, query) and boxes (batch, token, cx cy w h)."""
    features, _ = model.image_embedder(pixel_values=pixels)
    flat = features.flatten(1, 2)
    logits, _ = model.class_predictor(flat, queries[None].expand(len(pixels), -1, -1),
                                      torch.ones(len(pixels), len(queries), dtype=torch.bool, device=pixels.device))
    return logits, model.box_predictor(flat, features)


def targets(batch):
    """Where the positives are: (picture, token, object) and their boxes in corners of the unit square."""
    where, boxes = [], []
    for number, scene in enumerate(batch):
        for index, x0, y0, x1, y1 in scene.boxes:
            column = int((x0 + x1) / 2 / scenes.PICTURE * GRID)
            row = int((y0 + y1) / 2 / scenes.PICTURE * GRID)
            where.append((number, row * GRID + column, index))
            boxes.append([v / scenes.PICTURE for v in (x0, y0, x1, y1)])
    return torch.tensor(where), torch.tensor(boxes)


def count(scores, boxes, threshold, overlap):
    """How many objects one picture's tokens report: `scores` of one query, `boxes` in corners, overlapping ones once."""
    found = scores > threshold
    return len(nms(boxes[found], scores[found], overlap))


def near_tokens(batch):
    """The tokens near an object's middle: which object of the batch each is near to, and (picture, token, query)."""
    owners, near, objects = [], [], 0
    for number, scene in enumerate(batch):
        for index, x0, y0, x1, y1 in scene.boxes:
            u, v = (x0 + x1) / 2 / scenes.PICTURE * GRID, (y0 + y1) / 2 / scenes.PICTURE * GRID
            for row in range(max(0, int(v) - 1), min(GRID, int(v) + 2)):
                for column in range(max(0, int(u) - 1), min(GRID, int(u) + 2)):
                    if abs(column + 0.5 - u) <= NEAR and abs(row + 0.5 - v) <= NEAR:
                        owners.append(objects)
                        near.append((number, row * GRID + column, index))
            objects += 1
    return torch.tensor(owners), torch.tensor(near)


def corners(boxes):
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def score_loss(logits, where, focus, free=None):
    """Focal cross-entropy of all tokens and queries, for each object in the batch; `free` ones may say what they like."""
    positive, counted = torch.zeros_like(logits), torch.ones_like(logits)
    if free is not None:
        counted[free[:, 0], free[:, 1], free[:, 2]] = 0
    positive[where[:, 0], where[:, 1], where[:, 2]] = 1
    counted[where[:, 0], where[:, 1], where[:, 2]] = 1
    entropy = functional.binary_cross_entropy_with_logits(logits, positive, reduction="none")
    # Never quite zero: the gradient of a fractional power has no limit there.
    wrongness = torch.where(positive > 0, 1 - logits.sigmoid(), logits.sigmoid()).clamp(min=1e-6)
    return (counted * wrongness ** focus * entropy).sum() / len(where)


def box_loss(boxes, where, wanted):
    found = corners(boxes[where[:, 0], where[:, 1]])
    return 5 * (found - wanted).abs().mean() + generalized_box_iou_loss(found, wanted, reduction="mean")


def checkpoint(work, polish):
    return work / ("detector-polish.pt" if polish else "detector.pt")


def train(work, steps, pool_size=1500, peak=1e-3, polish=False):
    where_to = common.device()
    seed = SEED + 2 if polish else SEED
    common.seed_everything(seed)
    words = tokenizer.build(work / "tokenizer")
    words.pad_token = "!"  # token 0, as OWL-ViT pads
    sprites = scenes.Sprites()
    model = new_detector(len(words)).to(where_to)
    average = common.Average(model, 0.998)
    optimiser = muon.Muon(model.named_parameters(), lr=peak, weight_decay=1e-2)
    progress = common.Progress(checkpoint(work, polish), model=model, average=average, optimiser=optimiser)
    step = progress.resume()
    if polish and step == 0:
        common.start_from_average(checkpoint(work, polish=False), model, average)
    pool = None
    change = 0 if polish else min(FROM_RECONSTRUCTIONS, steps // 2)
    while step < steps:
        random = common.step_random(seed, step)
        if step >= change and pool is None:
            pool = pictures.reconstructions(work, "reconstructions", pool_size, SEED + 1)
        batch = pictures.mixed_scenes(sprites, random, BATCH - 3, pool)
        drawn = pictures.spoil(pictures.as_unit([scene.picture for scene in batch]), random)
        pixels = pictures.normalise(torch.cat([drawn, pictures.worthless(3, random)])).to(where_to)
        with common.mixed_precision(where_to):
            queries = embed_queries(model, encode_queries(words, query_texts(random)).to(where_to))
            logits, boxes = detect(model, pixels, queries)
        logits, boxes = logits.float(), boxes.float()
        where, wanted = (tensor.to(where_to) for tensor in targets(batch))
        if polish:
            owners, near = (tensor.to(where_to) for tensor in near_tokens(batch))
            loss = score_loss(logits, where, focus=0, free=near) + box_loss(boxes, near, wanted[owners])
        else:
            focus = 2 * max(0.0, 1 - step / (0.7 * steps))
            loss = score_loss(logits, where, focus) + box_loss(boxes, where, wanted)
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak, warmup=50 if polish else 200, decay=1.0 if polish else 0.3)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model)
        step += 1
        if step % 50 == 0:
            right = (logits[where[:, 0], where[:, 1]].argmax(dim=-1) == where[:, 2]).float().mean().item()
            common.log("detector", f"step {step} loss {loss.item():.4f}, objects named right {right:.3f}")
        progress.save(step)
    progress.save(step, always=True)


def load(work):
    """The averaged detector, polished where there is such a one."""
    words = tokenizer.build(work / "tokenizer")
    model = new_detector(len(words))
    polished = checkpoint(work, polish=True)
    path = polished if polished.exists() else checkpoint(work, polish=False)
    common.start_from_average(path, model)
    return model.eval().requires_grad_(False)


if __name__ == "__main__":
    polish = "--polish" in sys.argv
    if polish:
        sys.argv.remove("--polish")
    arguments = common.parse_arguments(__doc__, steps=POLISH_STEPS if polish else STEPS)
    if arguments.quick:
        train(arguments.work, 4, pool_size=20, polish=polish)
    else:
        train(arguments.work, arguments.steps, polish=polish)
