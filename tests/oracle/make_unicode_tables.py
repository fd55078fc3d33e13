"""Writes engine/model/unicode_tables.c: what the tokenizer needs to know of Unicode, from Python's unicodedata.

    python3 tests/oracle/make_unicode_tables.py > engine/model/unicode_tables.c
"""

import sys
import unicodedata

CODES = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


def ranges(member):
    """Runs of code points for which member(code) is true."""
    runs = []
    for code in CODES:
        if member(code):
            if runs and runs[-1][1] == code - 1:
                runs[-1][1] = code
            else:
                runs.append([code, code])
    return runs


def lower_runs():
    """Runs (first, last, step, difference) of one-to-one lower-case mappings."""
    runs = []
    for code in CODES:
        lower = chr(code).lower()
        if len(lower) != 1 or ord(lower) == code:
            continue
        difference = ord(lower) - code
        if runs and runs[-1][3] == difference:
            first, last, step, _ = runs[-1]
            if code - last == step or (first == last and code - last in (1, 2)):
                runs[-1] = (first, code, code - last, difference)
                continue
        runs.append((code, code, 1, difference))
    return runs


def long_lower():
    return [code for code in CODES if len(chr(code).lower()) != 1]


def combining_runs():
    runs = []
    for code in CODES:
        value = unicodedata.combining(chr(code))
        if value == 0:
            continue
        if runs and runs[-1][1] == code - 1 and runs[-1][2] == value:
            runs[-1][1] = code
        else:
            runs.append([code, code, value])
    return runs


def decompositions():
    """(code, first, second or 0): one canonical step, without Hangul, which is computed."""
    pairs = []
    for code in CODES:
        text = unicodedata.decomposition(chr(code))
        if not text or text.startswith("<") or 0xAC00 <= code <= 0xD7A3:
            continue
        parts = [int(part, 16) for part in text.split()]
        assert len(parts) in (1, 2)
        pairs.append((code, parts[0], parts[1] if len(parts) == 2 else 0))
    return pairs


def compositions(pairs):
    """(first, second, code) for the pairs that canonical composition joins."""
    joined = []
    for code, first, second in pairs:
        if second and unicodedata.normalize("NFC", chr(first) + chr(second)) == chr(code):
            joined.append((first, second, code))
    return sorted(joined)


def is_word(code):
    """\\w of regular expressions (UTS 18, annex C): alphabetic, marks, decimal digits, connectors, joiners. Circled
    letters are the alphabetic characters that no category tells."""
    category = unicodedata.category(chr(code))
    circled = 0x24B6 <= code <= 0x24E9 or 0x1F130 <= code <= 0x1F149 or 0x1F150 <= code <= 0x1F169 or \
        0x1F170 <= code <= 0x1F189
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or circled or code in (0x200C, 0x200D)


def table(declaration, rows):
    print(f"const {declaration} = {{")
    line = "   "
    for row in rows:
        cell = " {" + ",".join(f"0x{value:x}" if value >= 0 else str(value) for value in row) + "},"
        if len(line) + len(cell) > 120:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};")


def main():
    assert long_lower() == [0x130], "only U+0130 has a longer lower case"
    pairs = decompositions()
    tables = [
        ("unicode_letters", "struct unicode_range", ranges(lambda c: unicodedata.category(chr(c))[0] == "L")),
        ("unicode_numbers", "struct unicode_range", ranges(lambda c: unicodedata.category(chr(c))[0] == "N")),
        ("unicode_words", "struct unicode_range", ranges(is_word)),
        ("unicode_lower", "struct unicode_case", lower_runs()),
        ("unicode_combining", "struct unicode_class", combining_runs()),
        ("unicode_decompositions", "struct unicode_decomposition", pairs),
        ("unicode_compositions", "struct unicode_composition", compositions(pairs)),
    ]
    print("/* Written by tests/oracle/make_unicode_tables.py; do not edit.")
    print(f" * Data: Unicode Character Database {unicodedata.unidata_version} (Unicode License v3). */")
    print('#include "engine/model/unicode.h"')
    print()
    print("/* clang-format off */")
    for name, kind, rows in tables:
        table(f"{kind} {name}[]", rows)
        print(f"const int {name}_count = {len(rows)};")
    print("/* clang-format on */")


if __name__ == "__main__":
    sys.exit(main())
