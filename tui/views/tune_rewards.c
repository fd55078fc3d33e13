/* The rewards of the run: values, weights, and the sliders that move them. */
#include "engine/base/format.h"
#include "tui/screen/slider.h"
#include "tui/screen/text.h"
#include "tui/views/tune_internal.h"
#include "tui/views/weight.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double slider_value(const struct studio *studio, int index)
{
    const struct run_reward *reward = &studio->run->rewards[index];
    if (!isnan(tune_view_of(studio)->target[index])) return tune_view_of(studio)->target[index];
    return isnan(reward->pending) ? reward->weight : reward->pending;
}

/* Rewards' share of the total's movement cannot be known from means alone; what is shown is each one's part of the
 * weighted sum by size. */
static double share_of(const struct run *run, const double *raw, int index)
{
    double sum = 0;
    for (int at = 0; at < run->reward_count; at++) sum += isnan(raw[at]) ? 0 : fabs(run->rewards[at].weight * raw[at]);
    return sum > 0 ? fabs(run->rewards[index].weight * raw[index]) / sum : NAN;
}

/* As the run was started: what the reward's slider is scaled by. */
static double started_weight(const struct run *run, int index)
{
    return message_number(cJSON_GetArrayItem(message_get(run->preset, "rewards"), index), "weight", 1);
}

/* From 0 to a weight beyond the present one and the slider's. */
static struct slider_scale weight_scale(const struct studio *studio, int index)
{
    double unit = weight_unit(started_weight(studio->run, index));
    double largest = fmax(fabs(slider_value(studio, index)), fabs(studio->run->rewards[index].weight));
    return (struct slider_scale){.high = largest <= unit ? 1.5 * unit : largest * 1.2};
}

/* Where the columns of the table of rewards stand, from the area's left edge. */
struct reward_columns {
    int name, raw, weight, weight_width, slider, slider_width;
};

static struct reward_columns reward_columns(const struct run *run, int columns)
{
    enum { RAW = 8, SHARE = 7, LEAST_NAME = 8, LEAST_SLIDER = 6, LEAST_WIDE = 48 };
    int weight = columns >= LEAST_WIDE ? 8 : 7;
    int name = LEAST_NAME, most = columns - 3 - RAW - weight - 1 - LEAST_SLIDER - SHARE;
    for (int i = 0; i < run->reward_count; i++)
        if (text_width(run->rewards[i].id) > name) name = text_width(run->rewards[i].id);
    if (name > most) name = most > LEAST_NAME ? most : LEAST_NAME;
    struct reward_columns places = {.name = name, .raw = 3 + name, .weight = 3 + name + RAW, .weight_width = weight};
    places.slider = places.weight + weight + 1;
    places.slider_width = columns - places.slider - SHARE;
    if (places.slider_width < 4) places.slider_width = 4;
    return places;
}

static uint64_t identity_of_reward(const void *run, int place)
{
    return list_identity(((const struct run *)run)->rewards[place].id);
}

static struct list_items reward_items(const struct run *run)
{
    return (struct list_items){
        .count = run->reward_count, .all = run->reward_count, .plain = true, .of = run, .identity = identity_of_reward};
}

/* The reward under the cursor; -1 while there are none. */
static int chosen_reward(const struct studio *studio)
{
    struct list_items items = reward_items(studio->run);
    return list_follow(&tune_view_of(studio)->rewards, &items);
}

/* The step from which a weight counts that is not in force yet, else the reward's share. */
static void draw_share(const struct run *run, const struct list_rows *rows, bool pending)
{
    const struct run_step *newest = run_newest(run);
    int column = rows->line.columns - 6;
    double share = newest ? share_of(run, newest->reward, rows->place) : NAN;
    if (pending && run->pending_step > 0)
        list_right(rows, column, 6, STYLE_WARNING, "@%d", run->pending_step);
    else if (pending)
        list_right(rows, column, 6, STYLE_WARNING, "next");
    else if (!isnan(share))
        list_right(rows, column, 6, STYLE_DIM, "%.0f %%", share * 100);
}

static void draw_reward(const struct studio *studio, const struct list_rows *rows)
{
    const struct run *run = studio->run;
    const struct run_reward *reward = &run->rewards[rows->place];
    const struct run_step *newest = run_newest(run);
    struct reward_columns at = reward_columns(run, rows->line.columns);
    char text[24];
    list_text(rows, 0, 1, STYLE_ACCENT, rows->here ? "\u25b8" : " ");
    list_text(rows, 1, 1, style_of_reward(rows->place), style_unicode() ? "\u25a0" : "#");
    list_text(rows, 3, at.name, rows->here ? STYLE_LIVE : STYLE_TEXT, reward->id);
    list_right(rows, at.raw, 8, STYLE_TEXT, "%s",
               format_number(text, sizeof text, newest ? newest->reward[rows->place] : NAN));
    double wanted = slider_value(studio, rows->place);
    bool pending = fabs(wanted - reward->weight) > 1e-9;
    list_right(rows, at.weight, at.weight_width, pending ? STYLE_WARNING : STYLE_TEXT, "%s",
               weight_text(text, sizeof text, wanted));
    struct slider slider = {.scale = weight_scale(studio, rows->place),
                            .value = wanted,
                            .mark = reward->weight,
                            .line = rows->here ? STYLE_ACCENT : STYLE_DIM,
                            .knob = rows->here ? STYLE_TITLE : STYLE_LIVE};
    slider_draw(rows->line.row, rows->line.column + at.slider, at.slider_width, &slider);
    draw_share(run, rows, pending);
}

void tune_draw_rewards(struct studio *studio, struct area area)
{
    if (area_empty(area)) return;
    struct list *list = &tune_view_of(studio)->rewards;
    struct list_items items = reward_items(studio->run);
    bool focused = tune_view_of(studio)->pane == PANE_REWARDS;
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &items, body, PANE_REWARDS, focused);
    while (list_next(&rows)) draw_reward(studio, &rows);
    struct reward_columns at = reward_columns(studio->run, area.columns);
    list_heading(list, &items, (struct area){area.row, area.column, 1, at.raw}, focused, "rewards");
    draw_right(area.row, area.column + at.raw, 8, STYLE_DIM, "raw");
    draw_right(area.row, area.column + at.weight, at.weight_width, STYLE_DIM, "weight");
    draw_right(area.row, area.column + area.columns - 6, 6, STYLE_DIM, "share");
}

static void set_slider(struct studio *studio, int index, double value)
{
    const struct run_reward *reward = &studio->run->rewards[index];
    if (!studio->live) {
        studio_say(studio, MESSAGE_INFO, "This run has ended, so its weights cannot change.");
        return;
    }
    double grain = weight_unit(started_weight(studio->run, index)) / 1000;
    value = fmin(reward->high, fmax(reward->low, round(value / grain) * grain));
    tune_view_of(studio)->target[index] = value;
    tune_view_of(studio)->target_since[index] = studio->now;
}

static void change_weight(struct studio *studio, int direction, bool coarse)
{
    int index = chosen_reward(studio);
    double base = started_weight(studio->run, index);
    tune_view_of(studio)->muted[index] = NAN;
    set_slider(studio, index, weight_moved(slider_value(studio, index), base, direction, coarse));
}

static void type_weight(struct studio *studio, const char *text)
{
    double value;
    int chosen = chosen_reward(studio);
    if (chosen < 0) return;
    const struct run_reward *reward = &studio->run->rewards[chosen];
    if (!text_number(text, &value) || value < reward->low || value > reward->high)
        studio_say(studio, MESSAGE_ERROR, "Not a valid weight of %s: \"%s\". Enter a number from %g to %g.", reward->id,
                   text, reward->low, reward->high);
    else
        set_slider(studio, chosen, value);
}

static void mute(struct studio *studio, int index)
{
    double *muted = &tune_view_of(studio)->muted[index];
    if (isnan(*muted)) {
        *muted = slider_value(studio, index);
        set_slider(studio, index, 0);
    } else {
        set_slider(studio, index, *muted);
        *muted = NAN;
    }
}

static void solo(struct studio *studio)
{
    int chosen = chosen_reward(studio);
    bool alone = true;
    for (int i = 0; i < studio->run->reward_count; i++)
        if (i != chosen && isnan(tune_view_of(studio)->muted[i])) alone = false;
    for (int i = 0; i < studio->run->reward_count; i++) {
        bool is_muted = !isnan(tune_view_of(studio)->muted[i]);
        if (i != chosen && is_muted == alone) mute(studio, i);
        if (i == chosen && is_muted) mute(studio, i);
    }
}

bool tune_rewards_command(struct studio *studio, enum command_id id, bool coarse)
{
    struct list_items items = reward_items(studio->run);
    if (list_move(&tune_view_of(studio)->rewards, &items, id)) return true;
    switch (id) {
    case COMMAND_LESS: change_weight(studio, -1, coarse); return true;
    case COMMAND_MORE: change_weight(studio, 1, coarse); return true;
    case COMMAND_MUTE: mute(studio, chosen_reward(studio)); return true;
    case COMMAND_SOLO: solo(studio); return true;
    case COMMAND_TYPE_VALUE:
        tune_prompt_number(studio, "Weight", "A number. Takes effect at the next step.",
                           slider_value(studio, chosen_reward(studio)), type_weight);
        return true;
    default: return false;
    }
}

/* A press on a slider moves it there, and it follows the mouse until the button is let go. */
void tune_click_reward(struct studio *studio, const struct click *click)
{
    struct tune_view *tune = tune_view_of(studio);
    struct list_items items = reward_items(studio->run);
    struct reward_columns at = reward_columns(studio->run, click->columns);
    if (!click->drag) {
        list_click(&tune->rewards, &items, click->item);
        tune->dragged =
            click->item < items.count && click->column >= at.slider && click->column < at.slider + at.slider_width;
        if (tune->dragged) tune->drag_scale = weight_scale(studio, click->item);
    }
    int chosen = chosen_reward(studio);
    if (!tune->dragged || chosen < 0) return;
    tune->muted[chosen] = NAN;
    set_slider(studio, chosen, slider_value_at(&tune->drag_scale, click->column - at.slider, at.slider_width));
}

void tune_let_go_of_sliders(struct studio *studio)
{
    for (int i = 0; i < RUN_REWARDS; i++) tune_view_of(studio)->target[i] = NAN;
}

void tune_reset_sliders(struct studio *studio)
{
    tune_let_go_of_sliders(studio);
    for (int i = 0; i < RUN_REWARDS; i++) tune_view_of(studio)->muted[i] = NAN;
}

static void send_slider(struct studio *studio, int index)
{
    struct tune_view *tune = tune_view_of(studio);
    char key[96];
    snprintf(key, sizeof key, "rewards.%s.weight", studio->run->rewards[index].id);
    tune->target_since[index] = 0;
    studio_set_value(studio, key, tune->target[index], studio->run->rewards[index].weight);
}

static bool is_unsent(const struct tune_view *tune, int index)
{
    return !isnan(tune->target[index]) && tune->target_since[index] != 0;
}

/* A slider's value is sent when it has rested for a moment. */
int tune_send_sliders(struct studio *studio)
{
    enum { SLIDER_PAUSE = 200 };
    struct tune_view *tune = tune_view_of(studio);
    int next = -1;
    for (int i = 0; i < studio->run->reward_count; i++) {
        if (!is_unsent(tune, i)) continue;
        int left = (int)(tune->target_since[i] + SLIDER_PAUSE - studio->now);
        if (left <= 0)
            send_slider(studio, i);
        else if (next < 0 || left < next)
            next = left;
    }
    return next;
}

void tune_send_sliders_now(struct studio *studio)
{
    for (int i = 0; i < studio->run->reward_count; i++)
        if (is_unsent(tune_view_of(studio), i)) send_slider(studio, i);
}

/* Applied values overtake the sliders' own once the engine has them. */
void tune_settle_sliders(struct studio *studio, const char *type, const cJSON *message)
{
    (void)message;
    if (strcmp(type, "event") != 0) return;
    for (int i = 0; i < studio->run->reward_count; i++) {
        double target = tune_view_of(studio)->target[i];
        if (!isnan(target) && fabs(target - studio->run->rewards[i].weight) < 1e-9)
            tune_view_of(studio)->target[i] = NAN;
    }
}
