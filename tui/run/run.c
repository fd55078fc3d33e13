/* Takes the engine's messages and the lines of metrics.jsonl into what is known of a run. */
#include "tui/run/run.h"

#include "engine/base/input_file.h"
#include "engine/base/memory.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const phase_names[] = {
    [RUN_UNKNOWN] = "connecting", [RUN_IDLE] = "idle",       [RUN_WAITING] = "waiting", [RUN_STARTING] = "starting",
    [RUN_RUNNING] = "running",    [RUN_PAUSING] = "pausing", [RUN_PAUSED] = "paused",   [RUN_STOPPING] = "stopping",
    [RUN_FINISHED] = "finished",  [RUN_STOPPED] = "stopped", [RUN_FAILED] = "failed",   [RUN_LOST] = "engine lost",
};

static const char *const figure_names[FIGURE_COUNT] = {
    [FIGURE_ADAPTER_NORM] = "adapter_norm",
    [FIGURE_DRIFT] = "drift",
    [FIGURE_DIVERSITY] = "diversity",
    [FIGURE_DARK] = "dark",
    [FIGURE_EDGES] = "edges",
    [FIGURE_SATURATION] = "saturation",
    [FIGURE_SAMPLING] = "sampling",
    [FIGURE_DECODING] = "decoding",
    [FIGURE_REWARD] = "reward",
    [FIGURE_BACKWARD] = "backward",
};

const char *run_short_name(const char *name, char *text, size_t size)
{
    static const char digits[] = "0123456789";
    snprintf(text, size, "%s", name);
    for (char *dash = strchr(text, '-'); dash; dash = strchr(dash + 1, '-')) {
        if (strspn(dash + 1, digits) != 8 || dash[9] != '-' || strspn(dash + 10, digits) != 6) continue;
        *dash = '\0';
        break;
    }
    return text;
}

struct run *run_new(void)
{
    struct run *run = memory_take(1, sizeof *run);
    run_clear(run);
    return run;
}

void run_clear(struct run *run)
{
    for (int kind = 0; kind < PICTURE_KIND_COUNT; kind++)
        for (int i = 0; i < RUN_PICTURES; i++) image_free(&run->pictures[kind][i].image);
    cJSON_Delete(run->preset);
    cJSON_Delete(run->settings);
    free(run->history);
    memset(run, 0, sizeof *run);
    run->seconds_per_step = run->seconds_left = NAN;
    run->memory_planned = run->memory_used = run->memory_free = NAN;
}

void run_free(struct run *run)
{
    if (!run) return;
    run_clear(run);
    free(run);
}

const char *run_phase_name(enum run_phase phase)
{
    return phase_names[phase];
}

static enum run_phase phase_of(const char *name)
{
    for (size_t i = RUN_IDLE; i < RUN_LOST; i++)
        if (strcmp(name, phase_names[i]) == 0) return (enum run_phase)i;
    return RUN_UNKNOWN;
}

bool run_alive(const struct run *run)
{
    return run->phase >= RUN_WAITING && run->phase <= RUN_STOPPING;
}

static int reward_index(const struct run *run, const char *id)
{
    for (int i = 0; i < run->reward_count; i++)
        if (strcmp(run->rewards[i].id, id) == 0) return i;
    return -1;
}

static void take_preset(struct run *run, const cJSON *preset)
{
    cJSON_Delete(run->preset);
    run->preset = cJSON_Duplicate(preset, 1);
    run->reward_count = 0;
    const cJSON *reward = NULL;
    cJSON_ArrayForEach(reward, json_get(preset, "rewards"))
    {
        if (run->reward_count == RUN_REWARDS) break;
        struct run_reward *target = &run->rewards[run->reward_count++];
        *target = (struct run_reward){
            .weight = json_get_number(reward, "weight", 1), .pending = NAN, .low = -INFINITY, .high = INFINITY};
        const char *name = json_get_text(reward, "name", "reward");
        snprintf(target->name, sizeof target->name, "%s", name);
        snprintf(target->id, sizeof target->id, "%s", json_get_text(reward, "id", name));
    }
    cJSON_Delete(run->settings);
    run->settings = cJSON_CreateObject();
}

static bool reward_of_key(const struct run *run, const char *key, int *index)
{
    char id[64];
    const char *start = strncmp(key, "rewards.", 8) == 0 ? key + 8 : NULL;
    const char *end = start ? strrchr(start, '.') : NULL;
    if (!end || strcmp(end, ".weight") != 0) return false;
    snprintf(id, sizeof id, "%.*s", (int)(end - start), start);
    *index = reward_index(run, id);
    return *index >= 0;
}

static void apply_setting(struct run *run, const char *key, double value)
{
    int index = 0;
    if (run->settings == NULL) run->settings = cJSON_CreateObject();
    cJSON_DeleteItemFromObjectCaseSensitive(run->settings, key);
    cJSON_AddNumberToObject(run->settings, key, value);
    if (!reward_of_key(run, key, &index)) return;
    run->rewards[index].weight = value;
    if (run->rewards[index].pending == value) run->rewards[index].pending = NAN;
}

double run_setting(const struct run *run, const char *key)
{
    const cJSON *changed = json_get(run->settings, key), *value = run->preset;
    if (cJSON_IsNumber(changed)) return changed->valuedouble;
    char part[64];
    for (const char *dot; (dot = strchr(key, '.')) != NULL; key = dot + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(dot - key), key);
        value = json_get(value, part);
    }
    return json_get_number(value, key, NAN);
}

static void take_settings(struct run *run, const cJSON *message)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_get(message, "settings")) if (cJSON_IsNumber(item))
        apply_setting(run, item->string, item->valuedouble);
    for (int i = 0; i < run->reward_count; i++) run->rewards[i].pending = NAN;
    cJSON_ArrayForEach(item, json_get(message, "pending"))
    {
        int index = 0;
        if (cJSON_IsNumber(item) && reward_of_key(run, item->string, &index))
            run->rewards[index].pending = item->valuedouble;
    }
    cJSON_ArrayForEach(item, json_get(message, "ranges"))
    {
        int index = 0;
        const cJSON *low = cJSON_GetArrayItem(item, 0), *high = cJSON_GetArrayItem(item, 1);
        if (!cJSON_IsNumber(low) || !cJSON_IsNumber(high) || !reward_of_key(run, item->string, &index)) continue;
        run->rewards[index].low = low->valuedouble;
        run->rewards[index].high = high->valuedouble;
    }
    run->pending_step = (int)json_get_integer(message, "pending_step", 0);
}

static struct run_step *step_entry(struct run *run, int step)
{
    int at = run->history_count;
    while (at > 0 && run->history[at - 1].step > step) at--;
    if (at > 0 && run->history[at - 1].step == step) return &run->history[at - 1];
    if (run->history_count == run->history_capacity) {
        int capacity = run->history_capacity > 0 ? run->history_capacity * 2 : 256;
        struct run_step *larger = realloc(run->history, (size_t)capacity * sizeof *larger);
        if (!larger) return NULL;
        run->history = larger;
        run->history_capacity = capacity;
    }
    memmove(run->history + at + 1, run->history + at, (size_t)(run->history_count - at) * sizeof *run->history);
    run->history_count++;
    struct run_step *entry = &run->history[at];
    memset(entry, 0, sizeof *entry);
    entry->step = step;
    entry->loss = entry->gradient_norm = entry->seconds = entry->time = NAN;
    entry->after_break = run->broken;
    run->broken = false;
    for (int i = 0; i < RUN_REWARDS; i++) entry->reward[i] = entry->held_out[i] = NAN;
    for (int i = 0; i < FIGURE_COUNT; i++) entry->figure[i] = NAN;
    return entry;
}

static void forget_after(struct run *run, int step)
{
    while (run->history_count > 0 && run->history[run->history_count - 1].step > step) run->history_count--;
    while (run->mark_count > 0 && run->marks[run->mark_count - 1].step > step + 1) run->mark_count--;
}

static bool take_values(const struct run *run, const cJSON *object, double *values)
{
    if (!cJSON_IsObject(object)) return false;
    for (int i = 0; i < run->reward_count; i++) values[i] = json_get_number(object, run->rewards[i].id, NAN);
    return true;
}

static void add_mark(struct run *run, int step, const char *text)
{
    if (run->mark_count == RUN_MARKS) {
        memmove(run->marks, run->marks + 1, (RUN_MARKS - 1) * sizeof *run->marks);
        run->mark_count--;
    }
    struct run_mark *mark = &run->marks[run->mark_count++];
    mark->step = step;
    snprintf(mark->text, sizeof mark->text, "%s", text);
}

static void take_checkpoint(struct run *run, int step)
{
    for (int i = 0; i < run->checkpoint_count; i++)
        if (run->checkpoints[i] == step) return;
    if (run->checkpoint_count == RUN_CHECKPOINTS) return;
    run->checkpoints[run->checkpoint_count++] = step;
}

/* How far the model has moved stands in the line, the seconds of phases in `phases`. How pictures look is taken from
 * the held-out ones, whose prompts and seeds are the same at every step, so that a change is the model's; a run without
 * held-out pictures has only the batch's. */
static double figure_of(const struct run *run, const cJSON *line, enum run_figure figure)
{
    const char *name = figure_names[figure];
    if (figure >= FIGURE_SAMPLING) return json_get_number(json_get(line, "phases"), name, NAN);
    if (figure < FIGURE_DIVERSITY) return json_get_number(line, name, NAN);
    return json_get_number(json_get(line, run->looks_held_out ? "eval_extra" : "extra"), name, NAN);
}

static void take_event(struct run *run, const cJSON *line)
{
    static const char *const breaks[] = {"pause", "continue", "resume", "rollback", "stop", "end"};
    const char *event = json_get_text(line, "event", "");
    int step = (int)json_get_integer(line, "step", run->step);
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++)
        if (strcmp(event, breaks[i]) == 0) run->broken = true;
    if (strcmp(event, "set") == 0) {
        const char *key = json_get_text(line, "key", "");
        double to = json_get_number(line, "to", NAN), from = json_get_number(line, "from", NAN);
        int index = 0;
        char text[80];
        if (reward_of_key(run, key, &index))
            snprintf(text, sizeof text, "%.24s weight %.4g to %.4g", run->rewards[index].id, from, to);
        else
            snprintf(text, sizeof text, "%.30s %.4g to %.4g", key, from, to);
        add_mark(run, step, text);
        if (!isnan(to)) apply_setting(run, key, to);
    } else if (strcmp(event, "evaluation") == 0) {
        /* Held-out pictures between two steps: the untrained ones of step 0, or those of `sample now`. */
        struct run_step *entry = step_entry(run, step);
        if (!entry || !take_values(run, json_get(line, "eval_reward"), entry->held_out)) return;
        entry->evaluated = true;
        for (int figure = 0; figure < FIGURE_SAMPLING; figure++) {
            double value = figure_of(run, line, (enum run_figure)figure);
            if (!isnan(value)) entry->figure[figure] = value;
        }
    } else if (strcmp(event, "checkpoint") == 0) {
        take_checkpoint(run, step);
    } else if (strcmp(event, "rollback") == 0) {
        int to = (int)json_get_integer(line, "to", step);
        forget_after(run, to);
        run->step = to;
        add_mark(run, to, "rolled back");
    } else if (strcmp(event, "resume") == 0) {
        forget_after(run, step - 1); /* the step that is made next */
    }
}

void run_take_line(struct run *run, const cJSON *line)
{
    if (json_get(line, "eval_extra")) run->looks_held_out = true;
    if (json_get(line, "event")) {
        take_event(run, line);
        return;
    }
    int step = (int)json_get_integer(line, "step", -1);
    if (step < 0 || step > 100000000) return;
    struct run_step *entry = step_entry(run, step);
    if (!entry) return;
    if (take_values(run, json_get(line, "reward"), entry->reward)) entry->trained = true;
    if (take_values(run, json_get(line, "eval_reward"), entry->held_out)) entry->evaluated = true;
    entry->loss = json_get_number(line, "loss", NAN);
    entry->gradient_norm = json_get_number(line, "grad_norm", NAN);
    entry->seconds = json_get_number(line, "seconds", NAN);
    entry->time = json_get_number(line, "time", NAN);
    entry->grad_steps = (int)json_get_integer(line, "k", 0);
    entry->skipped = json_get_flag(line, "skipped", false);
    for (int figure = 0; figure < FIGURE_COUNT; figure++)
        entry->figure[figure] = figure_of(run, line, (enum run_figure)figure);
    if (step > run->step) run->step = step;
}

/* Reads whole lines only: the last one may still be in the writing. */
static void read_history(struct run *run, long long most)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run->path);
    FILE *file;
    if (input_stream_open(path, &file).code != STATUS_OK) return;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    long long read = 0;
    while ((length = getline(&line, &capacity, file)) > 0) {
        read += length;
        if (line[length - 1] != '\n' || (most >= 0 && read > most)) break;
        cJSON *object = message_object(line, (size_t)length);
        if (object) run_take_line(run, object);
        cJSON_Delete(object);
    }
    free(line);
    fclose(file);
}

static void add_log(struct run *run, const cJSON *line)
{
    struct run_log_line *target = &run->log[run->log_total % RUN_LOG_LINES];
    snprintf(target->level, sizeof target->level, "%s", json_get_text(line, "level", "info"));
    snprintf(target->text, sizeof target->text, "%s", json_get_text(line, "text", ""));
    target->time = json_get_number(line, "time", NAN);
    run->log_total++;
    if (run->log_count < RUN_LOG_LINES) run->log_count++;
}

/* Seconds of a step, and with what lies between steps (evaluations, saving) the seconds left, over the newest steps.
 * They follow from the history alone: who attaches sees the same as who has watched. */
static void update_pace(struct run *run)
{
    enum { RECENT = 20 };
    double seconds = 0, spans = 0;
    int steps = 0, span_count = 0;
    for (int at = run->history_count - 1; at >= 0 && steps < RECENT; at--) {
        const struct run_step *entry = &run->history[at], *before = at > 0 ? entry - 1 : NULL;
        if (!entry->trained || isnan(entry->seconds)) continue;
        seconds += entry->seconds;
        steps++;
        bool follows = before && before->trained && before->step + 1 == entry->step && !entry->after_break;
        if (!follows || !(entry->time > before->time)) continue;
        spans += entry->time - before->time;
        span_count++;
    }
    if (steps == 0) return;
    run->seconds_per_step = seconds / steps;
    double pace = span_count > 0 ? spans / span_count : run->seconds_per_step;
    run->seconds_left = pace * (run->steps - run->step);
}

void run_take_state(struct run *run, const cJSON *message)
{
    const cJSON *place = json_get(message, "run");
    run->phase = phase_of(json_get_text(message, "phase", "idle"));
    if (!place) return;
    snprintf(run->path, sizeof run->path, "%s", json_get_text(place, "path", ""));
    snprintf(run->name, sizeof run->name, "%s", json_get_text(place, "name", ""));
    snprintf(run->device, sizeof run->device, "%s", json_get_text(message, "device", ""));
    snprintf(run->error, sizeof run->error, "%s", json_get_text(message, "error", ""));
    run->threads = (int)json_get_integer(message, "threads", 0);
    run->waiting_ahead = (int)json_get_integer(json_get(message, "waiting_for"), "ahead", 0);
    run->clients = (int)json_get_integer(message, "clients", 0);
    run->steps = (int)json_get_integer(message, "steps", 0);
    run->seconds_per_step = json_get_number(message, "seconds_per_step", NAN);
    run->seconds_left = json_get_number(message, "seconds_left", NAN);
    const cJSON *memory = json_get(message, "memory");
    run->memory_planned = json_get_number(memory, "planned", NAN);
    run->memory_used = json_get_number(memory, "used", NAN);
    run->memory_free = json_get_number(memory, "free", NAN);
    if (json_get(message, "preset")) take_preset(run, json_get(message, "preset"));
    run->history_count = run->mark_count = run->checkpoint_count = 0;
    run->broken = false;
    run->step = 0;
    read_history(run, json_get_integer(json_get(message, "history"), "bytes", -1));
    if (json_get(message, "last")) run_take_line(run, json_get(message, "last"));
    take_settings(run, message);
    run->step = (int)json_get_integer(message, "step", run->step);
    run->checkpoint_count = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_get(message, "checkpoints")) if (cJSON_IsNumber(item))
        take_checkpoint(run, item->valueint);
    run->log_total = run->log_count = 0;
    cJSON_ArrayForEach(item, json_get(message, "log")) add_log(run, item);
    if (json_get(message, "progress")) run_take_message(run, "progress", json_get(message, "progress"));
    update_pace(run);
}

static void take_metrics(struct run *run, const cJSON *line)
{
    run_take_line(run, line);
    update_pace(run);
    if (run->pending_step > 0 && run->step >= run->pending_step) run->pending_step = 0;
}

void run_take_message(struct run *run, const char *type, const cJSON *message)
{
    if (strcmp(type, "progress") == 0) {
        snprintf(run->progress.phase, sizeof run->progress.phase, "%s", json_get_text(message, "phase", ""));
        run->progress.step = (int)json_get_integer(message, "step", run->step + 1);
        run->progress.done = (int)json_get_integer(message, "done", 0);
        run->progress.total = (int)json_get_integer(message, "total", 0);
    } else if (strcmp(type, "metrics") == 0) {
        take_metrics(run, json_get(message, "line"));
    } else if (strcmp(type, "event") == 0) {
        take_event(run, json_get(message, "line"));
    } else if (strcmp(type, "log") == 0) {
        add_log(run, message);
    } else if (strcmp(type, "end") == 0) {
        run->phase = phase_of(json_get_text(message, "phase", "stopped"));
        run->step = (int)json_get_integer(message, "step", run->step);
        run->end_status = (int)json_get_integer(message, "status", 0);
        snprintf(run->end_text, sizeof run->end_text, "%s", json_get_text(message, "text", ""));
        if (run->phase == RUN_FAILED) snprintf(run->error, sizeof run->error, "%s", run->end_text);
    }
}

static void end_previews(struct run *run)
{
    for (int i = 0; i < RUN_PICTURES; i++) image_free(&run->pictures[PICTURE_DENOISING][i].image);
}

void run_take_picture(struct run *run, const cJSON *header, int width, int height, const unsigned char *pixels)
{
    enum picture_kind kind = picture_kind_find(json_get_text(header, "kind", ""));
    if (kind == PICTURE_KIND_COUNT) return;
    if (kind != PICTURE_DENOISING) end_previews(run);
    long long index = json_get_integer(header, "index", -1);
    if (index < 0 || index >= RUN_PICTURES) return;
    struct run_picture *picture = &run->pictures[kind][index];
    if (!image_set(&picture->image, width, height, pixels)) return;
    picture->step = (int)json_get_integer(header, "step", 0);
    picture->index = (int)index;
    picture->full_width = (int)json_get_integer(header, "full_width", width);
    picture->full_height = (int)json_get_integer(header, "full_height", height);
    const cJSON *denoising = json_get(header, "denoising");
    picture->done = (int)json_get_integer(denoising, "done", 0);
    picture->total = (int)json_get_integer(denoising, "total", 0);
    picture->reward = json_get_number(header, "reward", NAN);
    for (int at = 0; at < RUN_REWARDS; at++) picture->rewards[at] = NAN;
    take_values(run, json_get(header, "rewards"), picture->rewards);
    snprintf(picture->prompt, sizeof picture->prompt, "%s", json_get_text(header, "prompt", ""));
    snprintf(picture->seed, sizeof picture->seed, "%s", json_get_text(header, "seed", ""));
    picture->serial = ++run->picture_serial;
}

static int compare_steps(const void *left, const void *right)
{
    int first = *(const int *)left, second = *(const int *)right;
    return first < second ? -1 : first > second;
}

/* Numbers of the folders "step-000010" in a part of a run's folder, ascending. */
static int step_folders(const char *run_path, const char *part, int *steps, int capacity)
{
    char folder[4200];
    snprintf(folder, sizeof folder, "%s/%s", run_path, part);
    DIR *directory = opendir(folder);
    if (!directory) return 0;
    int count = 0;
    for (struct dirent *entry; count < capacity && (entry = readdir(directory));) {
        char *end = NULL;
        if (strncmp(entry->d_name, "step-", 5) != 0) continue;
        long step = strtol(entry->d_name + 5, &end, 10);
        if (end == entry->d_name + 5 || *end != '\0' || step < 0 || step > 100000000) continue;
        steps[count++] = (int)step;
    }
    closedir(directory);
    qsort(steps, (size_t)count, sizeof *steps, compare_steps);
    return count;
}

static void load_picture(struct run *run, enum picture_kind kind, int step, int index)
{
    char path[4300];
    struct run_picture *picture = &run->pictures[kind][index];
    if (!run_sample_path(run->path, step, index, path, sizeof path)) return;
    if (image_load_png(path, &picture->image).code != STATUS_OK) return;
    const char *prompt = run_held_out_prompt(run, index);
    memmove(picture->prompt, prompt, strnlen(prompt, sizeof picture->prompt - 1) + 1);
    picture->step = step;
    picture->index = index;
    picture->reward = NAN;
    for (int at = 0; at < RUN_REWARDS; at++) picture->rewards[at] = NAN;
    picture->serial = ++run->picture_serial;
}

/* Of the held-out pictures that the folder keeps, the untrained and the newest ones. */
static void load_pictures(struct run *run)
{
    int steps[512], count = run_sample_steps(run->path, steps, 512);
    for (int i = 0; count > 0 && i < RUN_PICTURES; i++) {
        if (steps[0] == 0) load_picture(run, PICTURE_BASE, 0, i);
        if (steps[count - 1] > 0) load_picture(run, PICTURE_EVALUATION, steps[count - 1], i);
    }
}

bool run_load_folder(struct run *run, const char *path)
{
    char file_path[4200];
    snprintf(file_path, sizeof file_path, "%s/preset.json", path);
    FILE *file;
    if (input_stream_open(file_path, &file).code != STATUS_OK) return false;
    char *text = calloc(1, LARGEST_PRESET + 1);
    size_t length = text ? fread(text, 1, LARGEST_PRESET, file) : 0;
    fclose(file);
    cJSON *preset = text ? message_object(text, length) : NULL;
    free(text);
    if (!preset) return false;
    run_clear(run);
    snprintf(run->path, sizeof run->path, "%s", path);
    const char *slash = strrchr(path, '/');
    snprintf(run->name, sizeof run->name, "%s", slash ? slash + 1 : path);
    take_preset(run, preset);
    run->steps = (int)json_get_integer(preset, "steps", 0);
    cJSON_Delete(preset);
    read_history(run, -1);
    run->phase = run->step >= run->steps ? RUN_FINISHED : RUN_STOPPED;
    run->checkpoint_count = step_folders(path, "checkpoints", run->checkpoints, RUN_CHECKPOINTS);
    load_pictures(run);
    return true;
}

double run_total(const struct run *run, const double *raw)
{
    double total = 0;
    for (int i = 0; i < run->reward_count; i++) {
        if (run->rewards[i].weight == 0) continue;
        total += run->rewards[i].weight * raw[i];
    }
    return run->reward_count > 0 ? total : NAN;
}

const struct run_step *run_newest(const struct run *run)
{
    for (int at = run->history_count - 1; at >= 0; at--)
        if (run->history[at].trained) return &run->history[at];
    return NULL;
}

const struct run_step *run_newest_held_out(const struct run *run)
{
    for (int at = run->history_count - 1; at >= 0; at--)
        if (run->history[at].evaluated) return &run->history[at];
    return NULL;
}

const struct run_step *run_first_held_out(const struct run *run)
{
    for (int at = 0; at < run->history_count; at++)
        if (run->history[at].evaluated) return &run->history[at];
    return NULL;
}

double run_newest_figure(const struct run *run, enum run_figure figure)
{
    for (int at = run->history_count - 1; at >= 0; at--)
        if (!isnan(run->history[at].figure[figure])) return run->history[at].figure[figure];
    return NAN;
}

double run_first_figure(const struct run *run, enum run_figure figure)
{
    for (int at = 0; at < run->history_count; at++)
        if (!isnan(run->history[at].figure[figure])) return run->history[at].figure[figure];
    return NAN;
}

const struct run_step *run_best(const struct run *run)
{
    const struct run_step *best = NULL;
    double highest = -INFINITY;
    for (int at = 0; at < run->history_count; at++) {
        double total = run->history[at].evaluated ? run_total(run, run->history[at].held_out) : NAN;
        if (!(total > highest)) continue;
        highest = total;
        best = &run->history[at];
    }
    return best;
}

const struct run_picture *run_picture(const struct run *run, enum picture_kind kind, int index)
{
    if (index < 0 || index >= RUN_PICTURES) return NULL;
    const struct run_picture *picture = &run->pictures[kind][index];
    return picture->image.pixels ? picture : NULL;
}

const char *run_held_out_prompt(const struct run *run, int index)
{
    const struct run_picture *picture = run_picture(run, PICTURE_EVALUATION, index);
    if (picture && picture->prompt[0] != '\0') return picture->prompt;
    const cJSON *prompts = json_get(json_get(run->preset, "prompts"), "eval");
    int count = cJSON_GetArraySize(prompts);
    const cJSON *prompt = count > 0 && index >= 0 ? cJSON_GetArrayItem(prompts, index % count) : NULL;
    const char *text = cJSON_GetStringValue(prompt);
    return text ? text : "";
}

int run_picture_count(const struct run *run, enum picture_kind kind)
{
    for (int i = RUN_PICTURES; i > 0; i--)
        if (run->pictures[kind][i - 1].image.pixels) return i;
    return 0;
}

bool run_sample_path(const char *run_path, int step, int index, char *path, size_t size)
{
    char folder[4200], prefix[8];
    snprintf(folder, sizeof folder, "%s/samples/step-%06d", run_path, step);
    snprintf(prefix, sizeof prefix, "%02d-", index);
    DIR *directory = opendir(folder);
    if (!directory) return false;
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, prefix, 3) != 0 || length < 4 || strcmp(entry->d_name + length - 4, ".png") != 0)
            continue;
        found = snprintf(path, size, "%s/%s", folder, entry->d_name) < (int)size;
    }
    closedir(directory);
    return found;
}

int run_sample_steps(const char *run_path, int *steps, int capacity)
{
    return step_folders(run_path, "samples", steps, capacity);
}
