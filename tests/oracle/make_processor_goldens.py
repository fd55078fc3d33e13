"""Writes tests/golden/picture_processors.json: what transformers' image processors make of a small picture, by their
files. No case interpolates, where the library rounds to 8 bits and the program does not.

    python tests/oracle/make_processor_goldens.py
"""

import json
import pathlib
import tempfile

import numpy as np
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.owlvit.image_processing_pil_owlvit import OwlViTImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 6, 5
SAME = {"do_resize": False, "crop_size": {"height": 4, "width": 3}}

CASES = [
    ("clip", SAME),
    ("clip", dict(SAME, rescale_factor=1 / 127.5)),
    ("clip", dict(SAME, rescale_factor=0.01, image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.25, 0.2])),
    ("clip", dict(SAME, do_rescale=False)),
    ("clip", dict(SAME, do_rescale=False, rescale_factor=3.0, do_normalize=False)),
    ("clip", dict(SAME, do_normalize=False, rescale_factor=1 / 127.5)),
    ("clip", dict(SAME, image_mean=0.5, image_std=0.25)),
    ("clip", dict(SAME, crop_size=3)),
    ("clip", dict(SAME, do_center_crop=False)),
    ("clip", {"size": 5, "crop_size": {"height": 5, "width": 4}}),
    ("clip", {"size": {"shortest_edge": 5}, "crop_size": {"height": 3, "width": 5}}),
    ("clip", {"size": {"height": 6, "width": 5}, "crop_size": {"height": 6, "width": 2}}),
    ("clip", {"size": 5, "crop_size": 4, "do_convert_rgb": True, "feature_extractor_type": "CLIPFeatureExtractor"}),
    ("owlvit", {"size": {"height": 6, "width": 5}}),
    ("owlvit", {"size": [6, 5], "do_center_crop": False, "crop_size": 768}),
    ("owlvit", {"size": {"height": 6, "width": 5}, "rescale": False}),
    ("owlvit", {"size": {"height": 6, "width": 5}, "rescale_factor": 0.02, "do_normalize": False}),
    ("owlvit", dict(SAME, do_center_crop=True)),
]


def main():
    picture = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    cases = []
    for kind, settings in CASES:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "preprocessor_config.json").write_text(json.dumps(settings))
            processor = (CLIPImageProcessorPil if kind == "clip" else OwlViTImageProcessorPil).from_pretrained(folder)
            found = np.asarray(processor(picture)["pixel_values"][0]).transpose(1, 2, 0)
        cases.append({"class": kind, "file": json.dumps(settings), "shape": list(found.shape),
                      "values": [round(float(v), 7) for v in found.flatten()]})
    result = {"height": HEIGHT, "width": WIDTH, "picture": picture.flatten().tolist(), "cases": cases}
    text = json.dumps(result).replace('{"class"', '\n{"class"')
    (ROOT / "tests" / "golden" / "picture_processors.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
