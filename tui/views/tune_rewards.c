/* The rewards of the run: values, weights, and the sliders that move them. */
#include "tui/screen/slider.h"
#include "tui/screen/text.h"
#include "tui/views/tune.h"
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

/* The weight at the slider's right end. */
static double largest_weight(const struct studio *studio, int index)
{
    double unit = weight_unit(started_weight(studio->run, index));
    double largest = fmax(fabs(slider_value(studio, index)), fabs(studio->run->rewards[index].weight));
    return largest <= unit ? 1.5 * unit : largest * 1.2;
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
    for (int index = 0; index < run->reward_count; index++)
        if (text_width(run->rewards[index].id) > name) name = text_width(run->rewards[index].id);
    if (name > most) name = most > LEAST_NAME ? most : LEAST_NAME;
    struct reward_columns places = {.name = name, .raw = 3 + name, .weight = 3 + name + RAW, .weight_width = weight};
    places.slider = places.weight + weight + 1;
    places.slider_width = columns - places.slider - SHARE;
    if (places.slider_width < 4) places.slider_width = 4;
    return places;
}

static void draw_share(const struct studio *studio, int index, int row, struct area area, bool pending)
{
    const struct run_step *newest = run_newest(studio->run);
    int column = area.column + area.columns - 6;
    double share = newest != NULL ? share_of(studio->run, newest->reward, index) : NAN;
    if (pending && studio->run->pending_step > 0)
        draw_right(row, column, 6, STYLE_WARNING, "@%d", studio->run->pending_step);
    else if (pending)
        draw_right(row, column, 6, STYLE_WARNING, "next");
    else if (!isnan(share))
        draw_right(row, column, 6, STYLE_DIM, "%.0f %%", share * 100);
}

void tune_draw_rewards(struct studio *studio, struct area area)
{
    const struct run *run = studio->run;
    if (area_empty(area)) return;
    bool focused = tune_view_of(studio)->pane == PANE_REWARDS;
    const struct run_step *newest = run_newest(run);
    struct reward_columns places = reward_columns(run, area.columns);
    draw_text(area.row, area.column, 12, focused ? STYLE_TITLE : STYLE_LIVE, "rewards");
    draw_right(area.row, area.column + places.raw, 8, STYLE_DIM, "raw");
    draw_right(area.row, area.column + places.weight, places.weight_width, STYLE_DIM, "weight");
    draw_right(area.row, area.column + area.columns - 6, 6, STYLE_DIM, "share");
    for (int index = 0; index < run->reward_count && index + 1 < area.rows; index++) {
        const struct run_reward *reward = &run->rewards[index];
        int row = area.row + 1 + index;
        bool here = focused && index == tune_view_of(studio)->reward;
        char text[24];
        draw_text(row, area.column, 1, STYLE_ACCENT, here ? "\u25b8" : " ");
        draw_text(row, area.column + 1, 1, style_of_reward(index), style_unicode() ? "\u25a0" : "#");
        draw_text(row, area.column + 3, places.name, here ? STYLE_LIVE : STYLE_TEXT, reward->id);
        draw_right(row, area.column + places.raw, 8, STYLE_TEXT, "%s",
                   words_number(text, sizeof text, newest != NULL ? newest->reward[index] : NAN));
        double wanted = slider_value(studio, index);
        bool pending = fabs(wanted - reward->weight) > 1e-9;
        draw_right(row, area.column + places.weight, places.weight_width, pending ? STYLE_WARNING : STYLE_TEXT, "%s",
                   weight_words(text, sizeof text, wanted));
        double largest = largest_weight(studio, index);
        struct slider slider = {.part = largest > 0 ? wanted / largest : 0,
                                .mark = largest > 0 ? reward->weight / largest : 0,
                                .line = here ? STYLE_ACCENT : STYLE_DIM,
                                .knob = here ? STYLE_TITLE : STYLE_LIVE};
        slider_draw(row, area.column + places.slider, places.slider_width, &slider);
        draw_share(studio, index, row, area, pending);
    }
    studio_take_clicks(studio, (struct area){area.row + 1, area.column, run->reward_count, area.columns}, PANE_REWARDS,
                       0);
}

static void set_slider(struct studio *studio, int index, double value)
{
    const struct run_reward *reward = &studio->run->rewards[index];
    if (studio->live == NULL) {
        studio_say(studio, MESSAGE_INFO, "this run has ended; its weights can no longer change");
        return;
    }
    double grain = weight_unit(started_weight(studio->run, index)) / 1000;
    value = fmin(reward->high, fmax(reward->low, round(value / grain) * grain));
    tune_view_of(studio)->target[index] = value;
    tune_view_of(studio)->target_since[index] = studio->now;
}

static void change_weight(struct studio *studio, int direction, bool coarse)
{
    int index = tune_view_of(studio)->reward;
    double base = started_weight(studio->run, index);
    tune_view_of(studio)->muted[index] = NAN;
    set_slider(studio, index, weight_moved(slider_value(studio, index), base, direction, coarse));
}

static void type_weight(struct studio *studio, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    const struct run_reward *reward = &studio->run->rewards[tune_view_of(studio)->reward];
    if (end == text || *end != 0 || !isfinite(value) || value < reward->low || value > reward->high)
        studio_say(studio, MESSAGE_ERROR, "\"%s\" is no weight of %s: a number from %g to %g", text, reward->id,
                   reward->low, reward->high);
    else
        set_slider(studio, tune_view_of(studio)->reward, value);
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
    int chosen = tune_view_of(studio)->reward;
    bool alone = true;
    for (int index = 0; index < studio->run->reward_count; index++)
        if (index != chosen && isnan(tune_view_of(studio)->muted[index])) alone = false;
    for (int index = 0; index < studio->run->reward_count; index++) {
        bool is_muted = !isnan(tune_view_of(studio)->muted[index]);
        if (index != chosen && is_muted == alone) mute(studio, index);
        if (index == chosen && is_muted) mute(studio, index);
    }
}

bool tune_rewards_command(struct studio *studio, enum command_id id, bool coarse)
{
    struct tune_view *tune = tune_view_of(studio);
    int count = studio->run->reward_count;
    switch (id) {
    case COMMAND_UP: tune->reward = tune->reward > 0 ? tune->reward - 1 : 0; return true;
    case COMMAND_DOWN: tune->reward = tune->reward + 1 < count ? tune->reward + 1 : count - 1; return true;
    case COMMAND_LESS: change_weight(studio, -1, coarse); return true;
    case COMMAND_MORE: change_weight(studio, 1, coarse); return true;
    case COMMAND_MUTE: mute(studio, tune->reward); return true;
    case COMMAND_SOLO: solo(studio); return true;
    case COMMAND_TYPE_VALUE:
        tune_prompt_number(studio, "Weight", "A number; it counts from the step after the present one.",
                           slider_value(studio, tune->reward), type_weight);
        return true;
    default: return false;
    }
}

/* A press on a slider moves it there, and it follows the mouse until the button is let go. */
void tune_click_reward(struct studio *studio, const struct click *click)
{
    struct tune_view *tune = tune_view_of(studio);
    if (!click->drag) {
        struct reward_columns places = reward_columns(studio->run, studio->pressed.area.columns);
        tune->reward = click->item;
        tune->dragged = click->column >= places.slider && click->column < places.slider + places.slider_width;
        if (click->item < studio->run->reward_count) tune->drag_largest = largest_weight(studio, click->item);
    }
    if (!tune->dragged || tune->reward >= studio->run->reward_count) return;
    struct reward_columns places = reward_columns(studio->run, studio->pressed.area.columns);
    double part = slider_part_at(click->column - places.slider, places.slider_width);
    tune->muted[tune->reward] = NAN;
    set_slider(studio, tune->reward, tune->drag_largest * part);
}

void tune_let_go_of_sliders(struct studio *studio)
{
    for (int index = 0; index < RUN_REWARDS; index++) tune_view_of(studio)->target[index] = NAN;
}

void tune_reset_sliders(struct studio *studio)
{
    tune_let_go_of_sliders(studio);
    for (int index = 0; index < RUN_REWARDS; index++) tune_view_of(studio)->muted[index] = NAN;
}

/* A slider's value is sent when it has rested for a moment. */
int tune_send_sliders(struct studio *studio)
{
    enum { SLIDER_PAUSE = 200 };
    struct tune_view *tune = tune_view_of(studio);
    int next = -1;
    for (int index = 0; index < studio->run->reward_count; index++) {
        if (isnan(tune->target[index]) || tune->target_since[index] == 0) continue;
        int left = (int)(tune->target_since[index] + SLIDER_PAUSE - studio->now);
        if (left > 0) {
            if (next < 0 || left < next) next = left;
            continue;
        }
        char key[96];
        snprintf(key, sizeof key, "rewards.%s.weight", studio->run->rewards[index].id);
        tune->target_since[index] = 0;
        studio_set_value(studio, key, tune->target[index], studio->run->rewards[index].weight);
    }
    return next;
}

/* Applied values overtake the sliders' own once the engine has them. */
void tune_settle_sliders(struct studio *studio, const char *type, const cJSON *message)
{
    (void)message;
    if (strcmp(type, "event") != 0) return;
    for (int index = 0; index < studio->run->reward_count; index++) {
        double target = tune_view_of(studio)->target[index];
        if (!isnan(target) && fabs(target - studio->run->rewards[index].weight) < 1e-9)
            tune_view_of(studio)->target[index] = NAN;
    }
}
