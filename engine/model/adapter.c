/* Which layers an adapter's target names, and the list of the modules that carry factors. */
#include "engine/model/adapter.h"

#include <stdlib.h>
#include <string.h>

/* How the names of modules that can carry an adapter end; the first that fits counts. */
static const struct {
    const char *ending;
    unsigned targets;
} endings[] = {
    {".attn2.to_k", ADAPTER_TARGET_ATTENTION | ADAPTER_TARGET_PROMPT},
    {".attn2.to_v", ADAPTER_TARGET_ATTENTION | ADAPTER_TARGET_PROMPT},
    {".to_q", ADAPTER_TARGET_ATTENTION},
    {".to_k", ADAPTER_TARGET_ATTENTION},
    {".to_v", ADAPTER_TARGET_ATTENTION},
    {".to_out.0", ADAPTER_TARGET_ATTENTION},
    {".ff.net.0.proj", ADAPTER_TARGET_FEED_FORWARD},
    {".ff.net.2", ADAPTER_TARGET_FEED_FORWARD},
    {".conv1", ADAPTER_TARGET_CONVOLUTION},
    {".conv2", ADAPTER_TARGET_CONVOLUTION},
    {".conv_shortcut", ADAPTER_TARGET_CONVOLUTION},
    {".downsamplers.0.conv", ADAPTER_TARGET_CONVOLUTION},
    {".upsamplers.0.conv", ADAPTER_TARGET_CONVOLUTION},
    {".proj_in", ADAPTER_TARGET_CONVOLUTION},
    {".proj_out", ADAPTER_TARGET_CONVOLUTION},
};

unsigned adapter_target_of(const char *module_name)
{
    size_t length = strlen(module_name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i].ending);
        if (length >= ending && strcmp(module_name + length - ending, endings[i].ending) == 0)
            return endings[i].targets;
    }
    return ADAPTER_TARGET_REST;
}

void adapter_plan_clear(struct adapter_plan *plan)
{
    free(plan->modules);
    plan->modules = NULL;
    plan->module_count = 0;
}

const char *adapter_target_name(unsigned target)
{
    switch (target) {
    case ADAPTER_TARGET_ATTENTION: return "attention";
    case ADAPTER_TARGET_FEED_FORWARD: return "feed-forward";
    case ADAPTER_TARGET_CONVOLUTION: return "convolution";
    case ADAPTER_TARGET_PROMPT: return "prompt";
    default: return NULL;
    }
}
