/* What the files of the tokenizer share. */
#ifndef ALIGNPROP_MODEL_TOKENIZER_INTERNAL_H
#define ALIGNPROP_MODEL_TOKENIZER_INTERNAL_H

#include "engine/model/added_tokens.h"
#include "engine/model/remarks.h"
#include "engine/model/tokenizer.h"
#include "engine/model/vocabulary.h"

struct tokenizer {
    struct vocabulary *vocabulary;
    struct added_tokens added;
    struct tokenizer_facts facts;
    struct remarks remarks;
};

#endif
