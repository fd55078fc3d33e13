/* CLIP's byte-pair tokenizer, as its files describe it: vocab.json and merges.txt (or tokenizer.json, or merges.txt
 * alone, see vocabulary.h), tokenizer_config.json, special_tokens_map.json and added_tokens.json (tokenizer_files.c).
 *
 * A text is normalised (form C, blanks to single spaces, lower case), split into words, numbers and signs, and each is
 * merged from bytes to tokens. */
#ifndef ALIGNPROP_MODEL_TOKENIZER_H
#define ALIGNPROP_MODEL_TOKENIZER_H

#include <stdbool.h>

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

struct remarks;
struct tokenizer;

struct tokenizer_facts {
    int32_t begin, end, padding, unknown; /* token ids */
    int32_t highest;                      /* the highest id that can come out */
    int maximum_length;                   /* model_max_length; INT_MAX where the files set none */
    bool derived; /* ids follow from merges.txt alone, without a vocab.json to hold it against */
};

/* Reads the files in `folder`. STATUS_BAD_INPUT names file, key or line. Caller closes. */
status tokenizer_open(const char *folder, struct tokenizer **tokenizer);
/* The same from the files' texts; any of them but the merges may be NULL. `label` stands for the folder in messages. */
struct tokenizer_texts {
    const char *vocabulary;         /* vocab.json */
    const char *merges;             /* merges.txt; NULL only with `combined` */
    const char *combined;           /* tokenizer.json: its vocabulary where the merges are missing, its added tokens */
    const char *settings;           /* tokenizer_config.json */
    const char *special_tokens_map; /* special_tokens_map.json */
    const char *added_tokens;       /* added_tokens.json */
};
status tokenizer_parse(const struct tokenizer_texts *texts, const char *label, struct tokenizer **tokenizer);
void tokenizer_close(struct tokenizer *tokenizer);
const struct tokenizer_facts *tokenizer_facts(const struct tokenizer *tokenizer);

/* Writes exactly `length` (at least 2) ids: begin, the text's tokens, end, padding. A text of more tokens than length
 * - 2 is cut and `*cut` (may be NULL) set. Bytes that are no UTF-8 count as U+FFFD. STATUS_BAD_INPUT for a text of more
 * than 64 KiB. */
status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int length, bool *cut);
/* The same for the prompt of a picture: a learned token NAME of several vectors stands for "NAME NAME_1 NAME_2". */
status tokenizer_encode_prompt(const struct tokenizer *tokenizer, const char *text, int32_t *ids, int length,
                               bool *cut);

/* Keys of the files that nothing here knows. */
const struct remarks *tokenizer_remarks(const struct tokenizer *tokenizer);

#endif
