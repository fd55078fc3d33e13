/* The line of progress on stderr that a run's messages keep up to date. */
#include "engine/cli/progress.h"

#include "engine/base/clock.h"
#include "engine/base/format.h"
#include "engine/cli/output.h"
#include "engine/protocol/message.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double seconds_between_lines = 0.1;

void progress_begin(struct progress *progress, bool quiet, bool json)
{
    *progress = (struct progress){.quiet = quiet, .json = json, .total = NAN, .first_total = NAN};
    progress->terminal = isatty(STDERR_FILENO);
}

/* Past the stream, which would write out the carriage return: no other control character is a command's own. A line of
 * progress that is lost is no failure. */
static void write_to_terminal(const char *text)
{
    fflush(stderr);
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

/* Replaces the line on a terminal. */
static void show_line(struct progress *progress, const char *line)
{
    char whole[600];
    int length = (int)strlen(line);
    snprintf(whole, sizeof whole, "\r%s%*s", line,
             progress->shown_length > length ? progress->shown_length - length : 0, "");
    progress->shown_length = length;
    write_to_terminal(whole);
}

static void format_step(const struct progress *progress, char line[200])
{
    const struct session_state *state = &progress->last;
    char left[FORMAT_SIZE], memory[FORMAT_SIZE], reward[64] = "reward ~", pace[32] = "~ s/step";
    format_seconds(left, sizeof left, state->seconds_left);
    format_bytes(memory, sizeof memory, (double)state->memory_used);
    if (isfinite(progress->total)) {
        snprintf(reward, sizeof reward, "reward %.4g (%+.3g)", progress->total,
                 progress->total - progress->first_total);
    }
    if (isfinite(state->seconds_per_step)) snprintf(pace, sizeof pace, "%.2f s/step", state->seconds_per_step);
    snprintf(line, 200, "step %d/%d  %s  %s  left %s  memory %s%s", state->step, state->steps, reward, pace, left,
             memory, state->skipped ? "  (steps were skipped)" : "");
}

/* A step's state and its measurements come one by one; its line needs both. */
static void show_step(struct progress *progress)
{
    const struct session_state *state = &progress->last;
    if (progress->quiet || !progress->known) return;
    char line[200];
    format_step(progress, line);
    if (progress->terminal) {
        show_line(progress, line);
    } else if (state->step == progress->measured_step && state->step != progress->shown_step) {
        progress->shown_step = state->step;
        tell("%s", line);
    }
}

static void on_state(void *context, const struct session_state *state)
{
    struct progress *progress = context;
    progress->last = *state;
    progress->known = true;
    show_step(progress);
}

static void note_total(struct progress *progress, const cJSON *line, int step)
{
    progress->total = json_get_number(json_get(line, "reward"), "total", NAN);
    progress->measured_step = step;
    if (!isfinite(progress->first_total)) progress->first_total = progress->total;
}

static void on_metrics(void *context, const struct session_line *line, int step)
{
    struct progress *progress = context;
    note_total(progress, line->value, step);
    show_step(progress);
    if (!progress->json) return;
    puts(line->text);
    fflush(stdout);
}

static void on_progress(void *context, const char *phase, int step, int done, int total)
{
    (void)step;
    struct progress *progress = context;
    if (progress->quiet || !progress->terminal || clock_steady() - progress->last_shown < seconds_between_lines) return;
    progress->last_shown = clock_steady();
    char line[200], whole[260];
    format_step(progress, line);
    snprintf(whole, sizeof whole, "%s  %s %d/%d", line, phase, done, total);
    show_line(progress, whole);
}

static void on_log(void *context, const char *message)
{
    struct progress *progress = context;
    if (progress->quiet) return;
    if (progress->terminal) {
        show_line(progress, "");
        write_to_terminal("\r");
    }
    tell("%s", message);
    snprintf(progress->said, sizeof progress->said, "%s", message);
}

bool progress_has_said(const struct progress *progress, const char *message)
{
    return message[0] && strcmp(progress->said, message) == 0;
}

struct session_hooks progress_hooks(struct progress *progress)
{
    return (struct session_hooks){
        .context = progress, .state = on_state, .metrics = on_metrics, .progress = on_progress, .log = on_log};
}

void progress_end(struct progress *progress)
{
    if (progress->terminal && !progress->quiet && progress->shown_length > 0) fputc('\n', stderr);
}
