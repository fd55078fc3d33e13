/* `export`: writes a run's adapter as a file of its own and says how many tensors came back as they were. */
#include "engine/run/export.h"
#include "engine/base/json.h"
#include "engine/cli/work.h"

#include <stdio.h>
#include <string.h>

static status parse_format(const struct invocation *invocation, enum adapter_format *format)
{
    const char *given = option_value(invocation, "format");
    *format = ADAPTER_KOHYA;
    if (!given || strcmp(given, "kohya") == 0) return status_ok();
    *format = ADAPTER_PEFT;
    if (strcmp(given, "peft") == 0) return status_ok();
    return status_error(STATUS_USAGE, "--format: expected kohya or peft, found \"%.40s\"", given);
}

static void print_report(const struct invocation *invocation, const struct export_order *order,
                         const struct export_report *report)
{
    if (!invocation->json) {
        print_line("%s: read back, %d of %d tensors match", report->path, report->matching, report->total);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "path", report->path);
    cJSON_AddStringToObject(object, "format", order->format == ADAPTER_PEFT ? "peft" : "kohya");
    cJSON_AddNumberToObject(object, "scale", order->scale);
    cJSON_AddNumberToObject(object, "matching", report->matching);
    cJSON_AddNumberToObject(object, "total", report->total);
    print_json(object);
    cJSON_Delete(object);
}

/* The model need not be there to export an adapter; where it is, it is looked at. */
static status look_at_model(const struct invocation *invocation, const struct run_folder *folder)
{
    struct work work = {0};
    TRY(run_folder_preset(folder, &work.preset, NULL));
    work.has_preset = true;
    if (work_find_model(invocation, &work).code == STATUS_OK) work_warn_of_other_weights(invocation, folder, &work);
    work_close(&work);
    return status_ok();
}

status command_export(const struct invocation *invocation)
{
    struct run_folder folder;
    struct export_order order = {.folder = &folder, .target = option_value(invocation, "output")};
    struct export_report report;
    TRY(parse_format(invocation, &order.format));
    TRY(option_number(invocation, "scale", -100, 100, 1, &order.scale));
    TRY(open_run_step(invocation->arguments[0], &folder, &order.step));
    TRY(look_at_model(invocation, &folder));
    status exported = export_adapter(&order, &report);
    if (report.total > 0) print_report(invocation, &order, &report);
    return exported;
}
