/* Tune: the pictures, the curves, the weights and what the run costs. */
#include "engine/base/format.h"
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/views/curves.h"
#include "tui/views/tune_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void draw_progress(const struct studio *studio, struct area area)
{
    const struct run *run = studio->run;
    if (area_empty(area) || !run_alive(run)) return;
    if (run->phase == RUN_WAITING) {
        if (run->waiting_ahead > 0)
            draw_format(area.row, area.column, area.columns, STYLE_WARNING, "waiting behind %d", run->waiting_ahead);
        else
            draw_text(area.row, area.column, area.columns, STYLE_WARNING, "waiting for the device");
        return;
    }
    if (run->progress.phase[0] == '\0') return;
    int used = draw_format(area.row, area.column, 22, STYLE_LIVE, "%s %d/%d", run->progress.phase, run->progress.done,
                           run->progress.total) +
               1;
    if (used < 18) used = 18;
    double part = run->progress.total > 0 ? (double)run->progress.done / run->progress.total : 0;
    draw_bar(area.row, area.column + used, area.columns - used, part, STYLE_ACCENT);
}

static void draw_memory(const struct studio *studio, struct area body)
{
    const struct run *run = studio->run;
    if (studio->message_level != MESSAGE_NONE || isnan(run->memory_planned)) return;
    char planned[24], used[24];
    draw_right(body.row + body.rows, body.column, body.columns - 1, STYLE_DIM,
               "memory %s planned, %s used \u00b7 learning rate %.4g \u00b7 %s",
               format_bytes(planned, sizeof planned, run->memory_planned),
               format_bytes(used, sizeof used, run->memory_used), run_setting(run, "optimizer.lr"), run->device);
}

static void draw_enlarged(struct studio *studio, struct area body)
{
    if (tune_view_of(studio)->pane == PANE_PICTURES) {
        struct tune_layout layout = {.picture_count = 1};
        layout.pictures[0] = (struct area){body.row, body.column, body.rows - 1, body.columns};
        layout.captions[0] = (struct area){body.row + body.rows - 1, body.column, 1, body.columns};
        tune_draw_pictures(studio, &layout);
    } else if (tune_view_of(studio)->pane == PANE_CURVES) {
        bool many = studio->run->reward_count > 1;
        int upper = many ? body.rows / 2 : body.rows;
        curves_draw_total(studio->run, (struct area){body.row, body.column, upper, body.columns}, true);
        if (many)
            curves_draw_rewards(studio->run,
                                (struct area){body.row + upper + 1, body.column, body.rows - upper - 1, body.columns});
    } else {
        int rows = studio->run->reward_count + 1;
        tune_draw_rewards(studio, (struct area){body.row, body.column, rows, body.columns});
        tune_draw_drift(studio->run, (struct area){body.row + rows + 1, body.column, 5, body.columns});
        tune_draw_held_out_table(studio,
                                 (struct area){body.row + rows + 7, body.column, body.rows - rows - 7, body.columns});
    }
}

/* Columns as wide as a row is high. */
static double square_columns(const struct studio *studio)
{
    const struct cell_size *cell = &studio->cell;
    return cell->width > 0 && cell->height > 0 ? fmax(1.5, fmin(2.5, (double)cell->height / cell->width)) : 2;
}

static void take_clicks_of_panes(struct studio *studio, const struct tune_layout *layout)
{
    for (int place = 0; place < layout->picture_count; place++)
        studio_take_clicks(studio, layout->pictures[place], PANE_PICTURES);
    studio_take_clicks(studio, layout->curves, PANE_CURVES);
    studio_take_clicks(studio, layout->small_curves, PANE_CURVES);
}

static void draw(struct studio *studio, struct area body)
{
    const struct run *run = studio->run;
    if (run->phase == RUN_UNKNOWN || run->phase == RUN_IDLE) {
        bool connecting = studio->live;
        draw_notice(body, connecting ? "Connecting \u2026" : "No run is open.",
                    connecting ? "" : "Press 1 to start one from a preset, 9 to list earlier runs.");
        return;
    }
    if (tune_view_of(studio)->enlarged) {
        draw_enlarged(studio, body);
        if (tune_view_of(studio)->pane != PANE_REWARDS) studio_take_clicks(studio, body, tune_view_of(studio)->pane);
        return;
    }
    struct tune_layout layout =
        layout_tune(body, run->reward_count, tune_view_of(studio)->side_by_side, square_columns(studio));
    tune_draw_pictures(studio, &layout);
    draw_progress(studio, layout.progress);
    take_clicks_of_panes(studio, &layout);
    if (!area_empty(layout.curves)) curves_draw_total(run, layout.curves, tune_view_of(studio)->pane == PANE_CURVES);
    if (!area_empty(layout.small_curves)) curves_draw_rewards(run, layout.small_curves);
    tune_draw_rewards(studio, layout.rewards);
    tune_draw_drift(run, layout.drift);
    tune_draw_held_out_table(studio, layout.table);
    draw_memory(studio, body);
}

void tune_prompt_number(struct studio *studio, const char *title, const char *hint, double value,
                        void (*done)(struct studio *, const char *))
{
    char text[32];
    snprintf(text, sizeof text, "%g", value);
    studio_prompt(studio, title, hint, text, done, NULL);
}

static void type_learning_rate(struct studio *studio, const char *text)
{
    double value;
    if (!text_number(text, &value))
        studio_say(studio, MESSAGE_ERROR, "Not a valid learning rate: \"%s\". Enter a number such as 0.0005.", text);
    else
        studio_set_value(studio, "optimizer.lr", value, run_setting(studio->run, "optimizer.lr"));
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct tune_view *tune = tune_view_of(studio);
    if (tune->pane == PANE_PICTURES && (id == COMMAND_LESS || id == COMMAND_MORE)) {
        tune_next_picture(studio, id == COMMAND_LESS ? -1 : 1);
        return true;
    }
    if (studio->run->reward_count > 0 && tune_rewards_command(studio, id, coarse)) return true;
    switch (id) {
    case COMMAND_NEXT_PANE: tune->pane = (tune->pane + 1) % PANE_COUNT; return true;
    case COMMAND_PREVIOUS_PANE: tune->pane = (tune->pane + PANE_COUNT - 1) % PANE_COUNT; return true;
    case COMMAND_ENLARGE: tune->enlarged = !tune->enlarged; return true;
    case COMMAND_BACK:
        if (!tune->enlarged || studio->message_level == MESSAGE_ERROR) return false;
        tune->enlarged = false;
        return true;
    case COMMAND_SWAP: tune->show_base = !tune->show_base; return true;
    case COMMAND_SIDE_BY_SIDE: tune->side_by_side = !tune->side_by_side; return true;
    case COMMAND_NEXT_PICTURE: tune_next_picture(studio, 1); return true;
    case COMMAND_PICTURE_SET:
        tune->picture_set = (tune->picture_set + 1) % SET_COUNT;
        tune->picture = 0;
        return true;
    case COMMAND_LEARNING_RATE:
        if (studio->live)
            tune_prompt_number(studio, "Learning rate", "Takes effect at the next step.",
                               run_setting(studio->run, "optimizer.lr"), type_learning_rate);
        return true;
    case COMMAND_UNDO: tune_send_sliders_now(studio); return false; /* it takes back what the hands did last */
    case COMMAND_EXPORT: studio_export(studio, studio->run->path, studio->run->name); return true;
    case COMMAND_SAVE_PRESET: studio_save_run(studio); return true;
    case COMMAND_EDIT: studio_show_run_settings(studio); return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    bool again = tune_view_of(studio)->pane == click->pane;
    tune_view_of(studio)->pane = click->pane;
    if (click->pane == PANE_REWARDS)
        tune_click_reward(studio, click);
    else if (again && !click->drag)
        tune_view_of(studio)->enlarged = !tune_view_of(studio)->enlarged;
}

static bool offers(const struct studio *studio, enum command_id id)
{
    return studio_offers(studio, id == COMMAND_MORE ? COMMAND_MUTE : id); /* weights move while the run is on */
}

static const struct screen_command commands[] = {
    {COMMAND_LESS, "less weight", "Left h", NULL, "less weight for this reward; with Shift in coarse steps"},
    {COMMAND_MORE, "more weight", "Right l", "weight", "more weight for this reward; with Shift in coarse steps"},
    ROW_PAUSE,
    ROW_SAMPLE,
    ROW_SWAP,
    {COMMAND_NEXT_PICTURE, "next picture", "n", "next", "the next prompt and seed"},
    {COMMAND_PICTURE_SET, "which pictures", "v", "pictures",
     "overview, held-out, training batch by rank, or denoising"},
    {COMMAND_SIDE_BY_SIDE, "side by side", "B", NULL, "base and tuned picture beside each other"},
    {COMMAND_MUTE, "mute", "x", "mute", "weight 0, and back"},
    {COMMAND_SOLO, "solo", "o", NULL, "only this one counts, and back"},
    {COMMAND_TYPE_VALUE, "type a value", "=", NULL, "type the weight as a number"},
    {COMMAND_LEARNING_RATE, "learning rate", "L", NULL, "change the learning rate while it runs"},
    ROWS_STEERING,
    ROW_BRANCH,
    {COMMAND_RESUME, "resume the run", "r", "resume", "continue a run that has ended from its newest checkpoint"},
    {COMMAND_EDIT, "settings of the run", "e", "settings", "every setting of this run; fixed ones are locked"},
    {COMMAND_SAVE_PRESET, "save as preset", "W", NULL, "keep these settings as a preset"},
    {COMMAND_EXPORT, "export the adapter", "E", "export", "this run's newest adapter as a file for other programs"},
    {COMMAND_ENLARGE, "enlarge", "Enter z", NULL, "this pane over the whole screen, and back"},
    ROWS_PANES,
};

const struct screen screen_tune = {
    .name = "Tune",
    .about = "The run as it happens: pictures of the held-out prompts, reward curves, and the weights, which you can "
             "change while it runs. Watch the held-out curve and the drift: a reward that rises only on the training "
             "prompts is being gamed.",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct tune_view),
    .draw = draw,
    .command = command,
    .click = click,
    .offers = offers,
    .reset = tune_reset_sliders,
    .tick = tune_send_sliders,
    .message = tune_settle_sliders,
    .undone = tune_let_go_of_sliders,
};
