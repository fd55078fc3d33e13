/* Opens adapters, checks that they fit the model, and lists their scaled updates by module. */
#include "engine/server/adapter_mix.h"

#include "engine/base/memory.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the model's modules by the names that adapters may use ---- */

struct known_name {
    char key[ADAPTER_KEY_SIZE];
    int module;
};

/* What the adapter at hand has for a module; NULL: nothing yet. */
struct taken {
    const struct adapter_factors *factors;
};

/* One network of the chain: its modules, and what is merged into them. */
struct network {
    const struct adapter_module *(*module)(const struct chain *chain, int index);
    const struct chain *chain;
    int module_count;
    struct known_name *names; /* sorted */
    int name_count;
    struct taken *taken;             /* by module */
    struct low_rank_update *updates; /* room for every module of every adapter */
    int update_count;
};

struct mix {
    struct network networks[2]; /* by enum adapter_network */
};

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct known_name *)left)->key, ((const struct known_name *)right)->key);
}

static void add_name(struct network *network, enum adapter_network kind, const char *name, int module)
{
    struct known_name *known = &network->names[network->name_count++];
    adapter_key(kind, name, known->key);
    known->module = module;
}

/* Every module by its diffusers name, the U-Net's by those of the original layout too. */
static status open_network(struct network *network, enum adapter_network kind, const struct model *model,
                           size_t update_limit)
{
    size_t count = (size_t)network->module_count;
    network->names = memory_take(2 * count, sizeof *network->names);
    network->taken = memory_take(count, sizeof *network->taken);
    network->updates = memory_take(update_limit, sizeof *network->updates);
    for (int i = 0; i < network->module_count; i++) {
        const char *name = network->module(network->chain, i)->name;
        char original[ADAPTER_MODULE_SIZE];
        add_name(network, kind, name, i);
        bool renamed = kind == ADAPTER_NETWORK_UNET && model_original_module(model, name, original, sizeof original) &&
                       strcmp(name, original) != 0;
        if (renamed) add_name(network, kind, original, i);
    }
    qsort(network->names, (size_t)network->name_count, sizeof *network->names, compare_names);
    return status_ok();
}

static status open_networks(struct mix *mix, const struct model *model, const struct chain *chain, size_t update_limit)
{
    mix->networks[ADAPTER_NETWORK_UNET] =
        (struct network){.module = chain_module, .chain = chain, .module_count = chain_module_count(chain)};
    mix->networks[ADAPTER_NETWORK_TEXT] =
        (struct network){.module = chain_text_module, .chain = chain, .module_count = chain_text_module_count(chain)};
    TRY(open_network(&mix->networks[ADAPTER_NETWORK_UNET], ADAPTER_NETWORK_UNET, model, update_limit));
    return open_network(&mix->networks[ADAPTER_NETWORK_TEXT], ADAPTER_NETWORK_TEXT, model, update_limit);
}

static void mix_clear(struct mix *mix)
{
    for (int i = 0; i < 2; i++) {
        free(mix->networks[i].names);
        free(mix->networks[i].taken);
        free(mix->networks[i].updates);
    }
}

static int find_module(const struct network *network, const struct adapter_factors *factors)
{
    struct known_name wanted;
    snprintf(wanted.key, sizeof wanted.key, "%s", factors->kohya);
    const struct known_name *found =
        bsearch(&wanted, network->names, (size_t)network->name_count, sizeof *network->names, compare_names);
    return found ? found->module : -1;
}

/* ---- one module's update ---- */

/* Inputs and window of a down factor [rank, in] or [rank, in, k, k], as a module of inputs and window has it. A window
 * of one pixel and none are the same. */
static bool down_fits(const struct adapter_module *module, const struct shape *down)
{
    int64_t window = module->kernel ? module->kernel : 1;
    bool square = down->rank == 2 ? window == 1 : down->dimension[2] == window && down->dimension[3] == window;
    return square && down->dimension[1] == module->inputs;
}

static status check_sizes(const struct adapter_module *module, const struct adapter_factors *factors, const char *name)
{
    if (down_fits(module, &factors->down_shape) && factors->up_shape.dimension[0] == module->outputs)
        return status_ok();
    const struct shape *down = &factors->down_shape;
    long long window = down->rank == 4 ? (long long)down->dimension[2] : 1;
    return status_error(STATUS_BAD_INPUT,
                        "%s: %s has %lld inputs, %lld outputs and a window of %lld; the model's has %lld, %lld and %d",
                        name, module->name, (long long)down->dimension[1], (long long)factors->up_shape.dimension[0],
                        window, (long long)module->inputs, (long long)module->outputs,
                        module->kernel ? module->kernel : 1);
}

static double largest(const float *values, const struct shape *shape)
{
    double most = 0;
    for (int64_t i = 0; i < shape_elements(shape); i++)
        if (fabsf(values[i]) > most) most = fabsf(values[i]);
    return most;
}

/* Finite factors can still have a product that no fp32 number holds. */
static status check_range(const struct low_rank_update *update, const struct adapter_factors *factors, const char *name)
{
    double up = fabs(update->scale) * largest(factors->up, &factors->up_shape);
    double most = up * largest(factors->down, &factors->down_shape) * (double)update->rank;
    if (up <= FLT_MAX && most <= FLT_MAX) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: %s: the update may reach %g at this scale; expected numbers below %g",
                        name, factors->kohya, most, (double)FLT_MAX);
}

/* ---- an adapter ---- */

/* What the model has no layer for. */
struct left_out {
    int count;
    char first[ADAPTER_KEY_SIZE];
};

static void leave_out(struct left_out *left_out, int count, const char *name)
{
    if (left_out->count == 0) snprintf(left_out->first, sizeof left_out->first, "%s", name);
    left_out->count += count;
}

static status add_module(struct network *network, const struct mixed_adapter *adapter,
                         const struct adapter_factors *factors, struct left_out *left_out)
{
    int module = find_module(network, factors);
    if (module < 0) {
        leave_out(left_out, 1, factors->module[0] ? factors->module : factors->kohya);
        return status_ok();
    }
    const struct adapter_factors *before = network->taken[module].factors;
    if (before)
        return status_error(STATUS_BAD_INPUT, "%s: %s and %s are the same module of the model; expected it once",
                            adapter->name, before->kohya, factors->kohya);
    network->taken[module].factors = factors;
    TRY(check_sizes(network->module(network->chain, module), factors, adapter->name));
    int64_t rank = factors->down_shape.dimension[0];
    struct low_rank_update update = {.module = module,
                                     .rank = rank,
                                     .scale = adapter->scale * factors->alpha / (double)rank,
                                     .down = factors->down,
                                     .up = factors->up};
    if (update.scale == 0) return status_ok();
    TRY(check_range(&update, factors, adapter->name));
    /* The mix owns them. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    network->updates[network->update_count++] = update;
    return status_ok();
}

/* Whether every module of the adapter's text encoder that the model has too is as large there; one that is not tells
 * that the adapter was made with another text encoder. */
static status check_text_encoder(const struct mix *mix, const struct mixed_adapter *adapter)
{
    const struct network *network = &mix->networks[ADAPTER_NETWORK_TEXT];
    for (int i = 0; i < adapter->set->count; i++) {
        const struct adapter_factors *factors = &adapter->set->modules[i];
        int module = factors->network == ADAPTER_NETWORK_TEXT ? find_module(network, factors) : -1;
        if (module >= 0) TRY(check_sizes(network->module(network->chain, module), factors, adapter->name));
    }
    return status_ok();
}

static status report_left_out(const struct mixed_adapter *adapter, const struct left_out *left_out,
                              struct adapter_warnings *warnings)
{
    char more[40] = "";
    if (left_out->count == 0) return status_ok();
    if (left_out->count > 1) snprintf(more, sizeof more, " (and %d more)", left_out->count - 1);
    if (left_out->count - adapter->set->foreign_count == adapter->set->count)
        return status_error(STATUS_BAD_INPUT, "%s: the model has none of the adapter's modules: no %s%s", adapter->name,
                            left_out->first, more);
    adapter_warn(warnings, "%.200s: the model has no %.120s%s: this part of the adapter is left out", adapter->name,
                 left_out->first, more);
    return status_ok();
}

static int count_modules(const struct adapter_set *set, enum adapter_network network)
{
    int count = 0;
    for (int i = 0; i < set->count; i++) count += set->modules[i].network == network;
    return count;
}

static status add_adapter(struct mix *mix, const struct mixed_adapter *adapter, struct adapter_warnings *warnings)
{
    struct left_out left_out = {0};
    status text = check_text_encoder(mix, adapter);
    if (text.code != STATUS_OK && count_modules(adapter->set, ADAPTER_NETWORK_UNET) == 0) return text;
    if (text.code != STATUS_OK)
        adapter_warn(warnings, "%.300s: the adapter's text encoder part is left out", text.message);
    for (int i = 0; i < 2; i++)
        memset(mix->networks[i].taken, 0, (size_t)mix->networks[i].module_count * sizeof *mix->networks[i].taken);
    for (int i = 0; i < adapter->set->count; i++) {
        const struct adapter_factors *factors = &adapter->set->modules[i];
        if (factors->network == ADAPTER_NETWORK_TEXT && text.code != STATUS_OK) continue;
        TRY(add_module(&mix->networks[factors->network], adapter, factors, &left_out));
    }
    if (adapter->set->foreign_count > 0) leave_out(&left_out, adapter->set->foreign_count, adapter->set->foreign);
    return report_left_out(adapter, &left_out, warnings);
}

static status merge(const struct mix *mix, struct chain *chain)
{
    const struct network *unet = &mix->networks[ADAPTER_NETWORK_UNET], *text = &mix->networks[ADAPTER_NETWORK_TEXT];
    TRY(chain_merge(chain, unet->updates, unet->update_count));
    return chain_merge_text(chain, text->updates, text->update_count);
}

status adapter_mix(const struct model *model, struct chain *chain, const struct mixed_adapter *adapters, int count,
                   struct adapter_warnings *warnings)
{
    struct mix mix = {0};
    size_t modules = 0;
    for (int i = 0; i < count; i++) modules += (size_t)adapters[i].set->count;
    status result = open_networks(&mix, model, chain, modules);
    for (int i = 0; i < count && result.code == STATUS_OK; i++) {
        if (adapters[i].scale == 0) continue; /* linear: nothing of it is left */
        result = add_adapter(&mix, &adapters[i], warnings);
    }
    if (result.code == STATUS_OK) result = merge(&mix, chain);
    mix_clear(&mix);
    return result;
}
