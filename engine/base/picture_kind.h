/* The kinds of pictures that a run shows: one table for tuner, protocol and studio. */
#ifndef ALIGNPROP_BASE_PICTURE_KIND_H
#define ALIGNPROP_BASE_PICTURE_KIND_H

/* clang-format off */
/* KIND(IDENTIFIER, what the protocol calls it) */
#define PICTURE_KINDS(KIND)                                                            \
    KIND(DENOISING, "denoising") /* a preview of one that is being made */             \
    KIND(SAMPLE, "sample")       /* of the training batch */                           \
    KIND(BASE, "base")           /* of a held-out prompt, without the adapter */       \
    KIND(EVALUATION, "eval")     /* of a held-out prompt, with the adapter */
/* clang-format on */

#define KIND(identifier, name) PICTURE_##identifier,
enum picture_kind { PICTURE_KINDS(KIND) PICTURE_KIND_COUNT };
#undef KIND

const char *picture_kind_name(enum picture_kind kind);
/* PICTURE_KIND_COUNT if there is none of that name. */
enum picture_kind picture_kind_find(const char *name);

#endif
