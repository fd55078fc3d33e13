/* The pictures of the run as it goes. */
#include "engine/base/format.h"
#include "tui/screen/text.h"
#include "tui/views/tune_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct run_picture *newest_of(const struct run *run, enum picture_kind kind)
{
    const struct run_picture *newest = NULL;
    for (int i = 0; i < RUN_PICTURES; i++) {
        const struct run_picture *picture = run_picture(run, kind, i);
        if (picture && (!newest || picture->serial > newest->serial)) newest = picture;
    }
    return newest;
}

/* What is being made now: a preview of the denoising, which shows the first picture of a batch, and once that batch is
 * decoded this picture, be it of training or held out. */
static const struct run_picture *live_picture(const struct run *run, const char **label)
{
    static const char *const names[PICTURE_KIND_COUNT] = {"denoising", "sample", "base", "tuned"};
    const struct run_picture *preview = newest_of(run, PICTURE_DENOISING), *newest = NULL;
    enum picture_kind newest_kind = PICTURE_DENOISING;
    for (enum picture_kind kind = PICTURE_SAMPLE; !preview && kind < PICTURE_KIND_COUNT; kind++) {
        const struct run_picture *picture = newest_of(run, kind);
        if (!picture || (newest && picture->serial < newest->serial)) continue;
        newest = picture;
        newest_kind = kind;
    }
    *label = names[newest_kind];
    if (!newest) return preview;
    int batch = (int)message_integer(run->preset, "batch", 1), index = newest->index;
    const struct run_picture *first = run_picture(run, newest_kind, batch > 0 ? index - index % batch : index);
    return first ? first : newest;
}

/* The picture of place `index` in the present set, and what to call it. */
static const struct run_picture *picture_of(const struct studio *studio, int index, bool base, const char **label)
{
    const struct run *run = studio->run;
    *label = base ? "base" : "tuned";
    const struct run_picture *held_out = run_picture(run, base ? PICTURE_BASE : PICTURE_EVALUATION, index);
    /* Before the first evaluation the base model's picture and what is being made are all there is. */
    if (!held_out && !base) {
        held_out = run_picture(run, PICTURE_BASE, index);
        *label = "base";
    }
    return !held_out && index == 0 ? live_picture(run, label) : held_out;
}

/* Indices of the batch's pictures from best to worst. */
static int rank_batch(const struct run *run, int order[RUN_PICTURES])
{
    int count = 0;
    for (int i = 0; i < RUN_PICTURES; i++) {
        const struct run_picture *picture = run_picture(run, PICTURE_SAMPLE, i);
        if (!picture) continue;
        int at = count++;
        while (at > 0 && !(run_picture(run, PICTURE_SAMPLE, order[at - 1])->reward >= picture->reward)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return count;
}

static void draw_picture(struct studio *studio, struct area area, struct area caption,
                         const struct run_picture *picture, const char *label)
{
    if (!picture) {
        int middle = area.row + area.rows / 2;
        bool alive = run_alive(studio->run);
        draw_center(middle, area.column, area.columns, STYLE_DIM, "%s",
                    studio->run->phase == RUN_STARTING  ? "Loading the model \u2026"
                    : studio->run->phase == RUN_WAITING ? ""
                    : alive                             ? "Drawing the first picture \u2026"
                                                        : "no picture");
        return;
    }
    enum { LEAST_CAPTION = 24 };
    struct area place = pictures_fit(studio->pictures, area, picture->image.width, picture->image.height);
    bool nearly_fills = area.columns - place.columns <= 6;
    if (nearly_fills) place.column = area.column;
    if (pictures_protocol(studio->pictures) == PROTOCOL_NONE)
        draw_center(area.row + area.rows / 2, area.column, area.columns, STYLE_DIM, "Pictures off; P shows them.");
    pictures_want(studio->pictures, place, &picture->image);
    if (place.columns >= LEAST_CAPTION) {
        caption.column = place.column;
        caption.columns = place.columns;
    }
    char reward[40] = "", text[24];
    if (picture->total > 0)
        snprintf(reward, sizeof reward, "%d/%d", picture->done, picture->total);
    else if (!isnan(picture->reward))
        snprintf(reward, sizeof reward, "%s", format_number(text, sizeof text, picture->reward));
    int used = draw_text(caption.row, caption.column, 10, STYLE_ACCENT, label) + 1;
    int right = (int)strlen(reward);
    draw_format(caption.row, caption.column + used, caption.columns - used - right - 1, STYLE_DIM, "%s",
                picture->prompt);
    draw_right(caption.row, caption.column + caption.columns - right, right, STYLE_LIVE, "%s", reward);
}

static void draw_held_out(struct studio *studio, const struct tune_layout *layout)
{
    const char *label = "";
    int shift = tune_view_of(studio)->picture;
    for (int place = 0; place < layout->picture_count; place++) {
        int index = shift;
        bool base = tune_view_of(studio)->show_base;
        if (layout->picture_count == 4) {
            index = shift + place % 2;
            base = place < 2;
            if (tune_view_of(studio)->show_base) base = true;
        } else if (layout->picture_count == 2) {
            base = place == 0;
        }
        const struct run_picture *picture = picture_of(studio, index, base, &label);
        draw_picture(studio, layout->pictures[place], layout->captions[place], picture, label);
    }
}

static void draw_batch(struct studio *studio, const struct tune_layout *layout)
{
    int order[RUN_PICTURES], count = rank_batch(studio->run, order);
    static const char *const names[] = {"best", "median", "worst"};
    for (int place = 0; place < layout->picture_count; place++) {
        int rank = (place + tune_view_of(studio)->picture) % 3;
        int chosen = count == 0 ? -1 : rank == 0 ? order[0] : rank == 1 ? order[count / 2] : order[count - 1];
        const char *label = names[rank];
        const struct run_picture *picture = chosen >= 0 ? run_picture(studio->run, PICTURE_SAMPLE, chosen) : NULL;
        if (place == 3) picture = live_picture(studio->run, &label);
        draw_picture(studio, layout->pictures[place], layout->captions[place], picture, label);
    }
}

/* Base and tuned picture of one prompt; below them the best of the batch and what is being made. */
static void draw_overview(struct studio *studio, const struct tune_layout *layout)
{
    const struct run *run = studio->run;
    const char *label = "";
    for (int place = 0; place < 2; place++) {
        const struct run_picture *picture =
            picture_of(studio, tune_view_of(studio)->picture, place == 0 || tune_view_of(studio)->show_base, &label);
        draw_picture(studio, layout->pictures[place], layout->captions[place], picture, label);
    }
    int order[RUN_PICTURES], count = rank_batch(run, order);
    draw_picture(studio, layout->pictures[2], layout->captions[2],
                 count > 0 ? run_picture(run, PICTURE_SAMPLE, order[0]) : NULL, "best");
    const struct run_picture *live = live_picture(run, &label);
    draw_picture(studio, layout->pictures[3], layout->captions[3], live, label);
}

void tune_draw_pictures(struct studio *studio, const struct tune_layout *layout)
{
    bool of_folder =
        run_picture_count(studio->run, PICTURE_SAMPLE) == 0 && !run_alive(studio->run); /* none but held-out */
    if (tune_view_of(studio)->picture_set == SET_OVERVIEW && layout->picture_count == 4 && !of_folder) {
        draw_overview(studio, layout);
    } else if (tune_view_of(studio)->picture_set <= SET_HELD_OUT) {
        draw_held_out(studio, layout);
    } else if (tune_view_of(studio)->picture_set == SET_BATCH) {
        draw_batch(studio, layout);
    } else {
        const char *label = "";
        const struct run_picture *live = live_picture(studio->run, &label);
        draw_picture(studio, layout->pictures[0], layout->captions[0], live, label);
        for (int place = 1; place < layout->picture_count; place++)
            draw_picture(studio, layout->pictures[place], layout->captions[place],
                         run_picture(studio->run, PICTURE_SAMPLE, place - 1), "sample");
    }
}

void tune_next_picture(struct studio *studio, int direction)
{
    int count = run_picture_count(studio->run, tune_view_of(studio)->picture_set <= SET_HELD_OUT ? PICTURE_EVALUATION
                                                                                                 : PICTURE_SAMPLE);
    if (tune_view_of(studio)->picture_set == SET_BATCH) count = 3;
    if (count < 1) count = 1;
    tune_view_of(studio)->picture = (tune_view_of(studio)->picture + direction + count) % count;
}
