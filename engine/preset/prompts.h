/* Prompt lists from files people already have: plain text, tables, JSON.
 *
 *   .txt           one prompt a line; '#' begins a comment line; the flags of sd-scripts (--w 512 --d 42 ...) are cut
 *   .csv .tsv      with a header line; the column "prompt" (or "caption", "text"); cells quoted as in RFC 4180
 *   .json          a list of texts, or of objects with "prompt" (or "caption", "text")
 *   .jsonl         one such object or one text a line */
#ifndef ALIGNPROP_PRESET_PROMPTS_H
#define ALIGNPROP_PRESET_PROMPTS_H

#include "engine/preset/preset.h"

enum { PROMPT_FILE_LIMIT = 16 << 20, PROMPT_COUNT_LIMIT = 100000, PROMPT_LENGTH_LIMIT = 4000 };

/* Appends the prompts of `path` to `list`. `*flags_cut` (may be NULL) is increased by the lines that had flags.
 * STATUS_BAD_INPUT names file, line and what is wrong; a file without any prompt is wrong. */
status prompt_list_read(struct prompt_list *list, const char *path, int *flags_cut);

/* The same for text in memory; the end of `name` tells the format. */
status prompt_list_parse(struct prompt_list *list, const char *text, size_t length, const char *name, int *flags_cut);

/* STATUS_BAD_INPUT for a prompt that is too long, is not UTF-8 or holds control characters; `place` names where it is
 * from. */
status prompt_check(const char *prompt, size_t length, const char *place);

/* Appends a copy of one prompt. `place` names where it is from in messages. */
status prompt_list_append(struct prompt_list *list, const char *prompt, size_t length, const char *place);

void prompt_list_clear(struct prompt_list *list);

/* True if a prompt belongs to the held-out eighth: by a hash of its text, so that it stays there whatever is added. */
bool prompt_is_held_out(const char *prompt);

#endif
