/* Matrix products and convolutions by oneDNN. onednn.c is the one file that meets its interface.
 *
 * Each operation is cut into one part a thread (onednn_parts.h), and oneDNN works on each part in one thread: its own
 * threads would spin against ours. */
#ifndef ALIGNPROP_KERNELS_CPU_ONEDNN_H
#define ALIGNPROP_KERNELS_CPU_ONEDNN_H

#include "kernels/backend.h"
#include "kernels/parallel.h"

struct onednn;
struct onednn_product;

/* The library's version, such as "3.5.3"; "" where the program was built without oneDNN. */
void onednn_version(char text[32]);

/* *onednn is NULL where the program was built without oneDNN. `parallel` must outlive it. */
status onednn_create(struct parallel *parallel, struct onednn **onednn);
void onednn_destroy(struct onednn *onednn);

/* Prepares any operation of the linear and convolution families, or a MATMUL. *product is NULL, and that no error,
 * where oneDNN has nothing but its reference loops for it. */
status onednn_prepare(struct onednn *onednn, const struct operation *operation, struct onednn_product **product,
                      struct kernel_requirements *requirements);
void onednn_discard(struct onednn_product *product);
status onednn_pack(struct onednn_product *product, const void *weight, void *packed, void *scratch);
/* Inputs and output in the operation's order; `bias` is NULL where the operation has none. */
status onednn_run(struct onednn_product *product, const void *first, const void *second, const void *bias, void *output,
                  const void *packed, void *scratch);

#endif
