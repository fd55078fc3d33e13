/* The keys that name one of a few things: what there is, once, as an enum in C and as names in presets. Samplers and
 * layers that carry adapters have tables of their own (engine/sampling/schedule.h, engine/model/adapter.h). */
#ifndef ALIGNPROP_PRESET_CHOICES_H
#define ALIGNPROP_PRESET_CHOICES_H

#include <stdbool.h>

/* clang-format off */
/* METHOD(IDENTIFIER, name, whether backprop.k says how far the gradient goes back, its functions in tuning/truncation.c) */
#define BACKPROP_METHODS(METHOD)                          \
    METHOD(ALIGNPROP, "alignprop", false, alignprop)      \
    METHOD(FULL, "full", false, full)                     \
    METHOD(LAST_K, "last-k", true, last)                  \
    METHOD(LOW_VARIANCE, "low-variance", true, last)

/* DRAW(IDENTIFIER, name, its functions in tuning/truncation.c) */
#define TRUNCATION_DRAWS(DRAW)                            \
    DRAW(UNIFORM, "uniform", uniform)                     \
    DRAW(GAUSSIAN, "gaussian", gaussian)

/* PRECISION(IDENTIFIER, name) */
#define PRECISIONS(PRECISION)                             \
    PRECISION(AUTO, "auto")                               \
    PRECISION(F32, "fp32")                                \
    PRECISION(BF16, "bf16")                               \
    PRECISION(F16, "fp16")
/* clang-format on */

#define METHOD(identifier, ...) BACKPROP_##identifier,
enum backprop_method { BACKPROP_METHODS(METHOD) BACKPROP_METHOD_COUNT };
#undef METHOD

#define DRAW(identifier, ...) DRAW_##identifier,
enum truncation_draw { TRUNCATION_DRAWS(DRAW) DRAW_COUNT };
#undef DRAW

#define PRECISION(identifier, ...) PRECISION_##identifier,
enum precision_choice { PRECISIONS(PRECISION) PRECISION_COUNT };
#undef PRECISION

/* The names in their order; NULL past the last. */
const char *backprop_method_name(int method);
const char *truncation_draw_name(int draw);
const char *precision_name(int precision);

/* Whether backprop.k says how far the method goes back. */
bool backprop_method_counts(enum backprop_method method);

#endif
