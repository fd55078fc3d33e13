/* Draws the card: purpose, facts, needs, and pictures beside or below. */
#include "tui/views/card.h"

#include "engine/base/format.h"
#include "tui/screen/text.h"

#include <math.h>
#include <stdio.h>

enum { FRAME_ROWS = 2, FACT_ROWS = 2 };

static bool is_startable(const cJSON *item)
{
    return !json_get(item, "error") && !cJSON_IsFalse(json_get(item, "model_present"));
}

/* What it is for; where it cannot be started, why and what to do about it. */
static const char *purpose(const cJSON *item)
{
    const char *error = json_get_text(item, "error", NULL);
    return error ? error : json_get_text(item, "notes", json_get_text(json_get(item, "preset"), "notes", ""));
}

int card_rows(const cJSON *item, int columns)
{
    const char *hint = json_get_text(item, "model_hint", NULL);
    int width = columns - 4, rows = FRAME_ROWS + wrapped_rows(width, purpose(item));
    if (json_get(item, "error")) return rows;
    return rows + FACT_ROWS + (hint ? wrapped_rows(width, hint) : 0);
}

/* A frame whose upper edge says at the right which key does what; returns the area inside. */
static struct area draw_card_frame(struct area area, const char *title, enum style style, const char *invitation)
{
    draw_frame(area, title);
    char label[80];
    snprintf(label, sizeof label, " %s ", invitation);
    int width = text_width(label);
    if (text_width(title) + width + 8 < area.columns)
        draw_text(area.row, area.column + area.columns - 2 - width, width, style, label);
    return (struct area){area.row + 1, area.column + 2, area.rows - FRAME_ROWS, area.columns - 4};
}

/* Draws wrapped text at the top of the area and takes its rows off it. */
static void take_wrapped(struct area *rest, enum style style, const char *text)
{
    int used = draw_wrapped(*rest, style, text);
    rest->row += used;
    rest->rows -= used;
}

static void take_row(struct area *rest)
{
    rest->row++;
    rest->rows--;
}

static void draw_facts(struct area *rest, const cJSON *item)
{
    const cJSON *preset = json_get(item, "preset"), *train = json_get(json_get(preset, "prompts"), "train");
    const cJSON *first = cJSON_GetArrayItem(train, 0);
    int count = cJSON_GetArraySize(train);
    char prompts[256], text[400];
    if (!cJSON_IsString(first))
        snprintf(prompts, sizeof prompts, "%lld prompts from a file", json_get_integer(item, "prompts", 0));
    else if (json_get_integer(item, "prompts", count) > 1)
        snprintf(prompts, sizeof prompts, "\"%.200s\" and %lld more", first->valuestring,
                 json_get_integer(item, "prompts", count) - 1);
    else
        snprintf(prompts, sizeof prompts, "\"%.200s\"", first->valuestring);
    snprintf(text, sizeof text, "%s \u00b7 model %.60s \u00b7 rank %lld \u00b7 batch %lld", prompts,
             json_get_text(preset, "model", "?"), json_get_integer(json_get(preset, "lora"), "rank", 0),
             json_get_integer(preset, "batch", 1));
    take_wrapped(rest, STYLE_DIM, text);
}

/* Memory needed against what is free here, and the time it takes; "~" until it has been measured. In one row, or where
 * that is too narrow, in two. */
static void draw_needs(struct area *rest, const cJSON *item, double available)
{
    enum { BAR = 10, SECOND = 38, LEAST_WIDE = 70 };
    char text[32], here[32];
    long long steps = json_get_integer(json_get(item, "preset"), "steps", 0);
    double needed = json_get_number(item, "memory_bytes", NAN),
           seconds = json_get_number(item, "seconds_per_step", NAN);
    bool fits = isnan(needed) || isnan(available) || needed <= available, one_row = rest->columns >= LEAST_WIDE;
    int at = draw_text(rest->row, rest->column, rest->columns, STYLE_DIM, "memory ");
    draw_bar(rest->row, rest->column + at, BAR, available > 0 ? needed / available : 0,
             fits ? STYLE_ACCENT : STYLE_BAD);
    draw_format(rest->row, rest->column + at + BAR + 1, SECOND - at - BAR - 2, fits ? STYLE_TEXT : STYLE_BAD,
                "%s of %s", format_bytes(text, sizeof text, needed), format_bytes(here, sizeof here, available));
    if (!one_row) take_row(rest);
    if (rest->rows < 1) return;
    at = one_row ? SECOND : 0;
    at += draw_text(rest->row, rest->column + at, rest->columns - at, STYLE_DIM, one_row ? "time " : "time   ");
    if (isnan(seconds))
        draw_format(rest->row, rest->column + at, rest->columns - at, STYLE_TEXT, "~ for %lld steps (not measured)",
                    steps);
    else
        draw_format(rest->row, rest->column + at, rest->columns - at, STYLE_TEXT, "about %s for %lld steps",
                    format_seconds(text, sizeof text, seconds * (double)steps), steps);
    take_row(rest);
}

/* Where there is room the pictures stand at the left and the text beside them; returns the area for the text. */
static struct area draw_pictures_beside(struct studio *studio, struct preview *preview, struct area inside,
                                        const cJSON *item, bool run)
{
    enum { LEAST_WORDS = 46, GAP = 3 };
    struct area pictures = inside;
    pictures.columns = inside.columns - LEAST_WORDS - GAP;
    bool flat = pictures.columns >= 2 * inside.rows; /* two pictures beside each other are not lower than the area */
    int used = flat ? preview_draw(studio, preview, pictures, item, run) : 0;
    if (used == 0) return inside;
    return (struct area){inside.row, inside.column + used + GAP, inside.rows, inside.columns - used - GAP};
}

static void draw_pictures_below(struct studio *studio, struct preview *preview, struct area inside, struct area rest,
                                const cJSON *item, bool run)
{
    if (rest.column != inside.column) return; /* they stand beside the text */
    preview_draw(studio, preview, (struct area){rest.row + 1, rest.column, rest.rows - 1, rest.columns}, item, run);
}

void card_draw_preset(struct studio *studio, struct preview *preview, struct area area, const cJSON *item)
{
    if (!item || area.rows < FRAME_ROWS + 1) return;
    const char *hint = json_get_text(item, "model_hint", NULL);
    bool wrong = json_get(item, "error"), ready = is_startable(item);
    struct area inside = draw_card_frame(area, json_get_text(item, "name", "?"), ready ? STYLE_KEY : STYLE_DIM,
                                         wrong   ? "invalid file"
                                         : ready ? "Enter starts it"
                                                 : "model missing");
    struct area rest = draw_pictures_beside(studio, preview, inside, item, false);
    take_wrapped(&rest, wrong ? STYLE_BAD : STYLE_TEXT, purpose(item));
    if (wrong || rest.rows < 1) return;
    draw_facts(&rest, item);
    if (rest.rows < 1) return;
    draw_needs(&rest, item, json_get_number(json_get(studio->catalogue, "device"), "memory_free", NAN));
    if (hint && rest.rows > 0) take_wrapped(&rest, STYLE_WARNING, hint);
    draw_pictures_below(studio, preview, inside, rest, item, false);
}

void card_draw_run(struct studio *studio, struct preview *preview, struct area area, const cJSON *run)
{
    if (!run || area.rows < FRAME_ROWS + 1) return;
    char text[400], first[24], last[24], ago[32];
    double start = json_get_number(run, "eval_first", NAN), newest = json_get_number(run, "eval_last", NAN);
    struct area inside = draw_card_frame(area, json_get_text(run, "name", "?"), STYLE_KEY, "Enter opens it");
    struct area rest = draw_pictures_beside(studio, preview, inside, run, true);
    snprintf(text, sizeof text, "%s at step %lld of %lld, %s", json_get_text(run, "state", "?"),
             json_get_integer(run, "step", 0), json_get_integer(run, "steps", 0),
             format_ago(ago, sizeof ago, studio->wall_clock - json_get_number(run, "modified", NAN)));
    take_wrapped(&rest, STYLE_TEXT, text);
    if (!isnan(start) && !isnan(newest) && rest.rows > 0) {
        snprintf(text, sizeof text, "held-out reward %s \u2192 %s", format_number(first, sizeof first, start),
                 format_number(last, sizeof last, newest));
        take_wrapped(&rest, STYLE_CURVE_HELD_OUT, text);
    }
    if (rest.rows < 1) return;
    snprintf(text, sizeof text, "preset %.100s \u00b7 %.280s", json_get_text(run, "preset", "?"),
             json_get_text(run, "path", ""));
    take_wrapped(&rest, STYLE_DIM, text);
    draw_pictures_below(studio, preview, inside, rest, run, true);
}
