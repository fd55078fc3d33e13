/* Operands written short, for tables of operations. */
#ifndef ALIGNPROP_TESTS_UNIT_KERNELS_OPERANDS_H
#define ALIGNPROP_TESTS_UNIT_KERNELS_OPERANDS_H

#include "kernels/operations.h"

/* Versions of clang-format differ about braces in a macro. */
/* clang-format off */
/* A list of operands or attributes as one argument of a macro. */
#define D(...) {__VA_ARGS__}
/* Of floating type, by dimensions. */
#define S1(a) {.shape = {1, {a}}, .present = true}
#define S2(a, b) {.shape = {2, {a, b}}, .present = true}
#define S3(a, b, c) {.shape = {3, {a, b, c}}, .present = true}
#define S4(a, b, c, d) {.shape = {4, {a, b, c, d}}, .present = true}
/* Columns of a wider tensor, whose rows lie `step` elements apart. */
#define COLUMNS2(a, b, step) {.shape = {2, {a, b}}, .present = true, .row_step = step}
#define COLUMNS3(a, b, c, step) {.shape = {3, {a, b, c}}, .present = true, .row_step = step}
/* Of whole numbers. */
#define I2(a, b) {.shape = {2, {a, b}}, .type = ELEMENT_I32, .present = true}
/* Weights. */
#define W2(a, b) {.shape = {2, {a, b}}, .present = true, .constant = true}
#define W4(a, b, c, d) {.shape = {4, {a, b, c, d}}, .present = true, .constant = true}
/* Left out. */
#define NONE {.present = false}
/* clang-format on */

#endif
