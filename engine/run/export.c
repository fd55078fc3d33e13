/* Writes an adapter to a path of the user's and compares what can be read back. */
#include "engine/run/export.h"

#include "engine/run/checkpoint.h"
#include "engine/run/run_output.h"

#include <stdio.h>

static status check_names(const struct adapter_set *set, const char *path)
{
    for (int i = 0; i < set->count; i++) {
        if (!set->modules[i].module[0]) {
            return status_error(STATUS_BAD_INPUT, "%s: does not tell the modules' names, which peft needs", path);
        }
    }
    return status_ok();
}

/* The file says of its making what the run's own file says. */
static status write_and_verify(const struct export_order *order, const struct preset *preset, const char *source,
                               const struct adapter_set *set, struct export_report *report)
{
    struct told_facts told;
    TRY(adapter_file_facts(source, &told));
    TRY(adapter_file_write(report->path, set, order->format, order->scale, preset, &told.facts));
    TRY(adapter_file_verify(report->path, set, order->scale, &report->matching, &report->total));
    if (report->matching == report->total) return status_ok();
    return status_error(STATUS_FAILED, "%s: %d of %d tensors do not match what was written", report->path,
                        report->total - report->matching, report->total);
}

static status export_with_preset(const struct export_order *order, const struct preset *preset, const char *source,
                                 struct export_report *report)
{
    const char *ending = order->format == ADAPTER_PEFT ? "-peft" : "";
    if (order->target) {
        TRY(path_format(report->path, "%s", order->target));
    } else {
        TRY(path_format(report->path, "%s%s.safetensors", preset->name, ending));
    }
    TRY(run_output_check(report->path));
    TRY(directory_make_for(report->path));
    struct adapter_set set;
    TRY(adapter_file_read(source, &set));
    status result = order->format == ADAPTER_PEFT ? check_names(&set, source) : status_ok();
    if (result.code == STATUS_OK) result = write_and_verify(order, preset, source, &set, report);
    adapter_set_clear(&set);
    return result;
}

status export_adapter(const struct export_order *order, struct export_report *report)
{
    *report = (struct export_report){.total = 0};
    char source[PATH_SIZE];
    struct preset preset;
    TRY(checkpoint_find_adapter(order->folder, order->step, source));
    TRY(run_folder_preset(order->folder, &preset, NULL));
    status result = export_with_preset(order, &preset, source, report);
    preset_clear(&preset);
    return result;
}
