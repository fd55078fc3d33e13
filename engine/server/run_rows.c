/* Reads run folders into rows: how each run ended, where it is, and how its evaluations went. */
#include "engine/server/run_rows.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/protocol/message.h"
#include "engine/run/checkpoint.h"
#include "engine/run/metrics.h"
#include "engine/run/run_register.h"
#include "engine/server/page.h"
#include "engine/server/request_services.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What the metrics file tells: how far, how the held-out pictures did, how it ended. */
struct run_summary {
    int last_step;
    double first, best, last; /* held-out totals; NaN without one */
    char ending[32];          /* of the newest "end" event after which nothing began; "" without one */
    bool paused;              /* the newest word about pausing was to do so */
};

static void take_evaluation(struct run_summary *summary, const cJSON *line)
{
    double total = json_get_number(cJSON_GetObjectItemCaseSensitive(line, "eval_reward"), "total", NAN);
    if (isnan(total)) return;
    if (isnan(summary->first)) summary->first = total;
    summary->best = isnan(summary->best) ? total : fmax(summary->best, total);
    summary->last = total;
}

/* Reads the last event of this name out of the text, or -1. Events are written without blanks. */
static ptrdiff_t last_event(const char *text, const char *name)
{
    char message[48];
    snprintf(message, sizeof message, "{\"event\":\"%s\"", name);
    ptrdiff_t last = -1;
    for (const char *at = strstr(text, message); at; at = strstr(at + 1, message)) last = at - text;
    return last;
}

/* A pause lasts until a continuation or a new start. */
static bool ends_paused(const char *text)
{
    ptrdiff_t paused = last_event(text, "pause");
    return paused > last_event(text, "continue") && paused > last_event(text, "start") &&
           paused > last_event(text, "resume");
}

/* The last whole line of the file, when it is an "end" event, says how the run ended; its events, whether it pauses. */
static void take_ending(struct run_summary *summary, const char *path)
{
    char *data;
    size_t length;
    if (file_read(path, (size_t)1 << 30, &data, &length).code != STATUS_OK) return;
    summary->paused = ends_paused(data);
    while (length > 0 && data[length - 1] == '\n') data[--length] = '\0';
    const char *line = length > 0 ? strrchr(data, '\n') : NULL;
    line = line ? line + 1 : data;
    cJSON *parsed;
    if (json_parse(line, strlen(line), path, &parsed).code == STATUS_OK) {
        if (strcmp(json_get_text(parsed, "event", ""), "end") == 0)
            strncpy(summary->ending, json_get_text(parsed, "status", ""), sizeof summary->ending - 1);
        cJSON_Delete(parsed);
    }
    free(data);
}

static void summarize(const struct run_folder *folder, struct run_summary *summary)
{
    *summary = (struct run_summary){.first = NAN, .best = NAN, .last = NAN};
    char path[PATH_SIZE];
    if (path_format(path, "%s/metrics.jsonl", folder->path).code != STATUS_OK) return;
    struct metrics_history history = {0};
    if (metrics_read(path, &history, NULL).code == STATUS_OK) {
        if (history.evaluation_0) take_evaluation(summary, history.evaluation_0);
        for (int i = 0; i < history.record_count; i++) take_evaluation(summary, history.records[i].value);
        if (history.record_count > 0) summary->last_step = history.records[history.record_count - 1].step;
    }
    metrics_history_clear(&history);
    take_ending(summary, path);
}

static const char *state_of(const struct run_folder *folder, const struct run_summary *summary, int steps)
{
    if (run_folder_is_alive(folder)) return summary->paused ? "paused" : "running";
    if (summary->last_step >= steps || strcmp(summary->ending, "done") == 0) return "finished";
    return summary->ending[0] ? "stopped" : "interrupted";
}

static void add_engine(cJSON *row, const struct run_folder *folder, bool alive)
{
    struct engine_facts facts;
    bool known = alive && run_folder_engine(folder, &facts).code == STATUS_OK;
    if (!known) {
        cJSON_AddNullToObject(row, "socket");
        cJSON_AddNullToObject(row, "pid");
        return;
    }
    if (facts.socket_path[0])
        cJSON_AddStringToObject(row, "socket", facts.socket_path);
    else
        cJSON_AddNullToObject(row, "socket");
    cJSON_AddNumberToObject(row, "pid", (double)facts.pid);
}

static void add_files(cJSON *row, const struct run_folder *folder)
{
    int *steps = NULL, count = 0;
    if (checkpoint_list(folder, &steps, &count).code == STATUS_OK && count > 0)
        cJSON_AddNumberToObject(row, "checkpoint", steps[count - 1]);
    else
        cJSON_AddNullToObject(row, "checkpoint");
    free(steps);
    char adapter[PATH_SIZE];
    bool there = path_format(adapter, "%s/lora.safetensors", folder->path).code == STATUS_OK && path_is_file(adapter);
    if (there)
        cJSON_AddStringToObject(row, "lora", adapter);
    else
        cJSON_AddNullToObject(row, "lora");
}

/* Of the metrics, before there are any of the preset. */
static double modified_at(const struct run_folder *folder)
{
    static const char *const files[] = {"metrics.jsonl", "preset.json"};
    char path[PATH_SIZE];
    struct stat facts;
    for (int i = 0; i < 2; i++)
        if (path_format(path, "%s/%s", folder->path, files[i]).code == STATUS_OK && stat(path, &facts) == 0)
            return (double)facts.st_mtim.tv_sec + 1e-9 * (double)facts.st_mtim.tv_nsec;
    return 0;
}

cJSON *describe_run(const struct run_folder *folder)
{
    char path[PATH_SIZE];
    cJSON *preset;
    if (path_format(path, "%s/preset.json", folder->path).code != STATUS_OK) return NULL;
    if (json_read_file(path, (size_t)32 << 20, &preset).code != STATUS_OK) return NULL;
    struct run_summary summary;
    summarize(folder, &summary);
    int steps = (int)json_get_integer_in(preset, "steps", 1, 1 << 30, 1);
    const char *state = state_of(folder, &summary, steps);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "path", folder->path);
    cJSON_AddStringToObject(row, "name", folder->id);
    cJSON_AddStringToObject(row, "preset", json_get_text(preset, "name", ""));
    cJSON_AddStringToObject(row, "model", json_get_text(preset, "model", ""));
    cJSON_AddStringToObject(row, "state", state);
    cJSON_AddNumberToObject(row, "step", summary.last_step);
    cJSON_AddNumberToObject(row, "steps", steps);
    cJSON_AddNumberToObject(row, "modified", modified_at(folder));
    json_add_number(row, "eval_first", summary.first);
    json_add_number(row, "eval_best", summary.best);
    json_add_number(row, "eval_last", summary.last);
    add_engine(row, folder, strcmp(state, "running") == 0 || strcmp(state, "paused") == 0);
    add_files(row, folder);
    cJSON_Delete(preset);
    return row;
}

struct listed_run {
    struct run_folder folder;
    double modified; /* seconds since 1970 */
};

struct run_list {
    struct listed_run *runs; /* owned */
    int count;
};

static int newest_first(const void *a, const void *b)
{
    const struct listed_run *left = a, *right = b;
    if (left->modified != right->modified) return left->modified < right->modified ? 1 : -1;
    return strcmp(left->folder.path, right->folder.path);
}

static bool is_listed(const struct run_list *list, const char *path)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->runs[i].folder.path, path) == 0) return true;
    return false;
}

/* Adds the runs among `names` (names under the default folder, or paths), for which there is room. What is gone is left
 * out. */
static void add_named(const struct name_list *names, struct run_list *list)
{
    for (int i = 0; i < names->count; i++) {
        struct listed_run *run = &list->runs[list->count];
        if (run_folder_open(names->names[i], &run->folder).code != STATUS_OK) continue;
        if (is_listed(list, run->folder.path)) continue;
        run->modified = modified_at(&run->folder);
        list->count++;
    }
}

/* Every run there is, newest first, not yet read. The caller frees `list->runs`. */
static status find_runs(struct run_list *list)
{
    *list = (struct run_list){0};
    char home[PATH_SIZE];
    TRY(run_folder_home(home));
    struct name_list under_home = {0}, elsewhere = {0};
    if (path_is_directory(home)) TRY(directory_list(home, &under_home));
    status result = run_register_list(&elsewhere);
    list->runs = memory_take((size_t)(under_home.count + elsewhere.count), sizeof *list->runs);
    add_named(&under_home, list);
    add_named(&elsewhere, list);
    qsort(list->runs, (size_t)list->count, sizeof *list->runs, newest_first);
    name_list_clear(&under_home);
    name_list_clear(&elsewhere);
    return result;
}

status list_runs(cJSON **rows)
{
    struct run_list list;
    *rows = cJSON_CreateArray();
    status result = find_runs(&list);
    for (int i = 0; i < list.count; i++) {
        cJSON *row = describe_run(&list.runs[i].folder);
        if (row) cJSON_AddItemToArray(*rows, row);
    }
    free(list.runs);
    return result;
}

status answer_runs(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    (void)facts;
    struct run_list list;
    status found = find_runs(&list);
    struct page page = page_of_request(request, cJSON_AddArrayToObject(answer, "runs"));
    int at = page.from;
    for (; at < list.count; at++) {
        cJSON *row = describe_run(&list.runs[at].folder);
        if (row && !page_add(&page, row)) break;
    }
    page_finish(&page, at, list.count, answer);
    free(list.runs);
    return found;
}
