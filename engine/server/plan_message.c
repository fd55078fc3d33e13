/* A plan's figures and lines as JSON. */
#include "engine/server/plan_message.h"

void plan_message_add_lines(cJSON *object, const struct memory_plan *plan)
{
    cJSON *lines = cJSON_AddArrayToObject(object, "lines");
    for (int i = 0; i < plan->count; i++) {
        cJSON *line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, "name", plan->lines[i].name);
        cJSON_AddNumberToObject(line, "bytes", (double)plan->lines[i].bytes);
        cJSON_AddItemToArray(lines, line);
    }
}

void plan_message_add(cJSON *object, const struct memory_plan *plan)
{
    cJSON_AddNumberToObject(object, "total_bytes", (double)plan->total_bytes);
    cJSON_AddNumberToObject(object, "free_bytes", (double)plan->free_bytes);
    cJSON_AddNumberToObject(object, "adapter_bytes", (double)plan->adapter_bytes);
    cJSON_AddNumberToObject(object, "kept_calls", plan->saved_calls);
    cJSON_AddBoolToObject(object, "recompute_blocks", plan->recompute_blocks);
    cJSON_AddNumberToObject(object, "flops_per_step", plan->flops_per_step);
    plan_message_add_lines(object, plan);
}
