#!/usr/bin/env python3
"""The cosine between the adapter gradients of two runs of one step, from their checkpoints: after the first step of
AdamW the first moment is the gradient times a constant.

    cosine.py RUN RUN [LEAST]       prints the cosine and the norms; fails below LEAST (0.99)
"""
import array
import json
import math
import pathlib
import struct
import sys


def first_moments(run):
    data = (pathlib.Path(run) / "checkpoints/step-000001/optimizer.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    moments = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name.startswith("first/"):
            assert entry["dtype"] == "F32", name
            first, past = entry["data_offsets"]
            moments[name] = array.array("f", data[8 + length + first:8 + length + past])
    return moments


def main():
    left, right = (first_moments(run) for run in sys.argv[1:3])
    assert left and left.keys() == right.keys()
    product = squares = other = 0.0
    for name, values in left.items():
        product += math.fsum(a * b for a, b in zip(values, right[name]))
        squares += math.fsum(a * a for a in values)
        other += math.fsum(b * b for b in right[name])
    cosine = product / math.sqrt(squares * other)
    print(f"cosine {cosine:.6f}, norms {math.sqrt(squares):.6g} and {math.sqrt(other):.6g}")
    sys.exit(not cosine > float(sys.argv[3] if len(sys.argv) > 3 else 0.99))


if __name__ == "__main__":
    main()
