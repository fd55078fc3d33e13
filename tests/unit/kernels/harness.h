/* Runs one operation on any backend from arrays in double precision, and derives the vector-Jacobian products that
 * belong to an operation: the tests of all backends are built on this. */
#ifndef ALIGNPROP_TESTS_UNIT_KERNELS_HARNESS_H
#define ALIGNPROP_TESTS_UNIT_KERNELS_HARNESS_H

#include "kernels/backend.h"

/* The reference backend, which results are compared with: there from harness_open_reference to harness_close_reference,
 * which are the set-up and tear-down of a group of cmocka's tests and return 0 on success. */
extern struct backend *harness_reference;
int harness_open_reference(void **unused);
int harness_close_reference(void **unused);

/* Operands of one operation; indices are held as doubles too. Entries beyond the counts, and of absent operands, are
 * NULL. */
struct tensors {
    double *input[MAXIMUM_INPUTS];
    double *output[MAXIMUM_OUTPUTS];
};

/* Whether the table of operations marks the operand as exact. */
bool harness_is_exact(enum operation_kind kind, bool output, int index);

/* The operation with rows that adjoin. */
struct operation harness_adjoining(const struct operation *operation);

/* Runs `operation` once. Its element types are replaced by the backend's own, int32 operands kept. Outputs are poisoned
 * with NaN before (with what tensors->output holds where the operation accumulates); where rows of an operand do not
 * adjoin, NaN lies between them and must stay there. `in_place` lets output 0 share the
 * memory of the input that the table names, where there is one. */
status harness_run(struct backend *backend, const struct operation *operation, struct tensors *tensors, bool in_place);

/* Allocates all operands and fills the inputs with values that both `type` and double represent; the inputs of an
 * operation of the table below that come from its forward operation are not set. Free with harness_release. */
void harness_allocate(const struct operation *operation, struct tensors *tensors);
void harness_release(struct tensors *tensors);
/* Values for a forward operation, by `seed`: normal, or in the domain of the function, or valid indices. Everything is
 * rounded to `type`. */
void harness_fill(const struct operation *operation, enum element_type type, uint64_t seed, struct tensors *tensors);

/* The value of `type` nearest to `value`, as a double. */
double harness_round(enum element_type type, double value);
/* A normally distributed number; *state is any number and changes. */
double harness_normal(uint64_t *state);
int64_t harness_elements(const struct operand *operand);

/* |a - b| / |b| (Euclidean), infinite where a has a NaN. Where b is zero throughout, the largest of a: what
 * rounding leaves of terms that cancel, which are of the order of the operands, 1. */
double harness_distance(const double *a, const double *b, int64_t count);

/* A vector-Jacobian product that belongs to a forward operation. */
struct vjp {
    struct operation operation;
    /* Where each input comes from: the forward operation's input i (i), its output i (FROM_OUTPUT + i), or the
     * cotangent of output 0. */
    int source[MAXIMUM_INPUTS];
    int gradient_of[MAXIMUM_OUTPUTS]; /* the forward input that each output is the gradient of */
};
enum { FROM_OUTPUT = 100, FROM_COTANGENT = 200, MAXIMUM_VJPS = 2 };

/* The operations of the table that make the products of `forward` (0: they are made of other operations). */
int harness_vjps(const struct operation *forward, struct vjp vjps[MAXIMUM_VJPS]);
/* Fills the product's inputs from the forward operation's operands and a cotangent (all rounded to `type`). */
void harness_fill_vjp(const struct vjp *vjp, enum element_type type, const struct tensors *forward,
                      const double *cotangent, struct tensors *tensors);

/* The operation with a residual, where the table has one for it: numbers of `type`, which are the one more input in
 * `tensors` and to be freed by the caller. False where the table has none. */
bool harness_add_residual(const struct operation *operation, enum element_type type, uint64_t seed,
                          struct operation *with, struct tensors *tensors);

/* Allocates `to` as `from`; its outputs hold numbers of `type` that an operation which accumulates adds to. */
void harness_copy(const struct operation *operation, const struct tensors *from, enum element_type type,
                  struct tensors *to);

/* Calls `compare` for every product that belongs to `forward` and has all its inputs, filled from the forward
 * operation's operands (whose outputs the reference backend computes first) and a random cotangent, all rounded to
 * `type`. The name is the forward operation's and the product's. */
typedef void harness_compare(void *context, const char *name, const struct operation *operation,
                             const struct tensors *tensors);
status harness_compare_vjps(const char *name, const struct operation *forward, enum element_type type, uint64_t seed,
                            struct tensors *tensors, harness_compare *compare, void *context);

#endif
