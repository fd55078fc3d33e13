#!/usr/bin/env python3
"""Writes tests/golden/adapter-keys.json: every key of an adapter_config.json that peft writes, with its default.

A test holds each against the table in engine/model/adapter_config.c: a key that a newer peft adds is then found here and
not by a picture that differs.

    python tests/oracle/make_adapter_key_goldens.py [--out tests/golden/adapter-keys.json]
"""

import argparse
import dataclasses
import json
import pathlib

import peft

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden" / "adapter-keys.json")
    arguments = parser.parse_args()
    defaults = peft.LoraConfig().to_dict()
    keys = {field.name: defaults.get(field.name) for field in dataclasses.fields(peft.LoraConfig)}
    keys["peft_type"] = "LORA"
    keys.pop("runtime_config")  # never saved
    golden = {"library": "peft", "version": peft.__version__, "class": "LoraConfig", "keys": keys}
    arguments.out.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
