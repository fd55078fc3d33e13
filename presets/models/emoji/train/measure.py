"""Measures the shipped model as its card reports it; prints JSON and writes a grid of pictures.

Everything is read from the shipped files.  The captions' combinations of object, number
and ground were held out of training, and the judge (tests/oracle/judge.py) is a network
of its own.
"""

import argparse
import json
import pathlib
import sys

import numpy
import torch
from PIL import Image

import aesthetic
import captions
import clip
import composition
import detector
import layout
import pictures
import sampling
import scenes
import tokenizer
import vae
from vocabulary import COLOUR_NAMES, NAMES

REPOSITORY = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(REPOSITORY / "tests" / "oracle"))
import judge  # noqa: E402

COUNT_THRESHOLD = 0.5  # of a detection's score
COUNT_OVERLAP = 0.1  # intersection over union above which two detections are one object


def held_out_triples(count, random):
    """Object, number (one to four) and ground, none of them ever drawn for training."""
    every = [(index, number, colour) for index in range(len(NAMES)) for number in range(1, 5)
             for colour in range(len(COLOUR_NAMES)) if scenes.is_held_out(NAMES[index], number, COLOUR_NAMES[colour])]
    order = random.permutation(len(every))
    return [every[order[place % len(every)]] for place in range(count)]


def held_out_captions(triples, random):
    """The usual templates, always saying number and ground."""
    texts = []
    for index, number, colour in triples:
        scene = scenes.Scene(colour, {index: number}, [], None)
        while True:
            text = captions.caption(scene, random, colour_share=1.0, number_share=1.0)
            wanted, ground = judge.understand(text)
            if wanted.get(index) == number and ground == colour:
                texts.append(text)
                break
    return texts


def make_pictures(parts, count, kept):
    """Held-out combinations, their captions, and a picture for each; `kept` (may be None) holds the pictures of an earlier run."""
    random = numpy.random.default_rng(31337)
    triples = held_out_triples(count, random)
    texts = held_out_captions(triples, random)
    if kept is not None and kept.exists():
        return triples, texts, torch.load(kept, weights_only=True)[:count]
    made = sampling.sample(parts, texts, range(10**6, 10**6 + count))
    if kept is not None:
        torch.save(made, kept)
    return triples, texts, made


def measure_pictures(triples, texts, made):
    """Object, ground and number as the judge sees them."""
    counts, colours = judge.Judge().look(made)
    results = judge.verdicts(counts, colours, texts)
    figures = {key: value["share"] for key, value in judge.shares(results).items()}
    for number in range(1, 5):
        chosen = [result["number"] for result, triple in zip(results, triples) if triple[1] == number]
        figures[f"number_{number}"] = sum(chosen) / max(1, len(chosen))
    worst = {}
    for result, triple in zip(results, triples):
        worst.setdefault(NAMES[triple[0]], []).append(result["object"])
    figures["objects_below_80_percent"] = {name: round(sum(v) / len(v), 2) for name, v in worst.items() if sum(v) / len(v) < 0.8}
    return figures


def measure_autoencoder(model, count):
    sprites = scenes.Sprites()
    return {"psnr": vae.peak_signal_to_noise(model, sprites, count=count, seed=51)}


def measure_clip(folder, count):
    """The share of drawn held-out scenes whose caption wins among 64: itself and 63 that differ in one word."""
    model, words = layout.read_clip(folder / "rewards" / "clip")
    sprites, random = scenes.Sprites(), numpy.random.default_rng(61)
    right = 0
    for _ in range(count):
        scene = scenes.random_scene(sprites, random, held_out=True, two_kinds=0)
        (index, number), = scene.counts.items()
        true = (index, number, scene.colour)
        rivals = [(index, n, scene.colour) for n in range(1, 7) if n != number]
        rivals += [(index, number, c) for c in range(len(COLOUR_NAMES)) if c != scene.colour]
        others = [i for i in range(len(NAMES)) if i != index]
        rivals += [(int(i), number, scene.colour) for i in random.choice(others, 63 - len(rivals), replace=False)]
        texts = [captions.plain_caption(*triple) for triple in [true] + rivals]
        with torch.no_grad():
            image = clip.embed_pictures(model, pictures.normalise(pictures.as_unit([scene.picture])))
            text = clip.embed_texts(model, words, texts)
        right += int((image @ text.t()).argmax()) == 0
    return {"right_among_64": right / count}


def detector_queries(folder):
    model, words = layout.read_detector(folder / "rewards" / "detector")
    with torch.no_grad():
        return model, detector.embed_queries(model, tokenizer.encode(words, list(NAMES), length=detector.QUERY_LENGTH))


def measure_detector(folder, count):
    """Drawn held-out scenes in which every object asked about is found exactly as often as it is there."""
    model, queries = detector_queries(folder)
    sprites, random = scenes.Sprites(), numpy.random.default_rng(71)
    right, closeness = 0, []
    for _ in range(count):
        scene = scenes.random_scene(sprites, random, held_out=True)
        with torch.no_grad():
            logits, boxes = detector.detect(model, pictures.normalise(pictures.as_unit([scene.picture])), queries)
        scores, corners = logits[0].sigmoid(), detector.corners(boxes[0])
        right += all(detector.count(scores[:, index], corners, COUNT_THRESHOLD, COUNT_OVERLAP) == number
                     for index, number in scene.counts.items())
        where, wanted = detector.targets([scene])
        overlap = 1 - detector.generalized_box_iou_loss(detector.corners(boxes[0, where[:, 1]]), wanted)
        closeness.append(float(overlap.mean()))
    return {"exact_number": right / count, "mean_giou": sum(closeness) / count}


def measure_aesthetic(folder, made):
    """Rank correlation of the head with the score it was trained on, on drawn and on generated pictures."""
    model, _ = layout.read_clip(folder / "rewards" / "clip")
    head = layout.read_weights(aesthetic.Head(), folder / "rewards" / "aesthetic" / "model.safetensors")
    sprites, random = scenes.Sprites(), numpy.random.default_rng(81)
    drawn = pictures.as_unit([scenes.random_scene(sprites, random, held_out=True).picture for _ in range(len(made))])
    figures = {}
    for name, batch in (("drawn", drawn), ("generated", made)):
        with torch.no_grad():
            said = head(clip.embed_pictures(model, pictures.normalise(batch))).squeeze(-1)
        truth = [composition.score(picture) for picture in batch.permute(0, 2, 3, 1).numpy()]
        figures[f"rank_correlation_{name}"] = aesthetic.rank_correlation(said, truth)
    return figures


def measure_cheats(folder, made, texts):
    """Rewards of good pictures beside those of pictures that show nothing."""
    model, words = layout.read_clip(folder / "rewards" / "clip")
    head = layout.read_weights(aesthetic.Head(), folder / "rewards" / "aesthetic" / "model.safetensors")
    finder, queries = detector_queries(folder)
    random = numpy.random.default_rng(91)
    side = scenes.PICTURE
    flat = numpy.broadcast_to(random.uniform(0, 1, (64, 1, 1, 3)), (64, side, side, 3))
    single = flat.copy()
    single[:, ::8, ::8] = random.uniform(0, 1, (64, 1, 1, 3))
    checks = numpy.indices((side, side)).sum(axis=0) % 2
    kinds = {"generated": made[:64],
             "noise": torch.from_numpy(random.uniform(0, 1, (64, side, side, 3))).permute(0, 3, 1, 2).float(),
             "flat colour": torch.from_numpy(flat.copy()).permute(0, 3, 1, 2).float(),
             "single pixels": torch.from_numpy(single).permute(0, 3, 1, 2).float(),
             "chequered pixels": torch.from_numpy(checks * 1.0)[None, None].expand(4, 3, -1, -1).float()}
    figures = {}
    with torch.no_grad():
        text = clip.embed_texts(model, words, texts[:64])
        for name, batch in kinds.items():
            pixels = pictures.normalise(batch)
            image = clip.embed_pictures(model, pixels)
            cosines = (image * text[:len(image)]).sum(dim=1)
            logits, _ = detector.detect(finder, pixels, queries)
            figures[name] = {"clip": float(cosines.mean()), "clip_highest": float((image @ text.t()).max()),
                             "aesthetic": float(head(image).mean()),
                             "objects_counted": float((logits.sigmoid() > COUNT_THRESHOLD).float().sum(dim=(1, 2)).mean()),
                             "best_detection": float(logits.sigmoid().amax(dim=(1, 2)).mean())}
    return figures


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument("--count", type=int, default=512, help="captions and pictures (default: %(default)s)")
    parser.add_argument("--grid", type=pathlib.Path, help="write the first 64 pictures here")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FILE",
                        help="keep the generated pictures here, and take them from here if they are: for when only rewards have changed")
    parser.add_argument("--only-pictures", action="store_true")
    arguments = parser.parse_args()
    parts = layout.read_pipeline(arguments.model)
    figures = {}
    triples, texts, made = make_pictures(parts, arguments.count, arguments.keep)
    figures["pictures"] = measure_pictures(triples, texts, made)
    if arguments.grid:
        # Steps of four in 256 are not seen, and make the file much smaller.
        Image.fromarray(sampling.grid((made[:64] * 63).round() / 63, 8)).save(arguments.grid, optimize=True)
    if not arguments.only_pictures:
        figures["autoencoder"] = measure_autoencoder(parts[3], arguments.count // 4)
        figures["clip"] = measure_clip(arguments.model, arguments.count)
        figures["detector"] = measure_detector(arguments.model, arguments.count)
        figures["aesthetic"] = measure_aesthetic(arguments.model, made)
        figures["cheats"] = measure_cheats(arguments.model, made, texts)
    print(json.dumps(rounded(figures), indent=1))


if __name__ == "__main__":
    main()
