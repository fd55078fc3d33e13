"""Builds the byte-pair vocabulary in CLIP's format, small enough for captions of emoji.

The merges are trained on the words of the captions and on common English, so that
every caption word is one token and other words still fall into a few pieces.  As in
CLIP: 256 bytes, the same 256 with `</w>`, one token a merge, then the begin and the
end token, the end token having the highest id.
"""

import collections
import json

from transformers import CLIPTokenizer

import captions

MAXIMUM_LENGTH = 32
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
# Words people add to prompts; whole tokens cost little and leave room to learn them by tuning.
EXTRA_WORDS = """about above all animal are at beautiful big black bright by color colour colorful cute dark drawing
emoji few flower for forest from fruit funny group happy hello is it icon large light little lots lovely many my
night no not or over pair photo pretty sad scene sky small smiling soft style sweet that their there things this
three tiny together toy under vehicle very warm without world you your none empty left right top bottom middle
seven eight nine ten zero dozen gray""".split()


def byte_characters():
    """CLIP's table from bytes to printable characters."""
    printable = list(range(ord("!"), ord("~") + 1)) + list(range(ord("¡"), ord("¬") + 1)) + list(range(ord("®"), ord("ÿ") + 1))
    table = {byte: chr(byte) for byte in printable}
    following = 256
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(following)
            following += 1
    return [table[byte] for byte in printable] + [table[b] for b in range(256) if b not in printable]


def train_merges(words):
    """Usual byte-pair training, until every word is a single token."""
    pieces = {word: list(word[:-1]) + [word[-1] + "</w>"] for word in words}
    merges = []
    while True:
        pairs = collections.Counter()
        for parts in pieces.values():
            pairs.update(zip(parts, parts[1:]))
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, parts in pieces.items():
            joined = []
            for part in parts:
                # `joined[-1]` may itself be fresh from a merge, as in "aaa": CLIP's own rule takes pairs left to right.
                if joined and (joined[-1], part) == best:
                    joined[-1] += part
                else:
                    joined.append(part)
            pieces[word] = joined


def build(folder):
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted(set(captions.all_words()) | {w for w in EXTRA_WORDS})
    merges = train_merges(words)
    characters = byte_characters()
    tokens = characters + [c + "</w>" for c in characters] + ["".join(pair) for pair in merges] + [BEGIN, END]
    assert len(set(tokens)) == len(tokens)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_settings(folder, padding=END)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    for word in words:
        assert len(tokenizer(word)["input_ids"]) == 3, (word, tokenizer.tokenize(word))
    return tokenizer


def write_settings(folder, padding, length=MAXIMUM_LENGTH):
    def special(content):
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    (folder / "special_tokens_map.json").write_text(json.dumps(
        {"bos_token": special(BEGIN), "eos_token": special(END), "pad_token": padding, "unk_token": special(END)}, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "CLIPTokenizer", "add_prefix_space": False, "bos_token": special(BEGIN), "eos_token": special(END),
         "unk_token": special(END), "pad_token": padding, "do_lower_case": True, "errors": "replace",
         "model_max_length": length}, indent=2) + "\n")


def copy_for(folder, source, padding=END, length=MAXIMUM_LENGTH):
    """The same vocabulary for a reward model; the detector pads with token 0, as OWL-ViT does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_bytes((source / name).read_bytes())
    write_settings(folder, padding, length)


def encode(tokenizer, texts, length=MAXIMUM_LENGTH):
    """Token ids padded to one length."""
    return tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")["input_ids"]
