"""Writes tests/golden/config_keys.json: every key that diffusers and transformers read from the files of a model, with
its default, by the class that reads it.

    python tests/oracle/make_config_key_goldens.py

A key without a default is null, and so is one that the library takes from elsewhere.
"""

import inspect
import json
import pathlib

import diffusers
import transformers
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.owlvit.image_processing_owlvit import OwlViTImageProcessor
from transformers.processing_utils import ImagesKwargs
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

ROOT = pathlib.Path(__file__).resolve().parents[2]

DIFFUSERS = ["UNet2DConditionModel", "AutoencoderKL"]
SCHEDULERS = ["DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
              "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler",
              "DPMSolverSinglestepScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
              "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler"]
TRANSFORMERS = ["CLIPTextConfig", "CLIPVisionConfig", "CLIPConfig", "OwlViTTextConfig", "OwlViTVisionConfig",
                "OwlViTConfig"]
PROCESSORS = [CLIPImageProcessor, OwlViTImageProcessor]


def plain(value):
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value if isinstance(value, (bool, int, float, str, type(None))) else int(value)


def parameters(function):
    """Named parameters of a function and their defaults."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self" or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        found[name] = None if parameter.default is parameter.empty else plain(parameter.default)
    return found


def processor_keys(kind):
    keys = {key: plain(getattr(kind, key, None)) for key in ImagesKwargs.__annotations__}
    return keys


# What the tokenizer's own code hands on from one function to the next.
INTERNAL = ["_json_padding", "_json_truncation", "_spm_precompiled_charsmap", "model_specific_special_tokens",
            "post_processor", "tokenizer", "tokenizer_object", "tokenizer_padding", "tokenizer_truncation", "unk_id"]


def tokenizer_keys():
    """Of the class and of what it is built on, which takes its keys one by one."""
    keys = parameters(transformers.CLIPTokenizer.__init__)
    source = inspect.getsource(PreTrainedTokenizerBase.__init__) + inspect.getsource(
        transformers.PreTrainedTokenizerFast.__init__) + inspect.getsource(PreTrainedTokenizerBase._from_pretrained)
    for piece in source.split("kwargs.pop(")[1:] + source.split("kwargs.get(")[1:]:
        if piece.lstrip()[0] == '"':
            keys.setdefault(piece.split('"')[1], None)
    for key in PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES:
        keys.setdefault(key, None)
    return {key: value for key, value in keys.items() if key not in INTERNAL}


def main():
    result = {}
    for name in DIFFUSERS + SCHEDULERS:
        result[name] = parameters(getattr(diffusers, name).__init__)
    for name in TRANSFORMERS:
        result[name] = plain(getattr(transformers, name)().to_dict())
    for kind in PROCESSORS:
        result[kind.__name__] = processor_keys(kind)
    result["CLIPTokenizer"] = tokenizer_keys()
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(keys, sort_keys=True)}" for name, keys in result.items())
    (ROOT / "tests" / "golden" / "config_keys.json").write_text("{" + text + "}\n")


if __name__ == "__main__":
    main()
