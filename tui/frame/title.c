/* The first two rows: what is on screen, and the tabs. */
#include "engine/base/format.h"
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const level_labels[LINK_LEVEL_COUNT] = {"slow link: symbols", "slow link: small pictures",
                                                           "slow link: fewer pictures", ""};

static enum style phase_style(enum run_phase phase)
{
    switch (phase) {
    case RUN_RUNNING: return STYLE_GOOD;
    case RUN_FAILED:
    case RUN_LOST: return STYLE_BAD;
    case RUN_PAUSED:
    case RUN_PAUSING:
    case RUN_WAITING: return STYLE_WARNING;
    default: return STYLE_DIM;
    }
}

/* Held-out reward now and the best of it; "" while there is none. */
static void held_out_text(const struct run *run, char *text, size_t size)
{
    char now[24], highest[24];
    const struct run_step *newest = run_newest_held_out(run), *best = run_best(run);
    text[0] = '\0';
    if (!newest) return;
    int length = snprintf(text, size, "held-out %s", format_number(now, sizeof now, run_total(run, newest->held_out)));
    if (!best || length < 0 || (size_t)length >= size) return;
    snprintf(text + length, size - (size_t)length, "  %s %s@%d", style_unicode() ? "\u25c6" : "*",
             format_number(highest, sizeof highest, run_total(run, best->held_out)), best->step);
}

/* The name takes what the figures leave. */
static int draw_run_name(const struct run *run, int width)
{
    char name[128];
    bool whole = text_width(run->name) <= width;
    return draw_text(0, 1, width, STYLE_TITLE, whole ? run->name : run_short_name(run->name, name, sizeof name)) + 2;
}

/* state, step, time left, held-out reward and the best of it */
static void draw_run_title(const struct studio *studio, int columns)
{
    const struct run *run = studio->run;
    bool wide = columns >= 100, timed = run_alive(run) && run->steps > 0;
    char state[24], step[24], pace[32] = "", left[32] = "", right[96], text[128];
    snprintf(state, sizeof state, "%s %s", style_unicode() ? "\u25cf" : "*", run_phase_name(run->phase));
    snprintf(step, sizeof step, "step %d/%d", run->step, run->steps);
    if (timed && wide && !isnan(run->seconds_per_step))
        snprintf(pace, sizeof pace, "%s/step", format_seconds(text, sizeof text, run->seconds_per_step));
    if (timed && !isnan(run->seconds_left))
        snprintf(left, sizeof left, "%s left", format_seconds(text, sizeof text, run->seconds_left));
    held_out_text(run, right, sizeof right);
    int bar = wide && run->steps > 0 ? 16 : 0, others = text_width(state) + text_width(step) + text_width(right) + 6;
    if (left[0] != '\0') others += text_width(left) + 2;
    int spare = columns - others - 2 - text_width(run_short_name(run->name, text, sizeof text));
    if (pace[0] != '\0' && spare < text_width(pace) + 2) pace[0] = '\0';
    if (pace[0] != '\0') spare -= text_width(pace) + 2;
    if (bar > 0 && spare < bar + 1) bar = 0;
    others += (pace[0] != '\0' ? text_width(pace) + 2 : 0) + (bar > 0 ? bar + 1 : 0);
    int name = columns - others - 2;
    int at = 1 + draw_run_name(run, name > 10 ? name : 10);
    at += draw_text(0, at, columns - at, phase_style(run->phase), state) + 2;
    at += draw_text(0, at, columns - at, STYLE_LIVE, step) + 1;
    if (bar > 0) draw_bar(0, at, bar, (double)run->step / run->steps, STYLE_ACCENT);
    if (bar > 0) at += bar + 1;
    at++;
    if (pace[0] != '\0') at += draw_text(0, at, columns - at, STYLE_DIM, pace) + 2;
    at += draw_text(0, at, columns - at, STYLE_DIM, left) + 2;
    draw_right(0, at, columns - at - 1, STYLE_CURVE_HELD_OUT, "%s", right);
}

static void draw_home_title(const struct studio *studio, int columns)
{
    int used = draw_text(0, 1, 30, STYLE_TITLE, style_unicode() ? "\u25c6 AlignProp Studio" : "* AlignProp Studio");
    bool of_draft = studio->screen == SCREEN_REWARDS || studio->screen == SCREEN_PROMPTS;
    if (of_draft && studio_is_editing(studio))
        draw_format(0, used + 3, 40, STYLE_LIVE, "%s%s", studio->origin.name,
                    studio->draft_changed ? " (changed)" : "");
    const cJSON *device = message_get(studio->catalogue, "device");
    char text[32];
    if (!device) {
        draw_right(0, 30, columns - 31, studio->engine_error[0] ? STYLE_BAD : STYLE_DIM, "%s",
                   studio->engine_error[0] ? "no engine; 0 shows why" : "connecting to the engine");
        return;
    }
    draw_right(0, 30, columns - 31, STYLE_DIM, "%s \u00b7 %lld threads \u00b7 %s free",
               message_text(device, "name", "cpu"), message_integer(device, "threads", 1),
               format_bytes(text, sizeof text, message_number(device, "memory_free", NAN)));
}

void tabs_draw(struct studio *studio, int columns)
{
    static const struct {
        enum screen_id screen;
        char digit;
        const char *label;
    } tabs[] = {
#define SCREEN(id, name)
#define SCREEN_TAB(id, name, keys, tab, command, help) {SCREEN_##id, keys[0], tab},
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB
    };
    int at = 0;
    for (size_t i = 0; i < sizeof tabs / sizeof *tabs; i++) {
        enum screen_id of_settings = studio->run_settings ? SCREEN_TUNE : SCREEN_HOME;
        bool here =
            studio->screen == tabs[i].screen || (studio->screen == SCREEN_EDIT && tabs[i].screen == of_settings);
        int start = at;
        char digit[3] = {' ', tabs[i].digit, 0};
        at += draw_text(1, at, 2, here ? STYLE_TITLE : STYLE_DIM, digit);
        at += draw_format(1, at, 12, here ? STYLE_TITLE : STYLE_DIM, " %s", tabs[i].label);
        frame_add_button(studio, (struct button){1, start, at - start, COMMAND_GO + tabs[i].screen, 0});
    }
    draw_line(1, at + 1, columns - at - 1, STYLE_FRAME);
    enum link_level level = terminal_link(studio->terminal)->level;
    const char *label = level_labels[level];
    if (label[0] != '\0' && columns - at > 12) draw_right(1, at + 1, columns - at - 2, STYLE_WARNING, " %s ", label);
}

void title_draw(struct studio *studio, int columns)
{
    bool of_draft_alone = studio->screen == SCREEN_EDIT && !studio->run_settings;
    bool of_run = studio->run->phase != RUN_UNKNOWN && studio->screen != SCREEN_HOME && !of_draft_alone &&
                  studio->screen != SCREEN_MIXER;
    bool of_draft = (studio->screen == SCREEN_REWARDS || studio->screen == SCREEN_PROMPTS) && studio_is_editing(studio);
    if (of_run && !of_draft)
        draw_run_title(studio, columns);
    else
        draw_home_title(studio, columns);
}
