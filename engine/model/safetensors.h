/* Tensors in safetensors files: read by name, and written whole or not at all.
 *
 * The layout (https://huggingface.co/docs/safetensors): 8 bytes little-endian length N, N bytes of JSON that map every
 * tensor name to {"dtype", "shape", "data_offsets"} (and "__metadata__" to a map of strings), then the tensors' bytes,
 * which tile the rest of the file without hole or overlap. Headers come from strangers, so everything is checked on
 * opening: after that an entry's bytes lie inside the file and are exactly as many as its shape and type say. Tensors
 * are read when they are asked for, not mapped: a file that is cut meanwhile is an error like any other. */
#ifndef ALIGNPROP_MODEL_SAFETENSORS_H
#define ALIGNPROP_MODEL_SAFETENSORS_H

#include <stdint.h>

#include "engine/graph/weights.h"
#include "kernels/operations.h"
#include "kernels/status.h"

enum safetensors_type {
    SAFETENSORS_F64,
    SAFETENSORS_F32,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I64,
    SAFETENSORS_I32,
    SAFETENSORS_I16,
    SAFETENSORS_I8,
    SAFETENSORS_U64,
    SAFETENSORS_U32,
    SAFETENSORS_U16,
    SAFETENSORS_U8,
    SAFETENSORS_BOOL,
    SAFETENSORS_F8_E4M3,
    SAFETENSORS_F8_E5M2,
    SAFETENSORS_TYPE_COUNT
};

enum {
    SAFETENSORS_MAXIMUM_RANK = 8,
    SAFETENSORS_MAXIMUM_HEADER = 100000000, /* bytes; the format's own limit */
    SAFETENSORS_MAXIMUM_NAME = 512          /* bytes of a tensor name */
};

/* "F32" and so on, as files spell it. */
const char *safetensors_type_name(enum safetensors_type type);
/* Bytes of one element. */
size_t safetensors_type_size(enum safetensors_type type);

struct safetensors;

struct safetensors_entry {
    const char *name;
    enum safetensors_type type;
    int rank; /* 0 (one element) .. SAFETENSORS_MAXIMUM_RANK */
    int64_t dimension[SAFETENSORS_MAXIMUM_RANK];
    int64_t elements; /* product of the dimensions */
    const struct safetensors *file;
    uint64_t offset; /* of its first byte in the file */
};

/* Opens the file and checks all of its header. STATUS_BAD_INPUT names file, rule and tensor, or what the file is
 * instead. Caller closes. */
status safetensors_open(const char *path, struct safetensors **file);
/* The same over `size` bytes in memory, which must outlive the result; `label` stands for the path in messages. */
status safetensors_parse(const void *bytes, size_t size, const char *label, struct safetensors **file);
void safetensors_close(struct safetensors *file);

const char *safetensors_path(const struct safetensors *file);
/* Number of tensors, and each of them in the order of their names. */
size_t safetensors_count(const struct safetensors *file);
const struct safetensors_entry *safetensors_entry_at(const struct safetensors *file, size_t index);
/* NULL where the file has no tensor of that name. */
const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name);

/* The text under `key` of "__metadata__", or NULL; and all pairs by index (in the order of their keys). */
const char *safetensors_metadata(const struct safetensors *file, const char *key);
size_t safetensors_metadata_count(const struct safetensors *file);
void safetensors_metadata_at(const struct safetensors *file, size_t index, const char **key, const char **value);

/* The elements as they are in the file, little-endian: bytes[elements * size of the type]. */
status safetensors_read_bytes(const struct safetensors_entry *entry, void *bytes);
/* Converts an entry of any type but F8 to fp32: values[entry->elements]. 64-bit integers are rounded. STATUS_BAD_INPUT
 * for F8, and naming tensor and element for an infinity and for what is no number. */
status safetensors_convert(const struct safetensors_entry *entry, float *values);
/* Gives the entry's elements to `sink`: as they are in the file where it takes the type, else as fp32. They are not
 * looked at. */
status safetensors_give(const struct safetensors_entry *entry, struct weight_sink sink);

/* Finds `name`, checks that its shape is `shape` (rank 0 stands for one element) and converts to fp32.
 * STATUS_BAD_INPUT names file, tensor, expected and found. */
status safetensors_read(const struct safetensors *file, const char *name, const struct shape *shape, float *values);
/* As a weight source does. */
status safetensors_read_to(const struct safetensors *file, const char *name, const struct shape *shape,
                           struct weight_sink sink);

/* "[320, 4, 3, 3]" into text, cut at `size`; returns text. */
char *safetensors_shape_text(int rank, const int64_t *dimension, char *text, size_t size);

/* ---- several files behind one lookup ---- */

/* The tensors of one or more files ("shards") by name. */
struct tensor_files;

/* Opens one .safetensors file, or all shards that a .safetensors.index.json file names ("weight_map": tensor name to
 * file name in the same folder). Every tensor must be in the shard that the index says, and in one only. */
status tensor_files_open(const char *path, struct tensor_files **files);
void tensor_files_close(struct tensor_files *files);
/* The path given to open. */
const char *tensor_files_path(const struct tensor_files *files);
/* The safetensors files behind it: one, or all shards. */
size_t tensor_files_shard_count(const struct tensor_files *files);
const char *tensor_files_shard_path(const struct tensor_files *files, size_t index);
size_t tensor_files_count(const struct tensor_files *files);
const struct safetensors_entry *tensor_files_entry_at(const struct tensor_files *files, size_t index);
/* The text under `key` of the first file's metadata that has it, or NULL. */
const char *tensor_files_metadata(const struct tensor_files *files, const char *key);
/* Where tensor `name`, which is there, stands among them. */
size_t tensor_files_index(const struct tensor_files *files, const char *name);
const struct safetensors_entry *tensor_files_find(const struct tensor_files *files, const char *name);
/* The files as a weight source (names as the file has them), valid while they are open. */
struct weight_source tensor_files_source(struct tensor_files *files);

/* ---- writing ---- */

struct safetensors_item {
    const char *name;
    enum safetensors_type type;
    int rank;
    int64_t dimension[SAFETENSORS_MAXIMUM_RANK];
    const void *bytes; /* elements * size of the type, host byte order (little-endian machines only) */
};

struct safetensors_text {
    const char *key, *value; /* UTF-8 */
};

/* Writes the items in the order given, to a temporary file beside `path`, syncs it, renames it over `path` and syncs
 * the folder: after a failure, a full disk or a crash `path` holds what it held before. Names and metadata keys must
 * be unique and valid UTF-8. STATUS_FAILED with the system's words; nothing is left behind. */
status safetensors_write(const char *path, const struct safetensors_item *items, size_t item_count,
                         const struct safetensors_text *metadata, size_t metadata_count);

#endif
