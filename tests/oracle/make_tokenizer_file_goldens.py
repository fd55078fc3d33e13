"""Writes tests/golden/tokenizer_files.json: how transformers' CLIPTokenizer reads the files beside the vocabulary.

    python tests/oracle/make_tokenizer_file_goldens.py

Every case is a set of files beside the same small vocabulary (its merges are listed once): tokenizer_config.json,
special_tokens_map.json, added_tokens.json and tokenizer.json (of which only what is not the vocabulary is kept), and
the ids of a few texts, padded to LENGTH. "prompts" are texts as diffusers' pipelines hand them to the tokenizer: a
learned token of several vectors, T, T_1, T_2, stands in a prompt by its first name.
"""

import json
import pathlib
import tempfile

from transformers import CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENGTH = 20
MERGES = ["c a", "ca t</w>", "o n", "on e</w>", "b l", "bl u", "blu e</w>", "t o", "to y</w>"]
START, END = "<|startoftext|>", "<|endoftext|>"
TEXTS = ["one blue cat!", "<cat>", "a <cat> toy", "one<cat>blue", "ONE <CAT> TOY", "cat! toy !", "<cat>_1 <cat>_2",
         "<toy>s, a<toy> <toy>! _<toy>", "\u00e9<cat>\u0301 \u00bd<toy>", "<|endoftext|> <|ENDOFTEXT|>", "blue  toy  cat",
         "BLUE toy", "<Style X>", "<style x>", "<img>one<pad>"]


def vocabulary():
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = characters + [c + "</w>" for c in characters] + [m.replace(" ", "") for m in MERGES] + [START, END]
    return {token: i for i, token in enumerate(tokens)}


VOCABULARY = vocabulary()
NEXT = len(VOCABULARY)


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": False, **flags}


def special(content, **flags):
    """As older files describe a special token."""
    described = token(content, **flags)
    described.pop("special")
    return described


def typed(content, **flags):
    return {"__type": "AddedToken", **special(content, **flags)}


PLAIN = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "bos_token": START, "eos_token": END,
         "unk_token": END, "pad_token": END}
ENDS = {str(NEXT - 2): token(START, normalized=True, special=True), str(NEXT - 1): token(END, special=True)}


def decoder(*tokens):
    return {**ENDS, **{str(NEXT + i): t for i, t in enumerate(tokens)}}


CASES = {
    # Which file names the padding: the map goes before the config unless the config lists the added tokens.
    "map over config": dict(config=PLAIN, map={"pad_token": "!"}),
    "map's object over config": dict(config=PLAIN, map={"pad_token": special("!"), "eos_token": special(END)}),
    "config with list over map": dict(config=dict(PLAIN, added_tokens_decoder=dict(ENDS)), map={"pad_token": "!"}),
    "padding from map alone": dict(config={k: v for k, v in PLAIN.items() if k != "pad_token"}, map={"pad_token": "!"}),
    "no config": dict(config={"model_max_length": LENGTH}, map={"bos_token": START, "eos_token": END, "pad_token": "!"}),
    "new padding token": dict(config=dict(PLAIN, pad_token="<pad>")),
    "padding with flags": dict(config=dict(PLAIN, pad_token=typed("!", normalized=True))),
    # Added tokens, one source at a time.
    "added_tokens.json": dict(config=PLAIN, added={"<cat>": NEXT, "<Style X>": NEXT + 1}),
    "added, special by the map": dict(config=PLAIN, added={"<cat>": NEXT, "<Style X>": NEXT + 1},
                                      map={"additional_special_tokens": ["<Style X>"]}),
    "listed in config": dict(config=dict(PLAIN, added_tokens_decoder=decoder(
        token("<cat>", normalized=True), token("<Style X>"), token("<toy>", single_word=True)))),
    "listed, out of order": dict(config=dict(PLAIN, added_tokens_decoder=dict(reversed(list(decoder(
        token("<cat>"), token("<Style X>", normalized=True), token("<toy>", normalized=True, single_word=True))
        .items()))))),
    "stripping": dict(config=dict(PLAIN, added_tokens_decoder=decoder(
        token("<cat>", lstrip=True, rstrip=True), token("toy", rstrip=True), token("  ")))),
    "list without all flags": dict(config=dict(PLAIN, added_tokens_decoder={
        str(NEXT): {"content": "<CAT>"}, str(NEXT + 1): {"content": "<Toy>", "special": True}})),
    "list over added_tokens.json": dict(config=dict(PLAIN, added_tokens_decoder=decoder(token("<toy>"))),
                                        added={"<cat>": NEXT}),
    "tokenizer.json": dict(config=PLAIN, combined=[token("<cat>", normalized=True), token("<toy>", special=True)]),
    "tokenizer.json and list": dict(config=dict(PLAIN, added_tokens_decoder=decoder(token("<toy>"))),
                                    combined=[token("<cat>")]),
    "tokenizer.json and added_tokens.json": dict(config=PLAIN, added={"<cat>": NEXT},
                                                 combined=[token("<cat>", single_word=True)]),
    "extra tokens": dict(config=dict(PLAIN, extra_special_tokens=["<cat>", "<img>"])),
    "additional tokens": dict(config=dict(PLAIN, additional_special_tokens=["<cat>", typed("<Style X>", normalized=True)])),
    "named tokens": dict(config=dict(PLAIN, image_token="<img>", mask_token="<toy>")),
    "tokens of the vocabulary": dict(config=dict(PLAIN, added_tokens_decoder={
        **ENDS, str(VOCABULARY["blue</w>"]): token("blue</w>"), str(VOCABULARY["b"]): token("b")})),
    "longer goes first": dict(config=dict(PLAIN, added_tokens_decoder=decoder(
        token("<cat>"), token("<cat>_1"), token("<cat>_2"), token("<cat>_1 <c", single_word=True)))),
    "same token, other flags": dict(config=dict(PLAIN, eos_token=typed(END, normalized=True), pad_token=END)),
}


def write(folder, case):
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    kept = {"tokenizer_config.json": case["config"]}
    if "map" in case:
        kept["special_tokens_map.json"] = case["map"]
    if "added" in case:
        kept["added_tokens.json"] = case["added"]
    if "combined" in case:
        entries = [{"id": NEXT - 2, **token(START, special=True)}, {"id": NEXT - 1, **token(END, special=True)}]
        entries += [{"id": NEXT + i, **t} for i, t in enumerate(case["combined"])]
        whole = json.loads(CLIPTokenizer(vocab=VOCABULARY, merges=[tuple(m.split()) for m in MERGES])
                           .backend_tokenizer.to_str())
        whole["added_tokens"] = entries
        (folder / "tokenizer.json").write_text(json.dumps(whole))
        kept["tokenizer.json"] = {"padding": whole["padding"], "truncation": whole["truncation"],
                                  "added_tokens": entries}
    for name in kept.keys() - {"tokenizer.json"}:
        (folder / name).write_text(json.dumps(kept[name]))
    return {name: json.dumps(value, ensure_ascii=False) for name, value in kept.items()}


def prompt_for_pipeline(tokenizer, prompt):
    """As TextualInversionLoaderMixin.maybe_convert_prompt of diffusers."""
    for found in set(tokenizer.tokenize(prompt)):
        if found in tokenizer.added_tokens_encoder:
            names, i = found, 1
            while f"{found}_{i}" in tokenizer.added_tokens_encoder:
                names += f" {found}_{i}"
                i += 1
            prompt = prompt.replace(found, names)
    return prompt


def ids(tokenizer, text):
    found = tokenizer(text, padding="max_length", max_length=LENGTH, truncation=True).input_ids
    assert len(found) == LENGTH
    return found


def main():
    result = {"merges": "#version: 0.2\n" + "\n".join(MERGES) + "\n", "cases": []}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            files = write(pathlib.Path(folder), case)
            tokenizer = CLIPTokenizer.from_pretrained(folder)
            prompts = ["a <cat>!", "<cat> and <cat>"]
            entry = {"name": name, "files": files, "highest": max(len(tokenizer) - 1, NEXT - 1),
                     "texts": [[text, ids(tokenizer, text)] for text in TEXTS],
                     "prompts": [[text, ids(tokenizer, prompt_for_pipeline(tokenizer, text))] for text in prompts]}
            result["cases"].append(entry)
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    (ROOT / "tests" / "golden" / "tokenizer_files.json").write_text(text.replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
