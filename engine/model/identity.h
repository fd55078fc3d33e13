/* What tells a model's weights from others: their sizes and samples of their bytes. A copied, renamed or touched model
 * keeps its identity; other weights, or the same in another element type or layout, have another one. Little is read of
 * each file, so a large model takes milliseconds; a change between the samples alone goes unnoticed. */
#ifndef ALIGNPROP_MODEL_IDENTITY_H
#define ALIGNPROP_MODEL_IDENTITY_H

#include "kernels/status.h"

/* 64 lower-case hexadecimal digits and a NUL for the weight files of the model at `path`: a folder or a single file, of
 * any kind that is known. They are the SHA-256 of one hash a file, in the order of the model's parts and, among the
 * shards of a part, of the hashes. A file's hash is over its size (8 bytes, little-endian), its safetensors header and
 * 64 blocks of 4 KiB, spread evenly from its first to its last byte; a file of up to 256 KiB is read whole, and a file
 * of another format has no header. STATUS_BAD_INPUT where the model cannot be opened. */
status model_identity(const char *path, char digits[65]);

#endif
