/* A warpgroup's products against whole numbers: what a wrong reading of the instructions, or a fault of the device,
 * would change shows before the first step. */
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "kernels/cuda/internal.h"

/* One tile of 128 rows, and so deep that every stage is used twice. */
enum { ROWS = PRODUCT_WARPGROUP_ROWS, MOST_COLUMNS = 160, DEPTH = 512 };

struct operands {
    int8_t a[ROWS][DEPTH], b[MOST_COLUMNS][DEPTH];
    uint16_t a_bits[ROWS * DEPTH], b_bits[MOST_COLUMNS * DEPTH];
    float expected[ROWS][MOST_COLUMNS];
    float found[ROWS * MOST_COLUMNS]; /* [row][columns of this product] */
};

/* In device memory. */
struct places {
    char *a, *b, *c;
};

/* From -2 to 2: their products' sums are exact in every order. */
static int8_t small_number(int row, int depth, int salt)
{
    uint32_t mixed = (uint32_t)(row * 977 + depth * 131 + salt) * 2654435761u;
    return (int8_t)((mixed >> 24) % 5) - 2;
}

static uint16_t bits_of(enum element_type type, int number)
{
    return type == ELEMENT_BF16 ? bfloat16_from_float((float)number) : half_from_float((float)number);
}

static void fill_operands(struct operands *operands, enum element_type type)
{
    for (int depth = 0; depth < DEPTH; depth++) {
        for (int row = 0; row < ROWS; row++) {
            operands->a[row][depth] = small_number(row, depth, 1);
            operands->a_bits[row * DEPTH + depth] = bits_of(type, operands->a[row][depth]);
        }
        for (int column = 0; column < MOST_COLUMNS; column++)
            operands->b[column][depth] = small_number(column, depth, 2);
    }
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < MOST_COLUMNS; column++) {
            int sum = 0;
            for (int depth = 0; depth < DEPTH; depth++) sum += operands->a[row][depth] * operands->b[column][depth];
            operands->expected[row][column] = (float)sum;
        }
}

/* The first `columns` of b as the product reads them. */
static void lay_out_b(struct operands *operands, enum element_type type, int columns, bool by_columns)
{
    for (int column = 0; column < columns; column++)
        for (int depth = 0; depth < DEPTH; depth++)
            operands->b_bits[by_columns ? depth * columns + column : column * DEPTH + depth] =
                bits_of(type, operands->b[column][depth]);
}

static bool is_expected(const struct operands *operands, int columns)
{
    for (int row = 0; row < ROWS; row++)
        if (memcmp(operands->found + row * columns, operands->expected[row], (size_t)columns * sizeof(float)) != 0)
            return false;
    return true;
}

static struct product product_of(const struct places *places, enum element_type type, int columns, bool by_columns,
                                 bool warp_specialized)
{
    struct product product = {
        .m = ROWS,
        .n = columns,
        .k = DEPTH,
        .batch = 1,
        .alpha = 1,
        .taps = 1,
        .a = {.array = {places->a, type}, .layout = OPERAND_ROWS, .leading = DEPTH},
        .b = {.array = {places->b, type},
              .layout = by_columns ? OPERAND_COLUMNS : OPERAND_ROWS,
              .leading = by_columns ? columns : DEPTH},
        .c = {places->c, ELEMENT_F32},
    };
    plan_product(&product, &(struct product_device){
                               .multiprocessors = 1, .warpgroups = true, .warp_specialized = warp_specialized});
    product.width = columns;
    product.splits = 1;
    return product;
}

static status compare(struct cuda_backend *backend, struct operands *operands, const struct places *places, int columns,
                      bool by_columns, bool *equal)
{
    const struct backend_interface *interface = backend->base.interface;
    enum element_type type = interface->compute_type;
    size_t bytes = (size_t)(ROWS * columns) * sizeof(float);
    lay_out_b(operands, type, columns, by_columns);
    TRY(interface->upload(&backend->base, places->b, operands->b_bits, (size_t)(columns * DEPTH) * sizeof(uint16_t)));
    struct product product = product_of(places, type, columns, by_columns, backend->product_device.warp_specialized);
    launch_product(backend->queue, &product, NULL);
    TRY(cuda_status(cudaGetLastError(), "starting a product"));
    TRY(interface->download(&backend->base, operands->found, places->c, bytes));
    *equal = is_expected(operands, columns);
    return status_ok();
}

static status compare_all(struct cuda_backend *backend, struct operands *operands, const struct places *places,
                          bool *right)
{
    const struct backend_interface *interface = backend->base.interface;
    fill_operands(operands, interface->compute_type);
    TRY(interface->upload(&backend->base, places->a, operands->a_bits, sizeof operands->a_bits));
    *right = true;
    for (int i = 0; i < 4 && *right; i++) TRY(compare(backend, operands, places, i / 2 ? 160 : 128, i % 2 == 1, right));
    return status_ok();
}

status cuda_check_warpgroups(struct cuda_backend *backend, bool *right)
{
    const struct backend_interface *interface = backend->base.interface;
    size_t a_bytes = ROWS * DEPTH * sizeof(uint16_t), b_bytes = MOST_COLUMNS * DEPTH * sizeof(uint16_t);
    void *memory;
    struct operands *operands = malloc(sizeof *operands);
    if (!operands) return status_error(STATUS_NO_MEMORY, "no memory to check the device's products");
    status result = interface->allocate(&backend->base, a_bytes + b_bytes + sizeof operands->found, &memory);
    if (result.code == STATUS_OK) {
        struct places places = {memory, (char *)memory + a_bytes, (char *)memory + a_bytes + b_bytes};
        result = compare_all(backend, operands, &places, right);
        interface->release(&backend->base, memory);
    }
    free(operands);
    return result;
}
