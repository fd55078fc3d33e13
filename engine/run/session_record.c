/* What a session writes down: metrics lines, events, pictures with their recipes. */
#include "engine/base/clock.h"
#include "engine/base/json.h"
#include "engine/run/picture_file.h"
#include "engine/run/session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

status session_check_folder(struct session *session)
{
    if (session->folder_error.code != STATUS_OK) return session->folder_error;
    char now[PATH_SIZE];
    switch (run_folder_place(session->folder, now)) {
    case RUN_FOLDER_HERE: return status_ok();
    case RUN_FOLDER_REMOVED:
        session->folder_error = status_error(
            STATUS_FAILED, "%.400s: the run's folder was removed while the run went on", session->folder->path);
        break;
    case RUN_FOLDER_MOVED:
        session->folder_error =
            status_error(STATUS_FAILED, "%.200s: the run's folder was moved to %.200s while the run went on",
                         session->folder->path, now);
        snprintf(session->folder->path, sizeof session->folder->path, "%s", now);
        session->folder_moved = true;
        (void)run_folder_register(session->folder); /* a run that is not listed can still be named by its path */
        break;
    }
    return session->folder_error;
}

/* Parsed once, for all who watch. */
void session_hand_line(const struct session *session, const char *text, int step)
{
    const struct session_hooks *hooks = &session->options.hooks;
    cJSON *value = NULL;
    bool wanted = step >= 0 ? hooks->metrics != NULL : hooks->event != NULL;
    if (!wanted || json_parse(text, strlen(text), "metrics.jsonl", &value).code != STATUS_OK) return;
    const struct session_line line = {text, value};
    if (step >= 0)
        hooks->metrics(hooks->context, &line, step);
    else
        hooks->event(hooks->context, &line);
    cJSON_Delete(value);
}

status session_event(struct session *session, const char *event, int step, const char *members)
{
    struct text line = {0};
    text_append(&line, "{\"event\":\"%s\",\"step\":%d%s,\"time\":%.3f}", event, step, members, clock_wall());
    status result = metrics_append(&session->metrics, line.data);
    if (result.code == STATUS_OK) result = metrics_sync(&session->metrics);
    if (result.code == STATUS_OK) {
        log_write(&session->log, "%s", line.data);
        session_hand_line(session, line.data, -1);
    }
    text_clear(&line);
    return result;
}

static void append_member(struct text *text, const char *key, double value)
{
    text_append(text, ",\"%s\":", key);
    text_append_json_number(text, value);
}

void session_append_rewards(const struct session *session, struct text *text, const double *rewards, double total)
{
    text_append(text, "{");
    for (int i = 0; i < session->preset->reward_count; i++) {
        text_append_json_string(text, session->preset->rewards[i].id);
        text_append(text, ":");
        text_append_json_number(text, rewards[i]);
        text_append(text, ",");
    }
    text_append(text, "\"total\":");
    text_append_json_number(text, total);
    text_append(text, "}");
}

void session_append_statistics(const struct session *session, struct text *text)
{
    struct image_statistics statistics = tuner_evaluated_statistics(session->tuner);
    text_append(text, "{\"dark\":");
    text_append_json_number(text, statistics.dark);
    append_member(text, "edges", statistics.edges);
    append_member(text, "saturation", statistics.saturation);
    append_member(text, "diversity", statistics.diversity);
    text_append(text, "}");
}

static void append_extra(struct text *text, const struct step_report *report)
{
    text_append(text, ",\"extra\":{");
    for (int i = 0; i < report->side_count; i++) {
        if (i) text_append(text, ",");
        text_append_json_string(text, report->side[i].name);
        text_append(text, ":");
        text_append_json_number(text, report->side[i].value);
    }
    text_append(text, "}");
}

static void append_phases(struct text *text, const struct step_report *report)
{
    text_append(text, ",\"phases\":{\"sampling\":");
    text_append_json_number(text, report->seconds_sampling);
    append_member(text, "decoding", report->seconds_decoding);
    append_member(text, "reward", report->seconds_reward);
    append_member(text, "backward", report->seconds_backward);
    text_append(text, "}");
}

char *session_metrics_line(const struct session *session, const struct step_report *report, const double *evaluation,
                           double evaluation_total)
{
    struct text line = {0};
    text_append(&line, "{\"step\":%d,\"reward\":", report->step);
    session_append_rewards(session, &line, report->reward, report->total);
    append_member(&line, "loss", report->loss);
    text_append(&line, ",\"k\":%d", report->grad_steps);
    append_member(&line, "grad_norm", report->gradient_norm);
    append_member(&line, "seconds", report->seconds);
    text_append(&line, ",\"skipped\":%s", report->skipped ? "true" : "false");
    if (report->skipped && report->skipped_what) {
        text_append(&line, ",\"skipped_what\":");
        text_append_json_string(&line, report->skipped_what);
    }
    append_extra(&line, report);
    append_phases(&line, report);
    append_member(&line, "adapter_norm", report->adapter_norm);
    append_member(&line, "drift", report->drift);
    append_member(&line, "lr", session->settings.learning_rate);
    if (evaluation) {
        text_append(&line, ",\"eval_reward\":");
        session_append_rewards(session, &line, evaluation, evaluation_total);
        text_append(&line, ",\"eval_extra\":");
        session_append_statistics(session, &line);
    }
    text_append(&line, ",\"time\":%.3f}", clock_wall());
    return text_take(&line);
}

static void append_reward_texts(const struct session *session, struct text *text, const struct tuner_picture *picture)
{
    for (int i = 0; picture->rewards && i < session->preset->reward_count; i++) {
        text_append(text, "%s%s %.4g", i ? ", " : "", session->preset->rewards[i].id, picture->rewards[i]);
    }
}

static status write_picture(const struct session *session, const char *path, const struct tuner_picture *picture)
{
    const struct preset *preset = session->preset;
    struct text rewards = {0}, parameters = {0};
    append_reward_texts(session, &rewards, picture);
    char adapter[160];
    snprintf(adapter, sizeof adapter, "%s-step-%06d", preset->name, picture->step);
    const char *slash = strrchr(preset->model, '/');
    struct recipe recipe = {.prompt = picture->prompt ? picture->prompt : "",
                            .negative = preset->negative,
                            .steps = preset->sampler_steps,
                            .width = picture->width,
                            .height = picture->height,
                            .sampler = preset->sampler,
                            .guidance = preset->guidance,
                            .seed = picture->seed,
                            .model = slash && slash[1] ? slash + 1 : preset->model,
                            .adapter = picture->step > 0 ? adapter : NULL,
                            .adapter_scale = 1,
                            .reward = rewards.length ? rewards.data : NULL};
    recipe_append(&parameters, &recipe);
    status result = picture_write_png(path, picture->pixels, picture->width, picture->height, parameters.data);
    text_clear(&rewards);
    text_clear(&parameters);
    return result;
}

status session_keep_picture(struct session *session, const struct tuner_picture *picture)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    TRY(session_check_folder(session));
    TRY(path_format(folder, "%s/samples/step-%06d", session->folder->path, session->step));
    TRY(directory_make(folder));
    TRY(path_format(path, "%s/%02d-%llu.png", folder, picture->index, picture->seed));
    return write_picture(session, path, picture);
}

status session_save(struct session *session)
{
    TRY(session_check_folder(session));
    if (session->checkpoint_step == session->step) return status_ok();
    struct run_state state = {.step = session->step,
                              .settings = session->settings,
                              .skipped = session->skipped,
                              .rollbacks = session->rollbacks,
                              .threads = session->options.threads,
                              .started = session->started};
    snprintf(state.device, sizeof state.device, "%s", session->options.device ? session->options.device : "cpu");
    struct adapter_facts facts = {.architecture = session->options.architecture,
                                  .prediction = session->options.prediction,
                                  .run_id = session->folder->id,
                                  .step = session->step,
                                  .started = session->started,
                                  .finished = clock_wall()};
    TRY(metrics_sync(&session->metrics));
    TRY(checkpoint_save(session->folder, session->tuner, session->preset, &state, &facts));
    session->checkpoint_step = session->step;
    TRY(checkpoint_prune(session->folder, session->preset->checkpoint_keep,
                         session->rollback_waits ? session->rollback.step : -1));
    session_publish(session);
    return status_ok();
}
