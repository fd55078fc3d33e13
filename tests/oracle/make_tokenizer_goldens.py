"""Writes tests/golden/tokenizer.json: texts and what transformers' CLIPTokenizer makes of them with CLIP's vocabulary.

    python tests/oracle/make_tokenizer_goldens.py

"full" pairs texts with all ids; "hashed" pairs many more with the FNV-1a hash of the ids (as little-endian 32-bit
numbers), to save room; "variants" are other tokenizer_config.json files, each with a few texts. Ids are those of
max_length 77 with padding and truncation. Characters are of Unicode 3.2, which every version of the libraries knows.
"""

import json
import pathlib
import random
import tempfile
import unicodedata

from transformers import CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIP = ROOT / "presets" / "tokenizers" / "clip"

PIECES = ["a photo of", "cat", "dogs", "it's", "I\u2019m", "WE'LL", "They've", "10,000", "3.14", "!!!", "\u2026", "--",
          "<|endoftext|>", "<|Startoftext|>", "<|endoftext", "!<|ENDOFTEXT|>!", "na\u00efve", "nai\u0308ve",
          "\u00c9COLE", "\u65e5\u672c\u8a9e", "\U0001f600", "\ufb01", "\u00bd", "\u2167", "\u0130", "\u1e9e", "x" * 40,
          "\t\n", '"', "#tag", "@me", "http://a.b/c?d=e", "\u00a0", "\u3000", "\u200b", "\ud55c\uae00", "'S", "''s",
          "\u03a3\u03a3", "\u03b1\u0301", "1\u00b2", "\u0915\u0940", "semi-colon;", "(x)", "\x07", "\x1c", "\x85"]


def vocabulary_with_ids(folder):
    """CLIP's rule of ids, so that transformers finds the file it needs."""
    merges = (CLIP / "merges.txt").read_text().split("\n")[1:-1]
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = characters + [c + "</w>" for c in characters] + [m.replace(" ", "") for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(tokens)) == 49408
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_bytes((CLIP / "merges.txt").read_bytes())


def tokenizer_of(settings):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        vocabulary_with_ids(folder)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return CLIPTokenizer.from_pretrained(folder)


def ids_of(tokenizer, text):
    return tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids


def fnv1a(ids):
    value = 14695981039346656037
    for number in ids:
        for byte in number.to_bytes(4, "little"):
            value = (value ^ byte) * 1099511628211 % 2**64
    return f"{value:016x}"


def random_texts(count):
    random.seed(20)
    old = unicodedata.ucd_3_2_0
    known = [chr(c) for c in range(1, 0x2FA20) if old.category(chr(c)) not in ("Cn", "Cs", "Co")]
    near = [c for c in known if ord(c) < 0x530]
    marks = [chr(c) for c in range(0x300, 0x340)] + list("aeionucAEIO") + list("\u1100\u1161\u11a8\uac00\u0f71\u0f72")
    marks += list("\u0344\u1e9b\u0323\u212b\u2126\u0958\ufb1d")
    letters = "abcdefghijklmnopqrstuvwxyzABCDE '''\"!?.,;:-()<>|0123456789   "
    words = (CLIP / "merges.txt").read_text().split()[2:8000]
    words = [w.replace("</w>", "") for w in words if w.isascii()]
    makers = [
        lambda: " ".join(random.choices(PIECES, k=random.randint(1, 9))),
        lambda: "".join(random.choices(near, k=random.randint(1, 22))),
        lambda: "".join(random.choices(known, k=random.randint(1, 10))),
        lambda: "".join(random.choices(letters, k=random.randint(1, 50))),
        lambda: "".join(random.choices(marks, k=random.randint(1, 16))),
        lambda: " ".join(random.choices(words, k=random.randint(1, 8))),
    ]
    return [makers[i % len(makers)]() for i in range(count)]


def token(content, normalized):
    return {"__type": "AddedToken", "content": content, "lstrip": False, "normalized": normalized, "rstrip": False,
            "single_word": False}


def variants():
    plain = json.loads((CLIP / "tokenizer_config.json").read_text())
    start, end = "<|startoftext|>", "<|endoftext|>"
    normalized = dict(plain, bos_token=token(start, True), eos_token=token(end, True), unk_token=token(end, True))
    listed = dict(plain, added_tokens_decoder={"49406": token(start, True), "49407": token(end, True)})
    for entry in listed["added_tokens_decoder"].values():
        entry.pop("__type")
        entry["special"] = True
    return [normalized, dict(normalized, pad_token="!"), dict(plain, pad_token="!"), listed]


def main():
    plain = json.loads((CLIP / "tokenizer_config.json").read_text())
    tokenizer = tokenizer_of(plain)
    full = [""] + PIECES + random_texts(150) + ["word " * 75, "word " * 76, "a" * 5000, "\u65e5" * 200]
    hashed = random_texts(2200)
    some = ["hello! you!!", "a <|endoftext|> b", "a <|ENDOFTEXT|> b", "\u00e9<|STARTOFTEXT|>!", "!<|endoftext|>!", ""]
    result = {
        "full": [[text, ids_of(tokenizer, text)] for text in full],
        "hashed": [[text, fnv1a(ids_of(tokenizer, text))] for text in hashed],
        "variants": [],
    }
    for row in result["full"]:  # trailing padding is implied
        while row[1] and row[1][-1] == 49407:
            row[1].pop()
    for settings in variants():
        other = tokenizer_of(settings)
        result["variants"].append({"settings": json.dumps(settings),
                                   "full": [[text, ids_of(other, text)[:24]] for text in some]})
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    (ROOT / "tests" / "golden" / "tokenizer.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
