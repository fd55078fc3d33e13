/* The names of what keys choose from. */
#include "engine/preset/choices.h"

#include <stddef.h>

#define METHOD(identifier, name, counts, functions) name,
static const char *const method_names[] = {BACKPROP_METHODS(METHOD)};
#undef METHOD
#define DRAW(identifier, name, functions) name,
static const char *const draw_names[] = {TRUNCATION_DRAWS(DRAW)};
#undef DRAW
#define PRECISION(identifier, name) name,
static const char *const precision_names[] = {PRECISIONS(PRECISION)};
#undef PRECISION

const char *backprop_method_name(int method)
{
    return method >= 0 && method < BACKPROP_METHOD_COUNT ? method_names[method] : NULL;
}

const char *truncation_draw_name(int draw)
{
    return draw >= 0 && draw < DRAW_COUNT ? draw_names[draw] : NULL;
}

const char *precision_name(int precision)
{
    return precision >= 0 && precision < PRECISION_COUNT ? precision_names[precision] : NULL;
}

bool backprop_method_counts(enum backprop_method method)
{
#define METHOD(identifier, name, counts, ...) [BACKPROP_##identifier] = (counts),
    static const bool counted[] = {BACKPROP_METHODS(METHOD)};
#undef METHOD
    return counted[method];
}
