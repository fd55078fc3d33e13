/* `models`: lists what is found, and checks a folder or file for everything that is wrong with it. */
#include "engine/base/json.h"
#include "engine/base/range.h"
#include "engine/cli/work.h"
#include "engine/model/check.h"
#include "engine/sampling/schedule.h"

#include <stdio.h>
#include <string.h>

enum { TRIED_STEPS = 20 };

static cJSON *describe_entry(const struct model_entry *entry)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", entry->name);
    cJSON_AddStringToObject(row, "path", entry->path);
    cJSON_AddStringToObject(row, "place", model_place_name(entry->place));
    cJSON_AddStringToObject(row, "kind", model_kind_description(entry->kind));
    return row;
}

static status list_models(const struct invocation *invocation)
{
    struct work work = {0};
    status result = work_open_library(invocation, &work);
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; result.code == STATUS_OK && i < work.library.count; i++) {
        const struct model_entry *entry = &work.library.entries[i];
        cJSON_AddItemToArray(rows, describe_entry(entry));
        if (invocation->json) continue;
        print_cell(entry->name);
        printf("\t%s\t%s\t", model_kind_description(entry->kind), model_place_name(entry->place));
        print_cell(entry->path);
        putchar('\n');
    }
    if (result.code == STATUS_OK && invocation->json) print_json(rows);
    cJSON_Delete(rows);
    work_close(&work);
    return result;
}

/* A name of any kind of model, or a path. */
static status find_any(const struct model_library *library, const char *name_or_path, char path[PATH_SIZE])
{
    for (int i = 0; i < library->count; i++)
        if (strcmp(library->entries[i].name, name_or_path) == 0)
            return path_format(path, "%s", library->entries[i].path);
    enum model_kind kind = MODEL_KIND_DIFFUSION;
    model_kind_of(name_or_path, &kind);
    return model_library_find(library, name_or_path, kind, path);
}

static cJSON *describe_report(const char *path, const struct model_report *report)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "path", path);
    cJSON_AddStringToObject(object, "kind", report->kind_description);
    cJSON_AddStringToObject(object, "summary", report->summary);
    cJSON_AddNumberToObject(object, "tensors", (double)report->tensors);
    cJSON_AddNumberToObject(object, "parameters", (double)report->parameters);
    cJSON_AddNumberToObject(object, "problem_count", report->problem_count);
    cJSON *problems = cJSON_AddArrayToObject(object, "problems");
    for (int i = 0; i < report->problem_count && i < MODEL_REPORT_PROBLEMS; i++)
        cJSON_AddItemToArray(problems, cJSON_CreateString(report->problems[i]));
    cJSON *warnings = cJSON_AddArrayToObject(object, "warnings");
    for (int i = 0; i < remarks_kept(&report->remarks); i++)
        cJSON_AddItemToArray(warnings, cJSON_CreateString(report->remarks.lines[i]));
    return object;
}

static void print_report(const char *path, const struct model_report *report)
{
    print_line("%s", path);
    print_line("  %s", report->summary);
    if (report->tensors)
        printf("  %lld tensors, %lld parameters\n", (long long)report->tensors, (long long)report->parameters);
    else if (report->parameters)
        printf("  %lld parameters\n", (long long)report->parameters);
    if (report->problem_count == 0) puts("  nothing is wrong with it");
    for (int i = 0; i < remarks_kept(&report->remarks); i++) print_line("  warning: %s", report->remarks.lines[i]);
    for (int i = 0; i < report->problem_count && i < MODEL_REPORT_PROBLEMS; i++)
        print_line("  wrong: %s", report->problems[i]);
    if (report->problem_count > MODEL_REPORT_PROBLEMS)
        printf("  and %d more\n", report->problem_count - MODEL_REPORT_PROBLEMS);
}

/* Remarks on the samplers that a text-to-image model's own options leave out. */
static status try_samplers(const char *path, struct model_report *report)
{
    struct model *model;
    enum model_kind kind;
    if (!model_kind_of(path, &kind) || kind != MODEL_KIND_DIFFUSION || report->problem_count > 0) return status_ok();
    TRY(model_open(path, &model));
    const struct noise_schedule *noise = &model_facts(model)->schedule;
    for (int i = 0; sampler_at(i); i++) {
        const char *name = sampler_at(i)->name;
        struct sampler_schedule schedule;
        int steps = min_int(noise->train_timesteps, TRIED_STEPS);
        status result = schedule_create(noise, name, steps, 0.0, &schedule);
        if (result.code == STATUS_OK)
            schedule_clear(&schedule);
        else
            remarks_add(&report->remarks, "sampler %s cannot be used: %s", name, result.message);
    }
    model_close(model);
    return status_ok();
}

static status report_on(const struct invocation *invocation, const char *path)
{
    struct model_report report;
    TRY(model_check(path, &report));
    status tried = try_samplers(path, &report);
    if (tried.code != STATUS_OK) {
        model_report_clear(&report);
        return tried;
    }
    if (invocation->json) {
        cJSON *object = describe_report(path, &report);
        print_json(object);
        cJSON_Delete(object);
    } else {
        print_report(path, &report);
    }
    status result = status_ok();
    if (report.problem_count == 1)
        result = status_error(STATUS_BAD_INPUT, "%s", report.problems[0]);
    else if (report.problem_count > 1)
        result = status_error(STATUS_BAD_INPUT, "%s: %d things are wrong with it", path, report.problem_count);
    model_report_clear(&report);
    return result;
}

static status check_model(const struct invocation *invocation, const char *name_or_path)
{
    struct work work = {0};
    char path[PATH_SIZE];
    status result = work_open_library(invocation, &work);
    if (result.code == STATUS_OK) result = find_any(&work.library, name_or_path, path);
    if (result.code == STATUS_OK) result = report_on(invocation, path);
    work_close(&work);
    return result;
}

status command_models(const struct invocation *invocation)
{
    if (invocation->argument_count == 0) return list_models(invocation);
    if (strcmp(invocation->arguments[0], "list") == 0 && invocation->argument_count == 1)
        return list_models(invocation);
    if (strcmp(invocation->arguments[0], "check") == 0 && invocation->argument_count == 2) {
        return check_model(invocation, invocation->arguments[1]);
    }
    return status_error(STATUS_USAGE, "alignprop models: expected nothing, or `check PATH`");
}
