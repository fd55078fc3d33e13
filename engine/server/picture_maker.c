/* Keeps model, chain and adapters of the last request, and opens anew only what the next one changes. */
#include "engine/server/picture_maker.h"

#include "engine/base/clock.h"
#include "engine/base/files.h"
#include "engine/base/format.h"
#include "engine/base/memory.h"
#include "engine/server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEPT_ADAPTERS = 16 };

/* How a file was when it was read. */
struct stamp {
    struct timespec modified;
    off_t bytes; /* -1: there is none */
};

/* An adapter in memory, read again when one of its files has changed. */
struct kept_adapter {
    char path[PATH_SIZE];
    struct stamp factors, config;
    struct adapter_set set;
    unsigned long long used; /* larger: later */
};

/* What a chain was built for. */
struct chain_key {
    char model[PATH_SIZE];
    const char *sampler;
    int steps, width, height;
    double guidance, eta;
};

struct picture_maker {
    struct backend *backend;
    struct model *model;
    struct chain *chain;
    struct chain_key key;
    struct kept_adapter adapters[KEPT_ADAPTERS];
    int adapter_count;
    unsigned long long uses;
    double last_made;
};

struct picture_maker *picture_maker_create(struct backend *backend)
{
    struct picture_maker *maker = memory_take(1, sizeof *maker);
    maker->backend = backend;
    return maker;
}

static void close_chain(struct picture_maker *maker)
{
    chain_destroy(maker->chain);
    maker->chain = NULL;
    model_close(maker->model);
    maker->model = NULL;
}

void picture_maker_rest(struct picture_maker *maker)
{
    if (maker->chain) close_chain(maker);
    for (int i = 0; i < maker->adapter_count; i++) adapter_set_clear(&maker->adapters[i].set);
    maker->adapter_count = 0;
}

void picture_maker_destroy(struct picture_maker *maker)
{
    if (!maker) return;
    picture_maker_rest(maker);
    free(maker);
}

double picture_maker_idle(const struct picture_maker *maker)
{
    return maker->chain ? clock_steady() - maker->last_made : 0;
}

/* ---- the chain -----------------------------------------------------------------------------------------------------
 */

static bool same_key(const struct chain_key *a, const struct chain_key *b)
{
    return strcmp(a->model, b->model) == 0 && strcmp(a->sampler, b->sampler) == 0 && a->steps == b->steps &&
           a->width == b->width && a->height == b->height && a->guidance == b->guidance && a->eta == b->eta;
}

static status open_chain(struct picture_maker *maker, const struct chain_key *key)
{
    TRY(model_open(key->model, &maker->model));
    struct picture_size size = model_facts(maker->model)->default_size;
    struct chain_settings settings = {.sampler = key->sampler,
                                      .steps = key->steps,
                                      .width = key->width ? key->width : size.width,
                                      .height = key->height ? key->height : size.height,
                                      .guidance = key->guidance,
                                      .eta = key->eta,
                                      .batch = 1,
                                      .rank = 1,
                                      .alpha = 1,
                                      .targets = ADAPTER_TARGET_ALL};
    TRY(chain_create(maker->model, maker->backend, &settings, &maker->chain));
    size_t needed = chain_total_bytes(maker->chain), available;
    TRY(maker->backend->interface->memory_free(maker->backend, &available, NULL));
    char name[2][FORMAT_SIZE];
    if (needed > available)
        return status_error(STATUS_NO_MEMORY, "a picture of %dx%d by %.250s needs %s, %s are free", settings.width,
                            settings.height, key->model, format_bytes_closely(name[0], sizeof name[0], (double)needed),
                            format_bytes_closely(name[1], sizeof name[1], (double)available));
    return chain_allocate(maker->chain);
}

static status prepare_chain(struct picture_maker *maker, const struct preset *preset)
{
    struct chain_key key = {.sampler = preset->sampler,
                            .steps = preset->sampler_steps,
                            .width = preset->width,
                            .height = preset->height,
                            .guidance = preset->guidance,
                            .eta = preset->eta};
    snprintf(key.model, sizeof key.model, "%s", preset->model_path);
    if (maker->chain && same_key(&key, &maker->key)) return status_ok();
    close_chain(maker);
    status opened = open_chain(maker, &key);
    if (opened.code != STATUS_OK)
        close_chain(maker);
    else
        maker->key = key;
    return opened;
}

/* ---- adapters ------------------------------------------------------------------------------------------------------
 */

static struct kept_adapter *place_for(struct picture_maker *maker)
{
    if (maker->adapter_count < KEPT_ADAPTERS) {
        struct kept_adapter *fresh = &maker->adapters[maker->adapter_count++];
        memset(fresh, 0, sizeof *fresh);
        return fresh;
    }
    struct kept_adapter *oldest = &maker->adapters[0];
    for (int i = 1; i < KEPT_ADAPTERS; i++)
        if (maker->adapters[i].used < oldest->used) oldest = &maker->adapters[i];
    adapter_set_clear(&oldest->set);
    return oldest;
}

static struct stamp stamp_of(const char *path)
{
    struct stat facts;
    if (!path[0] || stat(path, &facts) != 0) return (struct stamp){.bytes = -1};
    return (struct stamp){.modified = facts.st_mtim, .bytes = facts.st_size};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->bytes == b->bytes &&
           (a->bytes < 0 || (a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec));
}

static status load_adapter(struct picture_maker *maker, const char *path, struct kept_adapter **found)
{
    struct adapter_files files;
    if (!path_is_file(path) && !path_is_directory(path))
        return status_error(STATUS_BAD_INPUT, "%s: there is no such adapter file or folder", path);
    TRY(adapter_files_find(path, &files));
    const struct stamp factors = stamp_of(files.factors), config = stamp_of(files.config);
    struct kept_adapter *kept = NULL;
    for (int i = 0; i < maker->adapter_count && !kept; i++)
        if (strcmp(maker->adapters[i].path, path) == 0) kept = &maker->adapters[i];
    if (!kept || !same_stamp(&kept->factors, &factors) || !same_stamp(&kept->config, &config)) {
        if (kept)
            adapter_set_clear(&kept->set);
        else
            kept = place_for(maker);
        snprintf(kept->path, sizeof kept->path, "%s", path);
        kept->factors.bytes = -1; /* not to be taken for whole if reading fails */
        TRY(adapter_file_read(path, &kept->set));
        kept->factors = factors;
        kept->config = config;
    }
    kept->used = ++maker->uses;
    *found = kept;
    return status_ok();
}

static void warn(const struct picture_order *order, const struct adapter_warnings *warnings)
{
    for (int i = 0; order->warn && i < warnings->count; i++) order->warn(order->context, warnings->lines[i]);
}

static status merge_adapters(struct picture_maker *maker, const struct picture_order *order)
{
    if (order->adapter_count > KEPT_ADAPTERS)
        return status_error(STATUS_BAD_INPUT, "%d adapters are too many at once; at most %d", order->adapter_count,
                            (int)KEPT_ADAPTERS);
    struct mixed_adapter mixed[KEPT_ADAPTERS];
    for (int i = 0; i < order->adapter_count; i++) {
        const struct picture_adapter *adapter = &order->adapters[i];
        mixed[i] = (struct mixed_adapter){.set = adapter->set, .scale = adapter->scale, .name = "the run's adapter"};
        if (!adapter->path) continue;
        struct kept_adapter *kept = NULL;
        TRY(load_adapter(maker, adapter->path, &kept));
        mixed[i].set = &kept->set;
        mixed[i].name = adapter->path;
        warn(order, &kept->set.warnings);
    }
    struct adapter_warnings warnings = {.count = 0};
    status result = adapter_mix(maker->model, maker->chain, mixed, order->adapter_count, &warnings);
    warn(order, &warnings);
    return result;
}

/* ---- pictures ------------------------------------------------------------------------------------------------------
 */

/* Passes pictures on with the order's number instead of the job's. */
struct passing {
    const struct picture_order *order;
    int index;
};

static void pass_picture(void *context, const struct sampled_picture *picture)
{
    const struct passing *passing = context;
    struct sampled_picture numbered = *picture;
    numbered.index = passing->index;
    passing->order->picture(passing->order->context, &numbered);
}

static bool pass_abandon(void *context)
{
    const struct passing *passing = context;
    return passing->order->abandon && passing->order->abandon(passing->order->context);
}

static status make_picture(struct picture_maker *maker, const struct picture_order *order, int index)
{
    struct passing passing = {.order = order, .index = index};
    struct sampling_job job = {.prompts = &order->prompts[index],
                               .prompt_count = 1,
                               .count = 1,
                               .negative = order->preset->negative,
                               .seed = order->seeds[index],
                               .previews = order->previews,
                               .context = &passing,
                               .picture = pass_picture,
                               .abandon = pass_abandon};
    return sampling_run(maker->chain, &job);
}

status picture_maker_make(struct picture_maker *maker, const struct picture_order *order)
{
    TRY(prepare_chain(maker, order->preset));
    TRY(merge_adapters(maker, order));
    for (int i = 0; i < order->count; i++) TRY(make_picture(maker, order, i));
    maker->last_made = clock_steady();
    return status_ok();
}
