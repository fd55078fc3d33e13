/* `plan`: a preset's memory by arena and its work per step, before anything runs. */
#include "engine/base/format.h"
#include "engine/base/json.h"
#include "engine/cli/work.h"
#include "engine/server/plan_message.h"
#include "engine/tuning/tuner.h"

#include <stdio.h>

static cJSON *describe_plan(const struct memory_plan *plan, const char *device, bool fits)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "device", device);
    cJSON_AddBoolToObject(object, "fits", fits);
    plan_message_add(object, plan);
    return object;
}

static void print_plan(const struct memory_plan *plan, const char *device)
{
    char bytes[FORMAT_SIZE], available[FORMAT_SIZE];
    for (int i = 0; i < plan->count; i++)
        print_line("%-32s %12s", plan->lines[i].name, format_bytes(bytes, sizeof bytes, (double)plan->lines[i].bytes));
    printf("%-32s %12s of %s free on %s\n", "total", format_bytes(bytes, sizeof bytes, (double)plan->total_bytes),
           format_bytes(available, sizeof available, (double)plan->free_bytes), device);
    printf("%-32s %12s\n", "adapter", format_bytes(bytes, sizeof bytes, (double)plan->adapter_bytes));
    struct format_unit unit = format_operations(plan->flops_per_step);
    printf("%-32s %12.3g %s\n", "work of a step", plan->flops_per_step / unit.size, unit.name);
    printf("%-32s %12d%s\n", "steps with kept activations", plan->saved_calls,
           plan->recompute_blocks ? ", blocks recomputed in the backward pass" : "");
}

static status plan_preset(const struct invocation *invocation, struct work *work)
{
    TRY(work_load_preset(invocation, invocation->arguments[0], NULL, 0, work));
    TRY(work_open_device(invocation, "auto", 0, work));
    struct tuner *tuner;
    TRY(work_name_preset(work, tuner_create(&work->preset, work->backend, (struct tuner_callbacks){0}, &tuner)));
    const struct memory_plan *plan = tuner_plan(tuner);
    status fits = tuner_check_memory(tuner);
    if (fits.code != STATUS_OK) say(invocation, "does not fit: %s", fits.message);
    if (invocation->json) {
        cJSON *object = describe_plan(plan, work->device, fits.code == STATUS_OK);
        print_json(object);
        cJSON_Delete(object);
    } else {
        print_plan(plan, work->device);
    }
    tuner_destroy(tuner);
    return status_ok();
}

status command_plan(const struct invocation *invocation)
{
    struct work work = {0};
    status result = plan_preset(invocation, &work);
    work_close(&work);
    return result;
}
