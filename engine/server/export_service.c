/* `export`: an adapter of a run as a file. */
#include "engine/protocol/message.h"
#include "engine/run/export.h"
#include "engine/server/request_services.h"

#include <string.h>

static status read_order(const cJSON *request, struct run_folder *folder, struct export_order *order)
{
    const char *run = json_get_text(request, "run", NULL), *format = json_get_text(request, "format", "kohya");
    *order = (struct export_order){.folder = folder, .target = json_get_text(request, "path", NULL)};
    if (!run) return status_error(STATUS_USAGE, "a 'run' is needed: the path of its folder");
    if (!order->target || order->target[0] != '/')
        return status_error(STATUS_USAGE, "a 'path' is needed: the file to write, absolute");
    order->format = strcmp(format, "peft") == 0 ? ADAPTER_PEFT : ADAPTER_KOHYA;
    if (order->format == ADAPTER_KOHYA && strcmp(format, "kohya") != 0)
        return status_error(STATUS_BAD_INPUT, "format: expected kohya or peft, found '%.40s'", format);
    order->step = (int)json_get_integer_in(request, "step", -1, 1 << 30, -1);
    order->scale = json_get_number(request, "scale", 1);
    if (!(order->scale >= -100 && order->scale <= 100))
        return status_error(STATUS_BAD_INPUT, "scale: expected a number from -100 to 100, found %g", order->scale);
    return run_folder_open(run, folder);
}

status answer_export(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    (void)facts;
    struct run_folder folder;
    struct export_order order;
    struct export_report report;
    TRY(read_order(request, &folder, &order));
    TRY(export_adapter(&order, &report));
    cJSON_AddStringToObject(answer, "path", report.path);
    cJSON_AddNumberToObject(answer, "matching", report.matching);
    cJSON_AddNumberToObject(answer, "total", report.total);
    return status_ok();
}
