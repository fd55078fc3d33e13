/* Stands for onednn.c in a build without oneDNN: the backend then takes its own loops (vector/product.c). */
#include "kernels/cpu/onednn.h"

void onednn_version(char text[32])
{
    text[0] = '\0';
}

status onednn_create(struct parallel *parallel, struct onednn **onednn)
{
    (void)parallel;
    *onednn = NULL;
    return status_ok();
}

void onednn_destroy(struct onednn *onednn)
{
    (void)onednn;
}

status onednn_prepare(struct onednn *onednn, const struct operation *operation, struct onednn_product **product,
                      struct kernel_requirements *requirements)
{
    (void)onednn, (void)operation, (void)product, (void)requirements;
    return status_error(STATUS_FAILED, "built without oneDNN");
}

void onednn_discard(struct onednn_product *product)
{
    (void)product;
}

status onednn_pack(struct onednn_product *product, const void *weight, void *packed, void *scratch)
{
    (void)product, (void)weight, (void)packed, (void)scratch;
    return status_error(STATUS_FAILED, "built without oneDNN");
}

status onednn_run(struct onednn_product *product, const void *first, const void *second, const void *bias, void *output,
                  const void *packed, void *scratch)
{
    (void)product, (void)first, (void)second, (void)bias, (void)output, (void)packed, (void)scratch;
    return status_error(STATUS_FAILED, "built without oneDNN");
}
