/* Appends lines to metrics.jsonl, and reads its steps and changes with what a rollback superseded left out. */
#include "engine/run/metrics.h"

#include "engine/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define METRICS_LIMIT ((size_t)1 << 30)

/* ---- writing ---- */

/* Offset just after the last newline among the first `size` bytes; -1 when they cannot be read. */
static off_t end_of_whole_lines(int descriptor, off_t size)
{
    char block[4096];
    while (size > 0) {
        off_t start = size > (off_t)sizeof block ? size - (off_t)sizeof block : 0;
        ssize_t got = pread(descriptor, block, (size_t)(size - start), start);
        if (got != (ssize_t)(size - start)) return -1;
        for (ssize_t i = got - 1; i >= 0; i--) {
            if (block[i] == '\n') return start + i + 1;
        }
        size = start;
    }
    return 0;
}

static status cut_torn_line(struct metrics_file *file)
{
    struct stat facts;
    if (fstat(file->descriptor, &facts) != 0) return status_errno(STATUS_FAILED, errno, "%s", file->path);
    off_t end = end_of_whole_lines(file->descriptor, facts.st_size);
    if (end < 0) return status_errno(STATUS_FAILED, errno, "cannot read %s", file->path);
    if (end < facts.st_size && ftruncate(file->descriptor, end) != 0) {
        return status_errno(STATUS_FAILED, errno, "cannot write %s", file->path);
    }
    return status_ok();
}

status metrics_open(struct metrics_file *file, const char *path)
{
    file->descriptor = -1;
    TRY(path_format(file->path, "%s", path));
    file->descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file->descriptor < 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", path);
    status result = cut_torn_line(file);
    if (result.code != STATUS_OK) metrics_close(file);
    return result;
}

status metrics_append(struct metrics_file *file, const char *line)
{
    struct text whole = {0};
    text_append(&whole, "%s\n", line);
    struct stat before;
    status result =
        fstat(file->descriptor, &before) == 0 ? status_ok() : status_errno(STATUS_FAILED, errno, "%s", file->path);
    if (result.code == STATUS_OK) {
        result = file_write_all(file->descriptor, file->path, whole.data, whole.length);
        if (result.code != STATUS_OK && ftruncate(file->descriptor, before.st_size) != 0) {
            result = status_context(result, "a torn line is left at the end");
        }
    }
    text_clear(&whole);
    return result;
}

status metrics_sync(struct metrics_file *file)
{
    return fdatasync(file->descriptor) == 0 ? status_ok()
                                            : status_errno(STATUS_FAILED, errno, "cannot write %s", file->path);
}

void metrics_close(struct metrics_file *file)
{
    if (file->descriptor >= 0) close(file->descriptor);
    file->descriptor = -1;
}

/* ---- reading ---- */

static void drop_records_after(struct metrics_history *history, int step)
{
    while (history->record_count > 0 && history->records[history->record_count - 1].step > step) {
        cJSON_Delete(history->records[--history->record_count].value);
    }
}

static void drop_changes_after(struct metrics_history *history, int step)
{
    int kept = 0;
    for (int i = 0; i < history->change_count; i++) {
        if (history->changes[i].step <= step) history->changes[kept++] = history->changes[i];
    }
    history->change_count = kept;
}

/* Keeps the records in order of steps: a repeated step replaces, a smaller one drops what comes after it. */
static void add_record(struct metrics_history *history, int step, cJSON *value)
{
    drop_records_after(history, step);
    if (history->record_count > 0 && history->records[history->record_count - 1].step == step) {
        cJSON_Delete(history->records[history->record_count - 1].value);
        history->records[history->record_count - 1].value = value;
        return;
    }
    history->records =
        memory_grow(history->records, history->record_count, &history->record_capacity, sizeof *history->records);
    history->records[history->record_count++] = (struct metrics_record){step, value};
}

static void add_change(struct metrics_history *history, const struct json_object *line)
{
    const char *key;
    struct metrics_change change = {0};
    if (json_int(line, "step", 0, INT_MAX, &change.step).code != STATUS_OK ||
        json_text(line, "key", &key).code != STATUS_OK || strlen(key) >= sizeof change.key ||
        json_number(line, "to", -1e300, 1e300, &change.value).code != STATUS_OK) {
        history->faulty_changes++;
        return;
    }
    snprintf(change.key, sizeof change.key, "%s", key);
    history->changes =
        memory_grow(history->changes, history->change_count, &history->change_capacity, sizeof *history->changes);
    history->changes[history->change_count++] = change;
}

static void add_rollback(struct metrics_history *history, const struct json_object *line)
{
    int to;
    if (json_int(line, "to", 0, INT_MAX, &to).code != STATUS_OK) return;
    drop_records_after(history, to);
    drop_changes_after(history, to);
    history->rollbacks = memory_grow(history->rollbacks, history->rollback_count, &history->rollback_capacity,
                                     sizeof *history->rollbacks);
    history->rollbacks[history->rollback_count++] = to;
}

static void add_event(struct metrics_history *history, const char *event, const struct json_object *line)
{
    if (strcmp(event, "set") == 0) add_change(history, line);
    if (strcmp(event, "rollback") == 0) add_rollback(history, line);
    int step;
    if (strcmp(event, "resume") == 0 && json_int(line, "step", 1, INT_MAX, &step).code == STATUS_OK) {
        drop_records_after(history, step - 1);
    }
    if (strcmp(event, "evaluation") == 0) {
        cJSON_Delete(history->evaluation_0);
        history->evaluation_0 = cJSON_Duplicate(line->value, true);
    }
}

/* Takes `value` over. */
static void add_line(struct metrics_history *history, cJSON *value, int *skipped)
{
    struct json_object line = {.origin = "metrics.jsonl", .value = value};
    const char *event;
    int step;
    if (cJSON_IsObject(value) && json_text(&line, "event", &event).code == STATUS_OK) {
        add_event(history, event, &line);
        cJSON_Delete(value);
    } else if (cJSON_IsObject(value) && json_int(&line, "step", 0, INT_MAX, &step).code == STATUS_OK) {
        add_record(history, step, value);
    } else {
        cJSON_Delete(value);
        if (skipped) (*skipped)++;
    }
}

static void read_lines(const char *text, size_t length, struct metrics_history *history, int *skipped)
{
    const char *end = text + length;
    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) return;
        cJSON *value;
        if (json_parse(line, (size_t)(stop - line), "metrics.jsonl", &value).code == STATUS_OK) {
            add_line(history, value, skipped);
        } else if (skipped) {
            (*skipped)++;
        }
        line = stop + 1;
    }
}

status metrics_read(const char *path, struct metrics_history *history, int *skipped)
{
    *history = (struct metrics_history){0};
    if (skipped) *skipped = 0;
    if (access(path, F_OK) != 0) return status_ok();
    char *text;
    size_t length;
    TRY(file_read(path, METRICS_LIMIT, &text, &length));
    read_lines(text, length, history, skipped);
    free(text);
    return status_ok();
}

void metrics_history_clear(struct metrics_history *history)
{
    for (int i = 0; i < history->record_count; i++) cJSON_Delete(history->records[i].value);
    free(history->records);
    free(history->changes);
    free(history->rollbacks);
    cJSON_Delete(history->evaluation_0);
    *history = (struct metrics_history){0};
}
