/* Draws what a plan costs, of the draft or of the run on screen. */
#include "tui/views/cost.h"

#include "engine/base/format.h"
#include "tui/screen/text.h"

#include <math.h>

void cost_draw(const struct studio *studio, struct area area)
{
    const cJSON *plan = studio->plan;
    char text[32], free_text[32];
    if (studio->plan_error[0] != '\0') {
        draw_wrapped(area, STYLE_BAD, studio->plan_error);
        return;
    }
    if (!plan) {
        draw_text(area.row, area.column, area.columns, STYLE_DIM, "Estimating the cost \u2026");
        return;
    }
    double total = json_get_number(plan, "total_bytes", NAN);
    double available = json_get_number(plan, "limit_bytes", json_get_number(plan, "free_bytes", NAN));
    bool fits = !json_get(plan, "fits") || json_get_flag(plan, "fits", false);
    double seconds = json_get_number(plan, "seconds_per_step", NAN),
           adapter = json_get_number(plan, "adapter_bytes", NAN);
    if (area.rows < 4) {
        char adapter_text[32], time_text[32];
        draw_format(area.row, area.column, area.columns, fits ? STYLE_TEXT : STYLE_BAD,
                    "memory %s of %s \u00b7 %s a step \u00b7 adapter %s%s", format_bytes(text, sizeof text, total),
                    format_bytes(free_text, sizeof free_text, available),
                    format_seconds(time_text, sizeof time_text, seconds),
                    format_bytes(adapter_text, sizeof adapter_text, adapter), fits ? "" : " \u00b7 does not fit");
        return;
    }
    int row = area.row;
    draw_text(row++, area.column, area.columns, STYLE_LIVE, "what it costs");
    draw_text(row, area.column, 14, STYLE_DIM, "memory");
    draw_format(row, area.column + 14, area.columns - 14, fits ? STYLE_TEXT : STYLE_BAD, "%s of %s free%s",
                format_bytes(text, sizeof text, total), format_bytes(free_text, sizeof free_text, available),
                fits ? "" : ": does not fit");
    row++;
    draw_bar(row++, area.column, area.columns - 2, available > 0 ? total / available : 0,
             fits ? STYLE_ACCENT : STYLE_BAD);
    draw_text(row, area.column, 14, STYLE_DIM, "a step");
    draw_text(row++, area.column + 14, area.columns - 14, STYLE_TEXT, format_seconds(text, sizeof text, seconds));
    draw_text(row, area.column, 14, STYLE_DIM, "adapter");
    draw_text(row++, area.column + 14, area.columns - 14, STYLE_TEXT, format_bytes(text, sizeof text, adapter));
    row++;
    const cJSON *line = NULL;
    cJSON_ArrayForEach(line, json_get(plan, "lines"))
    {
        if (row >= area.row + area.rows) return;
        draw_text(row, area.column, area.columns - 12, STYLE_DIM, json_get_text(line, "name", ""));
        draw_right(row++, area.column + area.columns - 12, 10, STYLE_DIM, "%s",
                   format_bytes(text, sizeof text, json_get_number(line, "bytes", NAN)));
    }
}

void cost_draw_run(const struct run *run, struct area area)
{
    char planned[32], used[32], seconds[32];
    format_bytes(planned, sizeof planned, run->memory_planned);
    format_bytes(used, sizeof used, run->memory_used);
    const struct run_step *newest = run_newest(run);
    bool measured = !isnan(run->seconds_per_step) || !newest;
    format_seconds(seconds, sizeof seconds, measured ? run->seconds_per_step : newest->seconds);
    if (area.rows < 4) {
        draw_format(area.row, area.column, area.columns, STYLE_TEXT, "memory %s planned, %s used \u00b7 %s a step",
                    planned, used, seconds);
        return;
    }
    static const char *const names[3] = {"planned", "used", "a step"};
    const char *const values[3] = {planned, used, seconds};
    draw_text(area.row, area.column, area.columns, STYLE_LIVE, "what it costs");
    for (int i = 0; i < 3; i++) {
        draw_text(area.row + 1 + i, area.column, 14, STYLE_DIM, names[i]);
        draw_text(area.row + 1 + i, area.column + 14, area.columns - 14, STYLE_TEXT, values[i]);
    }
}
