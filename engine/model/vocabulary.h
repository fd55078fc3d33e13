/* The vocabulary of a byte-pair tokenizer: tokens with their ids, and the pairs of them that merge.
 *
 * Files write every byte as one printable character; a token that ends a word ends in "</w>". */
#ifndef ALIGNPROP_MODEL_VOCABULARY_H
#define ALIGNPROP_MODEL_VOCABULARY_H

#include <stdbool.h>

#include "kernels/status.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

struct vocabulary;

enum { VOCABULARY_NO_TOKEN = -1, VOCABULARY_MAXIMUM_ID = 10000000 };

/* Reads `tokens`, the object of token names and ids (vocab.json), and the merges: `merge_text` in the form of
 * merges.txt (a "#version" line, then a pair a line, best first), or else the array `merge_list` of "LEFT RIGHT" or
 * ["LEFT", "RIGHT"] (tokenizer.json). Where `tokens` is NULL the ids follow CLIP's rule: 256 bytes, 256 bytes that end
 * a word, the merges in their order, "<|startoftext|>", "<|endoftext|>". `origin` names the files in messages.
 * STATUS_BAD_INPUT names the token or line. */
status vocabulary_create(const cJSON *tokens, const char *merge_text, const cJSON *merge_list, const char *origin,
                         struct vocabulary **vocabulary);
void vocabulary_destroy(struct vocabulary *vocabulary);

/* Id of the token of that name, or VOCABULARY_NO_TOKEN. */
int32_t vocabulary_find(const struct vocabulary *vocabulary, const char *name);
/* Id of one byte, standing inside a word or at its end. */
int32_t vocabulary_byte(const struct vocabulary *vocabulary, unsigned char byte, bool at_end);
int32_t vocabulary_highest_id(const struct vocabulary *vocabulary);
/* Tokens, and merges. */
int32_t vocabulary_count(const struct vocabulary *vocabulary);
int vocabulary_merges(const struct vocabulary *vocabulary);
/* Counts the tokens of several characters that no merge makes, but for those that `is_known` takes; `*first` is the
 * one of the lowest id, or NULL. Less memory than it needs counts as none. */
int vocabulary_unmade(const struct vocabulary *vocabulary, bool (*is_known)(const void *context, const char *name),
                      const void *context, const char **first);

/* Room that vocabulary_encode_word needs for a word of `length` bytes. */
size_t vocabulary_workspace(size_t length);
/* Merges the bytes of one word (length >= 1) into tokens: at each step the pair of best rank, the leftmost of equal
 * ones. Bytes without a token become `unknown`. `ids` has room for `length`; returns the number of tokens. */
size_t vocabulary_encode_word(const struct vocabulary *vocabulary, const unsigned char *word, size_t length,
                              int32_t unknown, void *workspace, int32_t *ids);

#endif
