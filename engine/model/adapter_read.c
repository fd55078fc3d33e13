/* Reading an adapter: its tensors are sorted by network, module and role, so that a module's are neighbours in whatever
 * way they are named; then each module's factors and strength are read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/adapter_config.h"
#include "engine/model/adapter_set.h"
#include "engine/model/safetensors.h"

enum { CONFIG_LIMIT = 16 << 20 };

/* ---- what the tensors are ---- */

struct named_tensor {
    const struct safetensors_entry *entry;
    enum adapter_network network;
    enum adapter_role role;
    char key[ADAPTER_KEY_SIZE];
};

struct reading {
    const struct safetensors *file;
    struct named_tensor *tensors;
    size_t count;
    struct adapter_config metadata[2], config; /* of U-Net and text encoder; of adapter_config.json */
    cJSON *metadata_tree, *config_tree;        /* what they borrow from */
    int zero_alphas;
    struct adapter_set *set;
};

static const char *path_of(const struct reading *reading)
{
    return safetensors_path(reading->file);
}

static status refuse_name(const struct reading *reading, const char *name, const char *kind)
{
    if (kind)
        return status_error(STATUS_BAD_INPUT,
                            "%s: %s: belongs to %s, which is not supported; expected the factors of a LoRA",
                            path_of(reading), name, kind);
    return status_error(STATUS_BAD_INPUT,
                        "%s: %s: is no part of a LoRA adapter (expected names that end in "
                        ".lora_down.weight, .lora_up.weight, .alpha, .lora_A.weight or .lora_B.weight)",
                        path_of(reading), name);
}

static status name_tensor(struct reading *reading, const struct safetensors_entry *entry)
{
    struct adapter_tensor_name name;
    const char *kind;
    if (!adapter_name_split(entry->name, &name, &kind)) return refuse_name(reading, entry->name, kind);
    struct adapter_set *set = reading->set;
    if (name.network == ADAPTER_NETWORK_OTHER) {
        if (set->foreign_count++ == 0)
            snprintf(set->foreign, sizeof set->foreign, "%.*s", (int)name.written_length, name.written_module);
        return status_ok();
    }
    struct named_tensor *tensor = &reading->tensors[reading->count++];
    *tensor = (struct named_tensor){.entry = entry, .network = name.network, .role = name.role};
    adapter_key(name.network, name.module, tensor->key);
    return status_ok();
}

static int compare_tensors(const void *left, const void *right)
{
    const struct named_tensor *a = left, *b = right;
    int order = strcmp(a->key, b->key);
    if (order != 0) return order;
    return a->role != b->role ? (int)a->role - (int)b->role : strcmp(a->entry->name, b->entry->name);
}

static status name_tensors(struct reading *reading)
{
    size_t count = safetensors_count(reading->file);
    reading->tensors = calloc(count + 1, sizeof *reading->tensors);
    if (!reading->tensors) return status_error(STATUS_NO_MEMORY, "%s: no memory to read it", path_of(reading));
    for (size_t i = 0; i < count; i++) TRY(name_tensor(reading, safetensors_entry_at(reading->file, i)));
    qsort(reading->tensors, reading->count, sizeof *reading->tensors, compare_tensors);
    return status_ok();
}

/* ---- values ---- */

static status read_values(const struct reading *reading, const struct safetensors_entry *entry, float *values)
{
    return status_context(safetensors_convert(entry, values), "%s", path_of(reading));
}

static status read_factor(const struct reading *reading, const struct safetensors_entry *entry, struct shape *shape,
                          float **values)
{
    if (entry->rank != 2 && entry->rank != 4)
        return status_error(STATUS_BAD_INPUT, "%s: %s: expected 2 or 4 dimensions, found %d", path_of(reading),
                            entry->name, entry->rank);
    *shape = (struct shape){.rank = entry->rank};
    for (int i = 0; i < entry->rank; i++) shape->dimension[i] = entry->dimension[i];
    *values = malloc((size_t)entry->elements * sizeof **values + 1);
    if (!*values) return status_error(STATUS_NO_MEMORY, "%s: no memory for %s", path_of(reading), entry->name);
    return read_values(reading, entry, *values);
}

static status read_alpha(const struct reading *reading, const struct safetensors_entry *entry, double *alpha)
{
    float value;
    if (entry->elements != 1)
        return status_error(STATUS_BAD_INPUT, "%s: %s: expected one number, found %lld", path_of(reading), entry->name,
                            (long long)entry->elements);
    TRY(read_values(reading, entry, &value));
    *alpha = value;
    return status_ok();
}

/* ---- a module ---- */

/* The tensors of one module by role; NULL where it has none. */
struct module_tensors {
    const struct safetensors_entry *role[ADAPTER_ROLE_COUNT];
};

static status collect(const struct reading *reading, size_t first, size_t past, struct module_tensors *tensors)
{
    *tensors = (struct module_tensors){{NULL}};
    for (size_t i = first; i < past; i++) {
        const struct named_tensor *tensor = &reading->tensors[i];
        const struct safetensors_entry *before = tensors->role[tensor->role];
        if (before)
            return status_error(STATUS_BAD_INPUT, "%s: %s and %s are the same part of one module; expected it once",
                                path_of(reading), before->name, tensor->entry->name);
        tensors->role[tensor->role] = tensor->entry;
    }
    bool down = tensors->role[ADAPTER_ROLE_DOWN], up = tensors->role[ADAPTER_ROLE_UP];
    if (!down || !up)
        return status_error(STATUS_BAD_INPUT, "%s: %s: the %s factor is missing", path_of(reading),
                            reading->tensors[first].key,
                            down ? "up"
                            : up ? "down"
                                 : "down and the up");
    return status_ok();
}

/* A convolution's update in three factors (LyCORIS, Tucker decomposition): up [out, r], middle [r, r, k, k], down
 * [r, in]. The last two are one down factor: down'[a, i, y, x] = sum over b of middle[a, b, y, x] down[b, i]. */
static status fold_middle(const struct reading *reading, const struct safetensors_entry *entry,
                          struct adapter_factors *module)
{
    struct shape middle_shape, folded_shape;
    float *middle = NULL;
    status result = read_factor(reading, entry, &middle_shape, &middle);
    int64_t rank = module->down_shape.dimension[0], inputs = module->down_shape.dimension[1];
    bool fits = result.code == STATUS_OK && middle_shape.rank == 4 && middle_shape.dimension[1] == rank &&
                shape_elements(&module->down_shape) == rank * inputs;
    if (result.code == STATUS_OK && !fits)
        result = status_error(STATUS_BAD_INPUT, "%s: %s: does not fit between the module's down and up factors",
                              path_of(reading), entry->name);
    if (result.code != STATUS_OK) {
        free(middle);
        return result;
    }
    int64_t rows = middle_shape.dimension[0], window = middle_shape.dimension[2] * middle_shape.dimension[3];
    folded_shape = middle_shape;
    folded_shape.dimension[1] = inputs;
    float *folded = malloc((size_t)(rows * inputs * window) * sizeof *folded + 1);
    for (int64_t at = 0; folded && at < rows * inputs * window; at++) {
        int64_t place = at % window, input = at / window % inputs, row = at / window / inputs;
        double sum = 0;
        for (int64_t b = 0; b < rank; b++)
            sum += (double)middle[(row * rank + b) * window + place] * module->down[b * inputs + input];
        folded[at] = (float)sum;
    }
    free(middle);
    if (!folded) return status_error(STATUS_NO_MEMORY, "%s: no memory for %s", path_of(reading), entry->name);
    free(module->down);
    module->down = folded;
    module->down_shape = folded_shape;
    return status_ok();
}

static status check_ranks(const struct reading *reading, const struct adapter_factors *module)
{
    const struct shape *down = &module->down_shape, *up = &module->up_shape;
    if (down->dimension[0] < 1 || up->dimension[1] != down->dimension[0])
        return status_error(STATUS_BAD_INPUT, "%s: %s: the factors' ranks differ: down has %lld, up has %lld",
                            path_of(reading), module->kohya, (long long)down->dimension[0],
                            (long long)up->dimension[1]);
    if (up->rank == 4 && (up->dimension[2] != 1 || up->dimension[3] != 1))
        return status_error(STATUS_BAD_INPUT, "%s: %s: expected an up factor without a window, found one of %lldx%lld",
                            path_of(reading), module->kohya, (long long)up->dimension[2], (long long)up->dimension[3]);
    if (shape_elements(down) == 0 || shape_elements(up) == 0)
        return status_error(STATUS_BAD_INPUT, "%s: %s: a factor is empty", path_of(reading), module->kohya);
    return status_ok();
}

/* ---- strength ---- */

/* One place that tells a module's alpha. */
struct told_alpha {
    bool told;
    double alpha;
    char by[ADAPTER_WARNING_SIZE];
};

/* Takes an alpha, which must be the one that was told before. */
static status tell_alpha(const struct reading *reading, const struct adapter_factors *module, struct told_alpha *told,
                         double alpha, const char *by)
{
    if (told->told && fabs(told->alpha - alpha) > 1e-6 * fabs(alpha))
        return status_error(STATUS_BAD_INPUT, "%s: %s: alpha is %g by %.150s and %g by %.150s; expected one strength",
                            path_of(reading), module->kohya, told->alpha, told->by, alpha, by);
    if (told->told) return status_ok();
    *told = (struct told_alpha){.told = true, .alpha = alpha};
    snprintf(told->by, sizeof told->by, "%s", by);
    return status_ok();
}

static status tell_by_config(const struct reading *reading, const struct adapter_config *config,
                             const struct adapter_tensor_name *name, const struct adapter_factors *module,
                             struct told_alpha *told)
{
    double alpha = 0;
    char whole[SAFETENSORS_MAXIMUM_NAME + 1];
    if (!config->given) return status_ok();
    if (!name->dotted && adapter_config_has_patterns(config))
        return status_error(STATUS_BAD_INPUT,
                            "%s: has patterns for dotted module names, but %s is written without dots", config->origin,
                            module->kohya);
    snprintf(whole, sizeof whole, "%.*s", (int)name->written_length, name->written_module);
    TRY(adapter_config_alpha(config, name->module, whole, module->down_shape.dimension[0], &alpha));
    return tell_alpha(reading, module, told, alpha, config->origin);
}

static status read_strength(struct reading *reading, const struct module_tensors *tensors,
                            const struct adapter_tensor_name *name, struct adapter_factors *module)
{
    struct told_alpha told = {.told = false};
    const struct safetensors_entry *tensor = tensors->role[ADAPTER_ROLE_ALPHA];
    if (tensor) {
        double alpha = 0;
        TRY(read_alpha(reading, tensor, &alpha));
        TRY(tell_alpha(reading, module, &told, alpha, tensor->name));
    }
    const struct adapter_config *metadata = &reading->metadata[module->network == ADAPTER_NETWORK_TEXT];
    TRY(tell_by_config(reading, metadata, name, module, &told));
    TRY(tell_by_config(reading, &reading->config, name, module, &told));
    module->folded = !told.told;
    module->alpha = told.told ? told.alpha : (double)module->down_shape.dimension[0];
    reading->zero_alphas += module->alpha == 0;
    return status_ok();
}

static status read_module(struct reading *reading, size_t first, size_t past)
{
    struct module_tensors tensors;
    TRY(collect(reading, first, past, &tensors));
    struct adapter_factors *module = &reading->set->modules[reading->set->count++];
    *module = (struct adapter_factors){.network = reading->tensors[first].network};
    snprintf(module->kohya, sizeof module->kohya, "%s", reading->tensors[first].key);
    struct adapter_tensor_name name;
    const char *kind;
    if (!adapter_name_split(tensors.role[ADAPTER_ROLE_DOWN]->name, &name, &kind))
        return status_ok(); /* was split before */
    if (name.dotted) snprintf(module->module, sizeof module->module, "%s", name.module);
    TRY(read_factor(reading, tensors.role[ADAPTER_ROLE_DOWN], &module->down_shape, &module->down));
    TRY(read_factor(reading, tensors.role[ADAPTER_ROLE_UP], &module->up_shape, &module->up));
    if (tensors.role[ADAPTER_ROLE_MIDDLE]) TRY(fold_middle(reading, tensors.role[ADAPTER_ROLE_MIDDLE], module));
    TRY(check_ranks(reading, module));
    return read_strength(reading, &tensors, &name, module);
}

static status read_modules(struct reading *reading)
{
    struct adapter_set *set = reading->set;
    set->modules = calloc(reading->count + 1, sizeof *set->modules);
    if (!set->modules) return status_error(STATUS_NO_MEMORY, "%s: no memory to read it", path_of(reading));
    for (size_t first = 0, past; first < reading->count; first = past) {
        for (past = first + 1; past < reading->count; past++)
            if (strcmp(reading->tensors[past].key, reading->tensors[first].key) != 0) break;
        TRY(read_module(reading, first, past));
    }
    if (set->count == 0 && set->foreign_count == 0)
        return status_error(STATUS_BAD_INPUT, "%s: there is no adapter in it", path_of(reading));
    return status_ok();
}

/* ---- what the file says of itself ---- */

static int compare_keys(const void *key, const void *module)
{
    return strcmp(key, ((const struct adapter_factors *)module)->kohya);
}

/* Fills in the dotted names that our own files tell beside kohya's. */
static void name_modules(struct reading *reading)
{
    const char *names = safetensors_metadata(reading->file, "alignprop.modules");
    while (names && *names) {
        size_t length = strcspn(names, " ");
        char module[ADAPTER_MODULE_SIZE], key[ADAPTER_KEY_SIZE];
        snprintf(module, sizeof module, "%.*s", (int)(length < sizeof module ? length : 0), names);
        adapter_key(ADAPTER_NETWORK_UNET, module, key);
        struct adapter_factors *found = bsearch(key, reading->set->modules, (size_t)reading->set->count,
                                                sizeof *reading->set->modules, compare_keys);
        if (found) snprintf(found->module, sizeof found->module, "%s", module);
        names += length + (names[length] == ' ');
    }
}

/* Keys of a file's metadata that say nothing of the factors: by their beginning, or (without '.' or '_' at the end)
 * whole. */
static const char *const known_metadata[] = {
    "ss_",     "sshs_",    "modelspec.", "ot_",        "alignprop.",    "format",         "lora_adapter_metadata",
    "name",    "version",  "software",   "author",     "training_info", "description",    "license",
    "tags",    "title",    "date",       "thumbnail",  "prompt",        "workflow",       "base_model",
    "trigger", "creation", "framework",  "user_meta.", "civitai_",      "instance_prompt"};

static bool is_known_metadata(const char *key)
{
    for (size_t i = 0; i < sizeof known_metadata / sizeof *known_metadata; i++) {
        const char *known = known_metadata[i];
        size_t length = strlen(known);
        bool beginning = known[length - 1] == '_' || known[length - 1] == '.';
        if (beginning ? strncmp(key, known, length) == 0 : strcmp(key, known) == 0) return true;
    }
    return false;
}

static void warn_of_unknown_metadata(struct reading *reading)
{
    const char *first = NULL;
    int count = 0;
    for (size_t i = 0; i < safetensors_metadata_count(reading->file); i++) {
        const char *key, *value;
        safetensors_metadata_at(reading->file, i, &key, &value);
        if (is_known_metadata(key)) continue;
        if (count++ == 0) first = key;
    }
    char more[40] = "";
    if (count > 1) snprintf(more, sizeof more, " (and %d more)", count - 1);
    if (count > 0)
        adapter_warn(&reading->set->warnings, "%.250s: metadata: unknown key '%.60s'%s", path_of(reading), first, more);
}

static status read_metadata(struct reading *reading)
{
    const char *text = safetensors_metadata(reading->file, "lora_adapter_metadata");
    struct adapter_warnings *warnings = &reading->set->warnings;
    struct json_object root;
    char origin[PATH_SIZE + 40];
    warn_of_unknown_metadata(reading);
    if (!text) return status_ok();
    snprintf(origin, sizeof origin, "%s: lora_adapter_metadata", path_of(reading));
    TRY(json_parse(text, strlen(text), origin, &reading->metadata_tree));
    TRY(json_root(origin, reading->metadata_tree, &root));
    TRY(adapter_config_read(&root, "unet.", &reading->metadata[0], warnings));
    TRY(adapter_config_read(&root, "text_encoder.", &reading->metadata[1], warnings));
    if (reading->metadata[0].given || reading->metadata[1].given) return status_ok();
    /* diffusers leaves the prefix out where it saves one network's adapter alone. */
    TRY(adapter_config_read(&root, "", &reading->metadata[0], warnings));
    reading->metadata[1] = reading->metadata[0];
    return status_ok();
}

/* A file that peft saved has its strength beside it. */
static void warn_of_missing_config(struct reading *reading)
{
    const char *slash = strrchr(path_of(reading), '/'), *name = slash ? slash + 1 : path_of(reading);
    if (strcmp(name, "adapter_model.safetensors") != 0 || reading->metadata[0].given || reading->metadata[1].given)
        return;
    adapter_warn(
        &reading->set->warnings,
        "%.250s: there is no adapter_config.json beside it, which tells the strength: alpha is taken for the rank",
        path_of(reading));
}

static status read_config(struct reading *reading, const char *path)
{
    struct json_object root;
    if (!path[0]) {
        warn_of_missing_config(reading);
        return status_ok();
    }
    TRY(json_read_file(path, CONFIG_LIMIT, &reading->config_tree));
    TRY(json_root(path, reading->config_tree, &root));
    return adapter_config_read(&root, "", &reading->config, &reading->set->warnings);
}

/* `config` is the path of peft's config, or "". */
static status read_all(struct reading *reading, const char *config)
{
    struct adapter_set *set = reading->set;
    TRY(name_tensors(reading));
    TRY(read_metadata(reading));
    TRY(read_config(reading, config));
    TRY(read_modules(reading));
    name_modules(reading);
    if (reading->zero_alphas > 0)
        adapter_warn(&set->warnings, "%.250s: alpha is 0 in %d of %d modules: their update is nothing",
                     path_of(reading), reading->zero_alphas, set->count);
    return status_ok();
}

static status read_and_close(struct safetensors *file, const char *config, struct adapter_set *set)
{
    struct reading reading = {.file = file, .set = set};
    status result = read_all(&reading, config);
    free(reading.tensors);
    cJSON_Delete(reading.metadata_tree);
    cJSON_Delete(reading.config_tree);
    safetensors_close(file);
    if (result.code != STATUS_OK) adapter_set_clear(set);
    return result;
}

status adapter_file_read(const char *path, struct adapter_set *set)
{
    *set = (struct adapter_set){0};
    struct adapter_files files;
    struct safetensors *file;
    TRY(adapter_files_find(path, &files));
    TRY(safetensors_open(files.factors, &file));
    return read_and_close(file, files.config, set);
}

status adapter_parse(const void *bytes, size_t size, const char *label, struct adapter_set *set)
{
    *set = (struct adapter_set){0};
    struct safetensors *file;
    TRY(safetensors_parse(bytes, size, label, &file));
    return read_and_close(file, "", set);
}
