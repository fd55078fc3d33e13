/* Tune: the pictures, the curves, the weights and what the run costs. */
#include "tui/screen/layout.h"
#include "tui/screen/plot.h"
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/curves.h"
#include "tui/views/weight.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tune_view {
    int pane; /* 0 rewards, 1 pictures, 2 curves */
    bool enlarged, show_base, side_by_side;
    int picture, picture_set; /* overview, held-out, batch by rank, denoising */
    int reward;
    double target[RUN_REWARDS]; /* weight as the slider stands; NaN: as applied */
    int64_t target_since[RUN_REWARDS];
    double muted[RUN_REWARDS]; /* weight before muting; NaN: not muted */
    bool dragged;              /* the mouse holds a slider */
    double drag_largest;       /* weight at its right end, which stays while it is held */
};

static struct tune_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_TUNE];
}

enum { PANE_REWARDS, PANE_PICTURES, PANE_CURVES, PANE_COUNT };
enum { SET_OVERVIEW, SET_HELD_OUT, SET_BATCH, SET_DENOISING, SET_COUNT };

static double slider_value(const struct studio *studio, int index)
{
    const struct run_reward *reward = &studio->run->rewards[index];
    if (!isnan(view_of(studio)->target[index])) return view_of(studio)->target[index];
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

static void draw_slider(int row, int column, int width, double applied, double wanted, double largest, bool here)
{
    enum style line = here ? STYLE_ACCENT : STYLE_DIM;
    int at = largest > 0 ? (int)lround(fmin(1, fmax(0, wanted / largest)) * (width - 1)) : 0;
    int mark = largest > 0 ? (int)lround(fmin(1, fmax(0, applied / largest)) * (width - 1)) : 0;
    draw_line(row, column, width, STYLE_FRAME);
    for (int cell = 0; cell < at; cell++) draw_text(row, column + cell, 1, line, "\u2501");
    if (mark != at) draw_text(row, column + mark, 1, STYLE_DIM, "\u25cb");
    draw_text(row, column + at, 1, here ? STYLE_TITLE : STYLE_LIVE, "\u25cf");
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

static void draw_rewards(struct studio *studio, struct area area)
{
    const struct run *run = studio->run;
    if (area_empty(area)) return;
    bool focused = view_of(studio)->pane == PANE_REWARDS;
    const struct run_step *newest = run_newest(run);
    struct reward_columns places = reward_columns(run, area.columns);
    draw_text(area.row, area.column, 12, focused ? STYLE_TITLE : STYLE_LIVE, "rewards");
    draw_right(area.row, area.column + places.raw, 8, STYLE_DIM, "raw");
    draw_right(area.row, area.column + places.weight, places.weight_width, STYLE_DIM, "weight");
    draw_right(area.row, area.column + area.columns - 6, 6, STYLE_DIM, "share");
    for (int index = 0; index < run->reward_count && index + 1 < area.rows; index++) {
        const struct run_reward *reward = &run->rewards[index];
        int row = area.row + 1 + index;
        bool here = focused && index == view_of(studio)->reward;
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
        draw_slider(row, area.column + places.slider, places.slider_width, reward->weight, wanted,
                    largest_weight(studio, index), here);
        draw_share(studio, index, row, area, pending);
    }
    studio_take_clicks(studio, (struct area){area.row + 1, area.column, run->reward_count, area.columns}, PANE_REWARDS,
                       0);
}

/* Shares in percent with one decimal, others as all numbers. */
static const char *figure_words(char *text, size_t size, double value, bool share)
{
    if (!share || isnan(value)) return words_number(text, size, value);
    snprintf(text, size, "%.1f", value * 100);
    return text;
}

/* What the phases of the newest step took of its time. */
static void draw_phases(const struct run *run, struct area area)
{
    static const char *const names[] = {"sample", "decode", "reward", "back"};
    const struct run_step *newest = run_newest(run);
    double sum = 0;
    if (newest == NULL) return;
    for (int index = 0; index < 4; index++)
        if (!isnan(newest->figure[FIGURE_SAMPLING + index])) sum += newest->figure[FIGURE_SAMPLING + index];
    if (!(sum > 0)) return;
    int at = draw_text(area.row, area.column, 6, STYLE_DIM, "time") + 2;
    for (int index = 0; index < 4; index++) {
        double seconds = newest->figure[FIGURE_SAMPLING + index];
        if (isnan(seconds)) continue;
        at += draw_text(area.row, area.column + at, area.columns - at, STYLE_DIM, names[index]) + 1;
        at += draw_format(area.row, area.column + at, area.columns - at, STYLE_TEXT, "%.0f%%", 100 * seconds / sum) + 2;
    }
}

/* Two blocks of three figures, each now and at step 0, and in a fifth row what the phases of a step took. */
static void draw_drift(const struct run *run, struct area area)
{
    static const struct {
        const char *name;
        enum run_figure figure;
        bool share;
    } cells[] = {{"adapter", FIGURE_ADAPTER_NORM, false}, {"from base", FIGURE_DRIFT, false},
                 {"diversity", FIGURE_DIVERSITY, false},  {"dark %", FIGURE_DARK, true},
                 {"edges %", FIGURE_EDGES, true},         {"colour %", FIGURE_SATURATION, true}};
    if (area_empty(area)) return;
    int name = area.columns >= 48 ? 11 : 9, figure = area.columns >= 60 ? 8 : 6;
    int second = area.columns >= 48 ? name + 2 * figure + 2 : 22;
    draw_text(area.row, area.column, 9, STYLE_LIVE, "drift");
    for (int index = 0; index < 6; index++) {
        int row = area.row + 1 + index % 3, column = area.column + (index < 3 ? 0 : second);
        int width = index < 3 ? name : name - 1;
        char text[24];
        if (index % 3 == 0) draw_right(area.row, column + width, figure, STYLE_DIM, "now");
        if (index % 3 == 0) draw_right(area.row, column + width + figure, figure, STYLE_DIM, "start");
        draw_text(row, column, width, STYLE_DIM, cells[index].name);
        draw_right(row, column + width, figure, STYLE_TEXT, "%s",
                   figure_words(text, sizeof text, run_newest_figure(run, cells[index].figure), cells[index].share));
        draw_right(row, column + width + figure, figure, STYLE_DIM, "%s",
                   figure_words(text, sizeof text, run_first_figure(run, cells[index].figure), cells[index].share));
    }
    if (area.rows >= 5) draw_phases(run, (struct area){area.row + 4, area.column, 1, area.columns});
}

static const struct run_picture *newest_of(const struct run *run, enum run_picture_kind kind)
{
    const struct run_picture *newest = NULL;
    for (int index = 0; index < RUN_PICTURES; index++) {
        const struct run_picture *picture = run_picture(run, kind, index);
        if (picture != NULL && (newest == NULL || picture->serial > newest->serial)) newest = picture;
    }
    return newest;
}

/* What is being made now: a preview of the denoising, which shows the first picture of a batch, and once that batch is
 * decoded this picture, be it of training or held out. */
static const struct run_picture *live_picture(const struct run *run, const char **words)
{
    static const char *const names[RUN_PICTURE_KINDS] = {"denoising", "sample", "base", "tuned"};
    const struct run_picture *preview = newest_of(run, RUN_DENOISING), *newest = NULL;
    enum run_picture_kind newest_kind = RUN_DENOISING;
    for (enum run_picture_kind kind = RUN_SAMPLE; preview == NULL && kind < RUN_PICTURE_KINDS; kind++) {
        const struct run_picture *picture = newest_of(run, kind);
        if (picture == NULL || (newest != NULL && picture->serial < newest->serial)) continue;
        newest = picture;
        newest_kind = kind;
    }
    *words = names[newest_kind];
    if (newest == NULL) return preview;
    int batch = (int)message_integer(run->preset, "batch", 1), index = newest->index;
    const struct run_picture *first = run_picture(run, newest_kind, batch > 0 ? index - index % batch : index);
    return first != NULL ? first : newest;
}

/* The picture of place `index` in the present set, and what to call it. */
static const struct run_picture *picture_of(const struct studio *studio, int index, bool base, const char **words)
{
    const struct run *run = studio->run;
    *words = base ? "base" : "tuned";
    const struct run_picture *held_out = run_picture(run, base ? RUN_BASE : RUN_HELD_OUT, index);
    /* Before the first evaluation the base model's picture and what is being made are all there is. */
    if (held_out == NULL && !base) {
        held_out = run_picture(run, RUN_BASE, index);
        *words = "base";
    }
    return held_out == NULL && index == 0 ? live_picture(run, words) : held_out;
}

/* Indices of the batch's pictures from best to worst. */
static int rank_batch(const struct run *run, int order[RUN_PICTURES])
{
    int count = 0;
    for (int index = 0; index < RUN_PICTURES; index++) {
        const struct run_picture *picture = run_picture(run, RUN_SAMPLE, index);
        if (picture == NULL) continue;
        int at = count++;
        while (at > 0 && !(run_picture(run, RUN_SAMPLE, order[at - 1])->reward >= picture->reward)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = index;
    }
    return count;
}

static void draw_picture(struct studio *studio, struct area area, struct area caption,
                         const struct run_picture *picture, const char *words)
{
    if (picture == NULL) {
        int middle = area.row + area.rows / 2;
        bool alive = run_alive(studio->run);
        draw_center(middle, area.column, area.columns, STYLE_DIM, "%s",
                    studio->run->phase == RUN_STARTING  ? "loading the model \u2026"
                    : studio->run->phase == RUN_WAITING ? ""
                    : alive                             ? "the first picture is coming"
                                                        : "no picture");
        return;
    }
    enum { LEAST_CAPTION = 24 };
    struct area place = pictures_fit(studio->pictures, area, picture->image.width, picture->image.height);
    bool nearly_fills = area.columns - place.columns <= 6;
    if (nearly_fills) place.column = area.column;
    if (pictures_protocol(studio->pictures) == PROTOCOL_NONE)
        draw_center(area.row + area.rows / 2, area.column, area.columns, STYLE_DIM, "pictures are off, P shows them");
    pictures_want(studio->pictures, place, &picture->image);
    if (place.columns >= LEAST_CAPTION) {
        caption.column = place.column;
        caption.columns = place.columns;
    }
    char reward[40] = "", text[24];
    if (picture->total > 0)
        snprintf(reward, sizeof reward, "%d/%d", picture->done, picture->total);
    else if (!isnan(picture->reward))
        snprintf(reward, sizeof reward, "%s", words_number(text, sizeof text, picture->reward));
    int used = draw_text(caption.row, caption.column, 10, STYLE_ACCENT, words) + 1;
    int right = (int)strlen(reward);
    draw_format(caption.row, caption.column + used, caption.columns - used - right - 1, STYLE_DIM, "%s",
                picture->prompt);
    draw_right(caption.row, caption.column + caption.columns - right, right, STYLE_LIVE, "%s", reward);
}

static void draw_held_out(struct studio *studio, const struct tune_layout *layout)
{
    const char *words = "";
    int shift = view_of(studio)->picture;
    for (int place = 0; place < layout->picture_count; place++) {
        int index = shift;
        bool base = view_of(studio)->show_base;
        if (layout->picture_count == 4) {
            index = shift + place % 2;
            base = place < 2;
            if (view_of(studio)->show_base) base = true;
        } else if (layout->picture_count == 2) {
            base = place == 0;
        }
        const struct run_picture *picture = picture_of(studio, index, base, &words);
        draw_picture(studio, layout->pictures[place], layout->captions[place], picture, words);
    }
}

static void draw_batch(struct studio *studio, const struct tune_layout *layout)
{
    int order[RUN_PICTURES], count = rank_batch(studio->run, order);
    static const char *const names[] = {"best", "median", "worst"};
    for (int place = 0; place < layout->picture_count; place++) {
        int rank = (place + view_of(studio)->picture) % 3;
        int chosen = count == 0 ? -1 : rank == 0 ? order[0] : rank == 1 ? order[count / 2] : order[count - 1];
        const char *words = names[rank];
        const struct run_picture *picture = chosen >= 0 ? run_picture(studio->run, RUN_SAMPLE, chosen) : NULL;
        if (place == 3) picture = live_picture(studio->run, &words);
        draw_picture(studio, layout->pictures[place], layout->captions[place], picture, words);
    }
}

/* Base and tuned picture of one prompt; below them the best of the batch and what is being made. */
static void draw_overview(struct studio *studio, const struct tune_layout *layout)
{
    const struct run *run = studio->run;
    const char *words = "";
    for (int place = 0; place < 2; place++) {
        const struct run_picture *picture =
            picture_of(studio, view_of(studio)->picture, place == 0 || view_of(studio)->show_base, &words);
        draw_picture(studio, layout->pictures[place], layout->captions[place], picture, words);
    }
    int order[RUN_PICTURES], count = rank_batch(run, order);
    draw_picture(studio, layout->pictures[2], layout->captions[2],
                 count > 0 ? run_picture(run, RUN_SAMPLE, order[0]) : NULL, "best");
    const struct run_picture *live = live_picture(run, &words);
    draw_picture(studio, layout->pictures[3], layout->captions[3], live, words);
}

static void draw_pictures(struct studio *studio, const struct tune_layout *layout)
{
    bool of_folder = run_picture_count(studio->run, RUN_SAMPLE) == 0 && !run_alive(studio->run); /* none but held-out */
    if (view_of(studio)->picture_set == SET_OVERVIEW && layout->picture_count == 4 && !of_folder) {
        draw_overview(studio, layout);
    } else if (view_of(studio)->picture_set <= SET_HELD_OUT) {
        draw_held_out(studio, layout);
    } else if (view_of(studio)->picture_set == SET_BATCH) {
        draw_batch(studio, layout);
    } else {
        const char *words = "";
        const struct run_picture *live = live_picture(studio->run, &words);
        draw_picture(studio, layout->pictures[0], layout->captions[0], live, words);
        for (int place = 1; place < layout->picture_count; place++)
            draw_picture(studio, layout->pictures[place], layout->captions[place],
                         run_picture(studio->run, RUN_SAMPLE, place - 1), "sample");
    }
}

static void draw_progress(const struct studio *studio, struct area area)
{
    const struct run *run = studio->run;
    if (area_empty(area) || !run_alive(run)) return;
    if (run->phase == RUN_WAITING) {
        if (run->waiting_ahead > 0)
            draw_format(area.row, area.column, area.columns, STYLE_WARNING, "waiting, %d before it",
                        run->waiting_ahead);
        else
            draw_text(area.row, area.column, area.columns, STYLE_WARNING, "waiting until the device is free");
        return;
    }
    if (run->progress.phase[0] == 0) return;
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
               words_bytes(planned, sizeof planned, run->memory_planned),
               words_bytes(used, sizeof used, run->memory_used), run->learning_rate, run->device);
}

/* Held-out prompts with their reward and the change since the base model. */
static void draw_table(const struct studio *studio, struct area area)
{
    const struct run_picture *any = run_picture(studio->run, RUN_BASE, 0);
    if (area.rows < 3 || any == NULL || isnan(any->reward)) return;
    char text[24], change[24];
    draw_text(area.row, area.column, 20, STYLE_LIVE, "held-out prompts");
    draw_right(area.row, area.column + area.columns - 20, 10, STYLE_DIM, "reward");
    draw_right(area.row, area.column + area.columns - 9, 9, STYLE_DIM, "change");
    int row = 1;
    for (int index = 0; index < RUN_PICTURES && row < area.rows; index++) {
        const struct run_picture *base = run_picture(studio->run, RUN_BASE, index);
        const struct run_picture *tuned = run_picture(studio->run, RUN_HELD_OUT, index);
        double gain = base != NULL && tuned != NULL ? tuned->reward - base->reward : NAN;
        if (tuned == NULL) tuned = base;
        if (tuned == NULL || isnan(tuned->reward)) continue;
        draw_text(area.row + row, area.column, area.columns - 22, STYLE_TEXT, tuned->prompt);
        draw_right(area.row + row, area.column + area.columns - 20, 10, STYLE_TEXT, "%s",
                   words_number(text, sizeof text, tuned->reward));
        if (!isnan(gain))
            draw_right(area.row + row, area.column + area.columns - 9, 9,
                       gain > 0   ? STYLE_GOOD
                       : gain < 0 ? STYLE_BAD
                                  : STYLE_DIM,
                       "%s%s", gain > 0 ? "+" : "", words_number(change, sizeof change, gain));
        row++;
    }
}

static void draw_enlarged(struct studio *studio, struct area body)
{
    if (view_of(studio)->pane == PANE_PICTURES) {
        struct tune_layout layout = {.picture_count = 1};
        layout.pictures[0] = (struct area){body.row, body.column, body.rows - 1, body.columns};
        layout.captions[0] = (struct area){body.row + body.rows - 1, body.column, 1, body.columns};
        draw_pictures(studio, &layout);
    } else if (view_of(studio)->pane == PANE_CURVES) {
        bool many = studio->run->reward_count > 1;
        int upper = many ? body.rows / 2 : body.rows;
        curves_draw_total(studio->run, (struct area){body.row, body.column, upper, body.columns}, true);
        if (many)
            curves_draw_rewards(studio->run,
                                (struct area){body.row + upper + 1, body.column, body.rows - upper - 1, body.columns});
    } else {
        int rows = studio->run->reward_count + 1;
        draw_rewards(studio, (struct area){body.row, body.column, rows, body.columns});
        draw_drift(studio->run, (struct area){body.row + rows + 1, body.column, 5, body.columns});
        draw_table(studio, (struct area){body.row + rows + 7, body.column, body.rows - rows - 7, body.columns});
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
        studio_take_clicks(studio, layout->pictures[place], PANE_PICTURES, 0);
    studio_take_clicks(studio, layout->curves, PANE_CURVES, 0);
    studio_take_clicks(studio, layout->small_curves, PANE_CURVES, 0);
}

static void draw(struct studio *studio, struct area body)
{
    const struct run *run = studio->run;
    if (run->phase == RUN_UNKNOWN || run->phase == RUN_IDLE) {
        bool connecting = studio->live != NULL;
        draw_notice(body, connecting ? "connecting \u2026" : "No run is open.",
                    connecting ? "" : "1 starts one from a preset, 9 lists the earlier ones");
        return;
    }
    if (view_of(studio)->enlarged) {
        draw_enlarged(studio, body);
        if (view_of(studio)->pane != PANE_REWARDS) studio_take_clicks(studio, body, view_of(studio)->pane, 0);
        return;
    }
    struct tune_layout layout =
        layout_tune(body, run->reward_count, view_of(studio)->side_by_side, square_columns(studio));
    draw_pictures(studio, &layout);
    draw_progress(studio, layout.progress);
    take_clicks_of_panes(studio, &layout);
    if (!area_empty(layout.curves)) curves_draw_total(run, layout.curves, view_of(studio)->pane == PANE_CURVES);
    if (!area_empty(layout.small_curves)) curves_draw_rewards(run, layout.small_curves);
    draw_rewards(studio, layout.rewards);
    draw_drift(run, layout.drift);
    draw_table(studio, layout.table);
    draw_memory(studio, body);
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
    view_of(studio)->target[index] = value;
    view_of(studio)->target_since[index] = studio->now;
}

static void change_weight(struct studio *studio, int direction, bool coarse)
{
    int index = view_of(studio)->reward;
    double base = started_weight(studio->run, index);
    view_of(studio)->muted[index] = NAN;
    set_slider(studio, index, weight_moved(slider_value(studio, index), base, direction, coarse));
}

static void type_weight(struct studio *studio, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    const struct run_reward *reward = &studio->run->rewards[view_of(studio)->reward];
    if (end == text || *end != 0 || !isfinite(value) || value < reward->low || value > reward->high)
        studio_say(studio, MESSAGE_ERROR, "\"%s\" is no weight of %s: a number from %g to %g", text, reward->id,
                   reward->low, reward->high);
    else
        set_slider(studio, view_of(studio)->reward, value);
}

static void type_learning_rate(struct studio *studio, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !isfinite(value))
        studio_say(studio, MESSAGE_ERROR, "\"%s\" is no learning rate: a number such as 0.0005", text);
    else
        studio_set_value(studio, "optimizer.lr", value, studio->run->learning_rate);
}

static void mute(struct studio *studio, int index)
{
    double *muted = &view_of(studio)->muted[index];
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
    int chosen = view_of(studio)->reward;
    bool alone = true;
    for (int index = 0; index < studio->run->reward_count; index++)
        if (index != chosen && isnan(view_of(studio)->muted[index])) alone = false;
    for (int index = 0; index < studio->run->reward_count; index++) {
        bool is_muted = !isnan(view_of(studio)->muted[index]);
        if (index != chosen && is_muted == alone) mute(studio, index);
        if (index == chosen && is_muted) mute(studio, index);
    }
}

static void prompt_number(struct studio *studio, const char *title, const char *hint, double value,
                          void (*done)(struct studio *, const char *))
{
    char text[32];
    snprintf(text, sizeof text, "%g", value);
    studio_prompt(studio, title, hint, text, done, NULL);
}

static bool rewards_command(struct studio *studio, enum command_id id, bool coarse)
{
    struct tune_view *tune = view_of(studio);
    int count = studio->run->reward_count;
    switch (id) {
    case COMMAND_UP: tune->reward = tune->reward > 0 ? tune->reward - 1 : 0; return true;
    case COMMAND_DOWN: tune->reward = tune->reward + 1 < count ? tune->reward + 1 : count - 1; return true;
    case COMMAND_LESS: change_weight(studio, -1, coarse); return true;
    case COMMAND_MORE: change_weight(studio, 1, coarse); return true;
    case COMMAND_MUTE: mute(studio, tune->reward); return true;
    case COMMAND_SOLO: solo(studio); return true;
    case COMMAND_TYPE_VALUE:
        prompt_number(studio, "Weight", "A number; it counts from the step after the present one.",
                      slider_value(studio, tune->reward), type_weight);
        return true;
    default: return false;
    }
}

static void next_picture(struct studio *studio, int direction)
{
    int count =
        run_picture_count(studio->run, view_of(studio)->picture_set <= SET_HELD_OUT ? RUN_HELD_OUT : RUN_SAMPLE);
    if (view_of(studio)->picture_set == SET_BATCH) count = 3;
    if (count < 1) count = 1;
    view_of(studio)->picture = (view_of(studio)->picture + direction + count) % count;
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct tune_view *tune = view_of(studio);
    if (tune->pane == PANE_PICTURES && (id == COMMAND_LESS || id == COMMAND_MORE)) {
        next_picture(studio, id == COMMAND_LESS ? -1 : 1);
        return true;
    }
    if (studio->run->reward_count > 0 && rewards_command(studio, id, coarse)) return true;
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
    case COMMAND_NEXT_PICTURE: next_picture(studio, 1); return true;
    case COMMAND_PICTURE_SET:
        tune->picture_set = (tune->picture_set + 1) % SET_COUNT;
        tune->picture = 0;
        return true;
    case COMMAND_LEARNING_RATE:
        if (studio->live != NULL)
            prompt_number(studio, "Learning rate", "It counts from the step after the present one.",
                          studio->run->learning_rate, type_learning_rate);
        return true;
    case COMMAND_EXPORT: studio_export(studio, studio->run->path, studio->run->name); return true;
    case COMMAND_SAVE_PRESET: studio_save_run(studio); return true;
    case COMMAND_EDIT: studio_show_run_settings(studio); return true;
    default: return false;
    }
}

/* A press on a slider moves it there, and it follows the mouse until the button is let go. */
static void click_reward(struct studio *studio, const struct click *click)
{
    struct tune_view *tune = view_of(studio);
    if (!click->drag) {
        struct reward_columns places = reward_columns(studio->run, studio->pressed.area.columns);
        tune->reward = click->item;
        tune->dragged = click->column >= places.slider && click->column < places.slider + places.slider_width;
        if (click->item < studio->run->reward_count) tune->drag_largest = largest_weight(studio, click->item);
    }
    if (!tune->dragged || tune->reward >= studio->run->reward_count) return;
    struct reward_columns places = reward_columns(studio->run, studio->pressed.area.columns);
    double part = (double)(click->column - places.slider) / (places.slider_width - 1);
    tune->muted[tune->reward] = NAN;
    set_slider(studio, tune->reward, tune->drag_largest * fmin(1, fmax(0, part)));
}

static void click(struct studio *studio, const struct click *click)
{
    bool again = view_of(studio)->pane == click->pane;
    view_of(studio)->pane = click->pane;
    if (click->pane == PANE_REWARDS)
        click_reward(studio, click);
    else if (again && !click->drag)
        view_of(studio)->enlarged = !view_of(studio)->enlarged;
}

static void let_go_of_sliders(struct studio *studio)
{
    for (int index = 0; index < RUN_REWARDS; index++) view_of(studio)->target[index] = NAN;
}

static void reset(struct studio *studio)
{
    let_go_of_sliders(studio);
    for (int index = 0; index < RUN_REWARDS; index++) view_of(studio)->muted[index] = NAN;
}

/* A slider's value is sent when it has rested for a moment. */
static int tick(struct studio *studio)
{
    enum { SLIDER_PAUSE = 200 };
    struct tune_view *tune = view_of(studio);
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
static void settle_sliders(struct studio *studio, const char *type, const cJSON *message)
{
    (void)message;
    if (strcmp(type, "event") != 0) return;
    for (int index = 0; index < studio->run->reward_count; index++) {
        double target = view_of(studio)->target[index];
        if (!isnan(target) && fabs(target - studio->run->rewards[index].weight) < 1e-9)
            view_of(studio)->target[index] = NAN;
    }
}

const struct screen screen_tune = {
    .name = "Tune",
    .about =
        "The run as it goes: pictures of the held-out prompts, the curves of the rewards, and their weights, which you "
        "can "
        "move while it runs. Watch the held-out curve and the drift: a reward that only rises on the training prompts "
        "is being gamed.",
    .view_bytes = sizeof(struct tune_view),
    .draw = draw,
    .command = command,
    .click = click,
    .reset = reset,
    .tick = tick,
    .message = settle_sliders,
    .undone = let_go_of_sliders,
};
