/* The text encoder's modules that adapters change, and its weights with adapters merged in. */
#include "engine/base/memory.h"
#include "engine/sampling/chain_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char weight[] = ".weight", embeddings[] = ".embeddings.";

/* Linear layers: weights of two dimensions that are no tables of embeddings. */
static bool is_linear(const struct tensor *tensor)
{
    size_t length = strlen(tensor->name);
    return tensor_is_weight(tensor) && tensor->shape.rank == 2 && length > sizeof weight &&
           strcmp(tensor->name + length - (sizeof weight - 1), weight) == 0 && !strstr(tensor->name, embeddings);
}

static void add_module(struct chain *chain, const struct tensor *tensor)
{
    int index = chain->text_modules.module_count;
    struct adapter_module *modules = memory_resize(chain->text_modules.modules, (size_t)index + 1, sizeof *modules);
    chain->text_modules.modules = modules;
    struct adapter_module *module = &modules[index];
    *module = (struct adapter_module){.inputs = tensor->shape.dimension[1], .outputs = tensor->shape.dimension[0]};
    snprintf(module->name, sizeof module->name, "%.*s", (int)(strlen(tensor->name) - (sizeof weight - 1)),
             tensor->name);
    chain->text_modules.module_count++;
}

void chain_list_text_modules(struct chain *chain)
{
    for (tensor_id id = 0; id < graph_tensor_count(chain->text.graph); id++) {
        const struct tensor *tensor = graph_tensor(chain->text.graph, id);
        if (is_linear(tensor)) add_module(chain, tensor);
    }
}

int chain_text_module_count(const struct chain *chain)
{
    return chain->text_modules.module_count;
}

const struct adapter_module *chain_text_module(const struct chain *chain, int index)
{
    return &chain->text_modules.modules[index];
}

void chain_open_text_weights(struct chain *chain)
{
    chain->text_merge = (struct text_merge){.base = model_text_weights(chain->model),
                                            .modules = chain->text_modules.modules,
                                            .module_count = chain->text_modules.module_count};
    chain->text_changed = memory_take((size_t)chain->text_modules.module_count, sizeof *chain->text_changed);
    chain->text_weights = weight_set_create(chain->backend, text_merge_source(&chain->text_merge));
}

/* Reads a module's weight again, wherever the program has it. */
static status renew(struct chain *chain, int module)
{
    char name[200];
    module_weight_name(&chain->text_modules.modules[module], false, name, sizeof name);
    TRY(weight_set_renew(chain->text_weights, name));
    return program_pack(chain->text.program, name, chain_packed(chain, &chain->text), chain_work(chain),
                        chain_scratch(chain));
}

static void forget_prompts(struct chain *chain)
{
    for (int i = 0; i < chain->cache_count; i++) {
        free(chain->cache[i].prompt);
        free(chain->cache[i].states);
        chain->cache[i] = (struct cached_text){NULL, NULL};
    }
    chain->cache_count = chain->cache_next = 0;
}

/* Modules that have an update now, or had one that the program still holds, are read again. */
static status renew_changed(struct chain *chain)
{
    bool any = false;
    for (int i = 0; i < chain->text_merge.update_count; i++)
        chain->text_changed[chain->text_merge.updates[i].module] = true;
    for (int i = 0; i < chain->text_modules.module_count; i++) {
        if (!chain->text_changed[i]) continue;
        any = true;
        TRY(renew(chain, i));
    }
    if (any) forget_prompts(chain);
    memset(chain->text_changed, 0, (size_t)chain->text_modules.module_count * sizeof *chain->text_changed);
    for (int i = 0; i < chain->text_merge.update_count; i++)
        chain->text_changed[chain->text_merge.updates[i].module] = true;
    return status_ok();
}

status chain_merge_text(struct chain *chain, const struct low_rank_update *updates, int count)
{
    TRY(chain_close_step(chain));
    chain->text_merge.updates = updates;
    chain->text_merge.update_count = count;
    status result = renew_changed(chain);
    chain->text_merge.updates = NULL;
    chain->text_merge.update_count = 0;
    return result;
}
