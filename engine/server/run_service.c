/* Turns a session's calls into published messages, and clients' requests into session requests. */
#include "engine/server/run_service.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/preset/keys.h"
#include "engine/protocol/endpoint.h"
#include "engine/protocol/message.h"
#include "engine/run/checkpoint.h"
#include "engine/server/model_job_work.h"
#include "engine/server/plan_message.h"
#include "engine/server/service.h"
#include "engine/server/speed.h"
#include "engine/server/waiting_requests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_PRESET_IN_STATE = 512 << 10 };
static const double progress_interval = 0.1, longest_rest = 20;

/* What decides whether watchers are sent a fresh state. */
struct shown {
    const char *phase;
    int steps, checkpoint_step;
    struct live_settings settings;
};

struct run_service {
    struct run_service_options options;
    struct service service;
    struct picture_maker *maker;
    char socket[SOCKET_PATH_BYTES];
    char metrics_path[PATH_SIZE];
    struct shown shown;
    enum session_phase phase;
    bool pausing, stopping; /* asked for, not yet there */
    struct waiting_requests waiting;
    int last_step, speed_noted;
    double step_begun, progress_due;
    int progress_step;
    char progress_phase[32];
};

/* ---- state ---------------------------------------------------------------------------------------------------------
 */

static const char *phase_text(const struct run_service *service)
{
    if (service->phase == SESSION_RUNNING && service->stopping) return "stopping";
    if (service->phase == SESSION_RUNNING && service->pausing) return "pausing";
    return session_phase_name(service->phase);
}

static void add_checkpoints(cJSON *changes, const struct run_folder *folder)
{
    cJSON *steps = cJSON_AddArrayToObject(changes, "checkpoints");
    int *list, count;
    if (checkpoint_list(folder, &list, &count).code != STATUS_OK) return;
    for (int i = 0; i < count; i++) cJSON_AddItemToArray(steps, cJSON_CreateNumber(list[i]));
    free(list);
}

static void add_range(cJSON *ranges, const char *key, double low, double high)
{
    cJSON *range = cJSON_AddArrayToObject(ranges, key);
    cJSON_AddItemToArray(range, isfinite(low) ? cJSON_CreateNumber(low) : cJSON_CreateNull());
    cJSON_AddItemToArray(range, isfinite(high) ? cJSON_CreateNumber(high) : cJSON_CreateNull());
}

static void add_settings(cJSON *changes, const struct preset *preset, const struct live_settings *settings)
{
    cJSON *weights = cJSON_AddObjectToObject(changes, "weights");
    cJSON *values = cJSON_AddObjectToObject(changes, "settings");
    cJSON *ranges = cJSON_AddObjectToObject(changes, "ranges");
    struct live_setting setting;
    for (int i = 0; live_setting_at(preset, i, &setting); i++) {
        if (setting.row->of_runs_only) continue; /* each watcher has its own */
        double value = live_setting_get(&setting, settings);
        if (setting.reward) json_add_number(weights, setting.reward, value);
        json_add_number(values, setting.key, value);
        add_range(ranges, setting.key, setting.row->low, setting.row->high);
    }
}

static void add_memory(cJSON *changes, const struct memory_plan *plan, size_t used)
{
    cJSON *memory = cJSON_AddObjectToObject(changes, "memory");
    cJSON_AddNumberToObject(memory, "used", (double)used);
    if (!plan) return;
    cJSON_AddNumberToObject(memory, "planned", (double)plan->total_bytes);
    cJSON_AddNumberToObject(memory, "free", (double)plan->free_bytes);
    plan_message_add_lines(memory, plan);
}

/* A preset with very many prompts would not fit into a message; who needs it reads preset.json. */
static void add_preset(cJSON *changes, const struct preset *preset)
{
    if (message_bytes(preset->resolved) <= LARGEST_PRESET_IN_STATE)
        cJSON_AddItemToObject(changes, "preset", cJSON_Duplicate(preset->resolved, true));
    else
        cJSON_AddNullToObject(changes, "preset");
}

static off_t metrics_bytes(const struct run_service *service)
{
    struct stat facts;
    return stat(service->metrics_path, &facts) == 0 ? facts.st_size : 0;
}

static cJSON *first_state(const struct run_service *service)
{
    const struct run_service_options *options = &service->options;
    cJSON *changes = cJSON_CreateObject();
    cJSON_AddStringToObject(changes, "phase", "starting");
    cJSON *run = cJSON_AddObjectToObject(changes, "run");
    cJSON_AddStringToObject(run, "path", options->folder->path);
    cJSON_AddStringToObject(run, "name", options->folder->id);
    cJSON_AddNumberToObject(changes, "pid", (double)getpid());
    cJSON_AddStringToObject(changes, "version", options->version);
    cJSON_AddStringToObject(changes, "device", options->device);
    cJSON_AddNumberToObject(changes, "threads", options->threads);
    cJSON_AddNumberToObject(changes, "steps", options->steps);
    cJSON_AddNumberToObject(changes, "step", options->step);
    cJSON_AddNumberToObject(changes, "started", clock_wall());
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(changes, "history"), "bytes", (double)metrics_bytes(service));
    cJSON_AddItemToObject(changes, "pending", cJSON_CreateObject());
    add_preset(changes, options->preset);
    add_checkpoints(changes, options->folder);
    struct live_settings settings = live_settings_of(options->preset);
    add_settings(changes, options->preset, &settings);
    return changes;
}

static bool same_shown(const struct shown *a, const struct shown *b, const struct preset *preset)
{
    return a->phase && strcmp(a->phase, b->phase) == 0 && a->steps == b->steps &&
           a->checkpoint_step == b->checkpoint_step && live_settings_equal(preset, &a->settings, &b->settings);
}

/* What is applied is pending no more. */
static void drop_applied(cJSON *state, void *context)
{
    (void)context;
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(state, "settings");
    cJSON *pending = cJSON_GetObjectItemCaseSensitive(state, "pending");
    for (cJSON *item = pending ? pending->child : NULL; item;) {
        cJSON *next = item->next;
        const cJSON *applied = cJSON_GetObjectItemCaseSensitive(settings, item->string);
        if (cJSON_IsNumber(applied) && applied->valuedouble == item->valuedouble)
            cJSON_Delete(cJSON_DetachItemViaPointer(pending, item));
        item = next;
    }
}

/* Now and then: it costs a write to the disk. */
static void note_speed(struct run_service *service, const struct session_state *state)
{
    bool due = state->step == 5 || state->step % 100 == 50;
    if (!due || state->step == service->speed_noted || !state->plan) return;
    service->speed_noted = state->step;
    speed_note(service->options.device, state->plan->flops_per_step, state->seconds_per_step);
}

static void on_state(void *context, const struct session_state *state)
{
    struct run_service *service = context;
    if (service->options.also.state) service->options.also.state(service->options.also.context, state);
    if (state->step != service->last_step) service->step_begun = clock_steady();
    service->last_step = state->step;
    service->phase = state->phase;
    if (state->phase == SESSION_ENDED) return; /* run_service_end says how */
    if (state->phase != SESSION_RUNNING) service->pausing = service->stopping = false;
    struct shown now = {.phase = phase_text(service),
                        .steps = state->steps,
                        .checkpoint_step = state->checkpoint_step,
                        .settings = state->settings};
    bool announce = !same_shown(&service->shown, &now, service->options.preset);

    cJSON *changes = cJSON_CreateObject();
    cJSON_AddStringToObject(changes, "phase", now.phase);
    cJSON_AddNumberToObject(changes, "step", state->step);
    cJSON_AddNumberToObject(changes, "steps", state->steps);
    json_add_number(changes, "seconds_per_step", state->seconds_per_step);
    json_add_number(changes, "seconds_left", state->seconds_left);
    cJSON_AddNumberToObject(changes, "skipped", state->skipped);
    if (state->best_step >= 0) {
        cJSON *best = cJSON_AddObjectToObject(changes, "best");
        cJSON_AddNumberToObject(best, "step", state->best_step);
        json_add_number(best, "total", state->best_total);
    }
    if (announce) {
        add_checkpoints(changes, service->options.folder);
        add_settings(changes, service->options.preset, &state->settings);
    }
    add_memory(changes, state->plan, state->memory_used);
    note_speed(service, state);
    server_set_state(service->service.server, changes, false);
    server_edit_state(service->service.server, drop_applied, NULL, announce);
    service->shown = now;
}

static void announce_phase(struct run_service *service)
{
    cJSON *changes = cJSON_CreateObject();
    service->shown.phase = phase_text(service);
    cJSON_AddStringToObject(changes, "phase", service->shown.phase);
    server_set_state(service->service.server, changes, true);
}

/* ---- lines, progress, pictures -------------------------------------------------------------------------------------
 */

static void publish_line(struct run_service *service, const char *type, const struct session_line *line)
{
    cJSON *message = message_create(type);
    cJSON_AddNumberToObject(message, "bytes", (double)metrics_bytes(service));
    cJSON_AddItemToObject(message, "line", cJSON_Duplicate(line->value, true));
    server_publish(service->service.server, message);
}

static void on_metrics(void *context, const struct session_line *line, int step)
{
    struct run_service *service = context;
    if (service->options.also.metrics) service->options.also.metrics(service->options.also.context, line, step);
    publish_line(service, "metrics", line);
}

static void clear_pending(cJSON *state, void *context)
{
    (void)context;
    cJSON_DeleteItemFromObjectCaseSensitive(state, "pending");
    cJSON_AddItemToObject(state, "pending", cJSON_CreateObject());
}

/* After a rollback nothing that was known holds any more: what waited is dropped, the next state goes to everybody. */
static void follow_rollback(struct run_service *service, const cJSON *event)
{
    if (strcmp(json_get_text(event, "event", ""), "rollback") != 0) return;
    server_edit_state(service->service.server, clear_pending, NULL, false);
    service->shown.phase = NULL;
}

static void on_event(void *context, const struct session_line *line)
{
    struct run_service *service = context;
    if (service->options.also.event) service->options.also.event(service->options.also.context, line);
    follow_rollback(service, line->value);
    publish_line(service, "event", line);
}

static void on_progress(void *context, const char *phase, int step, int done, int total)
{
    struct run_service *service = context;
    if (service->options.also.progress)
        service->options.also.progress(service->options.also.context, phase, step, done, total);
    double now = clock_steady();
    bool new_phase = strcmp(phase, service->progress_phase) != 0 || step != service->progress_step;
    if (!new_phase && now < service->progress_due && done < total) return;
    snprintf(service->progress_phase, sizeof service->progress_phase, "%s", phase);
    service->progress_step = step;
    service->progress_due = now + progress_interval;
    cJSON *message = message_create("progress");
    cJSON_AddNumberToObject(message, "step", step);
    cJSON_AddStringToObject(message, "phase", phase);
    cJSON_AddNumberToObject(message, "done", done);
    cJSON_AddNumberToObject(message, "total", total);
    json_add_number(message, "seconds", now - service->step_begun);
    server_publish(service->service.server, message);
}

static void on_picture(void *context, const struct tuner_picture *picture)
{
    struct run_service *service = context;
    if (service->options.also.picture) service->options.also.picture(service->options.also.context, picture);
    server_publish_picture(service->service.server, picture_message(picture, service->options.preset));
}

static void on_log(void *context, const char *line)
{
    struct run_service *service = context;
    if (service->options.also.log) service->options.also.log(service->options.also.context, line);
    cJSON *message = message_create("log");
    cJSON_AddStringToObject(message, "level", "info");
    cJSON_AddNumberToObject(message, "time", clock_wall());
    cJSON_AddStringToObject(message, "text", line);
    server_publish(service->service.server, message);
}

/* ---- requests ------------------------------------------------------------------------------------------------------
 */

static bool on_take_request(void *context, struct session_request *request)
{
    struct run_service *service = context;
    return waiting_requests_next(&service->waiting, request) || mailbox_take(service->service.mailbox, request);
}

static void on_wait_request(void *context, double seconds)
{
    struct run_service *service = context;
    mailbox_wait(service->service.mailbox, seconds);
}

struct pending {
    const struct session_request *request;
    int step;
};

static void add_pending(cJSON *state, void *context)
{
    const struct pending *added = context;
    cJSON *pending = cJSON_GetObjectItemCaseSensitive(state, "pending");
    cJSON_DeleteItemFromObjectCaseSensitive(pending, added->request->key);
    json_add_number(pending, added->request->key, added->request->value);
    cJSON_DeleteItemFromObjectCaseSensitive(state, "pending_step");
    cJSON_AddNumberToObject(state, "pending_step", added->step);
}

static void note_accepted(struct run_service *service, const struct session_request *request, int step)
{
    struct pending pending = {.request = request, .step = step};
    switch (request->kind) {
    case REQUEST_SET: server_edit_state(service->service.server, add_pending, &pending, true); return;
    case REQUEST_PAUSE: service->pausing = true; break;
    case REQUEST_CONTINUE: service->pausing = false; break;
    case REQUEST_STOP: service->stopping = true; break;
    default: return;
    }
    announce_phase(service);
}

static void answer_sender(struct run_service *service, const struct session_request *request, status result, int step)
{
    uint64_t client;
    int64_t id;
    if (!mailbox_sender(service->service.mailbox, request->token, &client, &id)) return;
    cJSON *reply = message_reply(id, result);
    if (result.code == STATUS_OK) cJSON_AddNumberToObject(reply, "step", step);
    server_reply(service->service.server, client, reply);
}

static void on_answer(void *context, const struct session_request *request, status result, int step)
{
    struct run_service *service = context;
    if (service->options.also.answer)
        service->options.also.answer(service->options.also.context, request, result, step);
    if (result.code == STATUS_OK) note_accepted(service, request, step);
    answer_sender(service, request, result, step);
}

/* While no session runs yet. The phase stays `waiting`: what is kept shows once the run has begun. */
static void answer_waiting(struct run_service *service, const struct session_request *request)
{
    status result = waiting_requests_take(&service->waiting, request, service->options.preset, service->options.device);
    bool set = request->kind == REQUEST_SET;
    int step = service->last_step + (set ? 1 : 0);
    struct pending pending = {.request = request, .step = step};
    if (set && result.code == STATUS_OK) server_edit_state(service->service.server, add_pending, &pending, true);
    answer_sender(service, request, result, step);
}

/* Memory for watchers' pictures is lent, not kept: the run's own plan stays true while nobody asks. */
static void let_go_of_pictures(struct run_service *service)
{
    if (service->maker && picture_maker_idle(service->maker) > longest_rest) picture_maker_rest(service->maker);
}

/* One job of a watcher, if there is one; `tuner` NULL: the run has not begun. */
static void do_watchers_job(struct run_service *service, struct tuner *tuner)
{
    struct model_job job;
    if (!model_jobs_take(service->service.jobs, 0, &job)) return;
    struct work_means means = {.server = service->service.server,
                               .backend = service->options.backend,
                               .maker = service->maker,
                               .tuner = tuner,
                               .preset = service->options.preset,
                               .device = service->options.device};
    work_on(&means, &job);
    model_jobs_finish(service->service.jobs, &job);
}

/* One job between two steps, so that watchers never hold the run up for long. */
static void on_between_steps(void *context, struct tuner *tuner)
{
    struct run_service *service = context;
    if (service->options.also.between_steps) service->options.also.between_steps(service->options.also.context, tuner);
    let_go_of_pictures(service);
    do_watchers_job(service, tuner);
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

status run_service_create(const struct run_service_options *options, struct run_service **created)
{
    struct run_service *service = memory_take(1, sizeof *service);
    service->options = *options;
    service->phase = SESSION_STARTING;
    service->shown.phase = "starting";
    service->last_step = options->step;
    service->step_begun = clock_steady();
    status result = path_format(service->metrics_path, "%s/metrics.jsonl", options->folder->path);
    if (result.code == STATUS_OK) result = endpoint_path(options->folder->path, NULL, service->socket);
    struct service_options opened = {.socket_path = service->socket,
                                     .connection = -1,
                                     .facts = {.version = options->version,
                                               .program = options->program,
                                               .device = options->device,
                                               .threads = options->threads,
                                               .run_folder = options->folder->path},
                                     .with_mailbox = true,
                                     .interrupts = options->interrupts};
    service->maker = picture_maker_create(options->backend);
    if (result.code == STATUS_OK) {
        opened.state = first_state(service);
        result = service_open(&service->service, &opened);
    }
    if (result.code != STATUS_OK) {
        picture_maker_destroy(service->maker);
        free(service);
        return result;
    }
    *created = service;
    return status_ok();
}

const char *run_service_socket(const struct run_service *service)
{
    return service->socket;
}

struct session_hooks run_service_hooks(struct run_service *service)
{
    return (struct session_hooks){.context = service,
                                  .state = on_state,
                                  .metrics = on_metrics,
                                  .event = on_event,
                                  .progress = on_progress,
                                  .picture = on_picture,
                                  .log = on_log,
                                  .take_request = on_take_request,
                                  .wait_request = on_wait_request,
                                  .between_steps = on_between_steps,
                                  .answer = on_answer};
}

void run_service_waiting(struct run_service *service, const char *run_folder, long pid, int ahead)
{
    cJSON *changes = cJSON_CreateObject();
    cJSON_AddStringToObject(changes, "phase", run_folder ? "waiting" : "starting");
    if (run_folder) {
        cJSON *busy = cJSON_AddObjectToObject(changes, "waiting_for");
        cJSON_AddStringToObject(busy, "run", run_folder);
        cJSON_AddNumberToObject(busy, "pid", (double)pid);
        cJSON_AddNumberToObject(busy, "ahead", ahead);
    } else {
        cJSON_AddNullToObject(changes, "waiting_for");
    }
    server_set_state(service->service.server, changes, true);
}

bool run_service_stop_asked(struct run_service *service)
{
    return service->waiting.stop;
}

void run_service_wait(struct run_service *service, double seconds)
{
    double end = clock_steady() + seconds;
    struct session_request request;
    do {
        while (mailbox_take(service->service.mailbox, &request)) answer_waiting(service, &request);
        do_watchers_job(service, NULL);
        if (!service->waiting.stop) mailbox_wait(service->service.mailbox, fmax(0, end - clock_steady()));
    } while (!service->waiting.stop && clock_steady() < end);
}

static const char *end_phase(const struct run_service *service, status result)
{
    if (result.code == STATUS_OK) return service->last_step >= service->options.steps ? "finished" : "stopped";
    return result.code == STATUS_INTERRUPTED ? "stopped" : "failed";
}

static void add_end_text(cJSON *end, const struct run_service *service, status result)
{
    char text[80];
    const char *ending = service->last_step >= service->options.steps ? "all %d steps are done"
                         : service->waiting.stop                      ? "stopped before it began, at step %d"
                                                                      : "stopped and saved at step %d";
    snprintf(text, sizeof text, ending, service->last_step);
    cJSON_AddStringToObject(end, "text", result.code == STATUS_OK ? text : result.message);
}

void run_service_end(struct run_service *service, status result, double linger)
{
    if (!service) return;
    const char *phase = end_phase(service, result);
    bool failed = strcmp(phase, "failed") == 0;
    cJSON *changes = cJSON_CreateObject();
    cJSON_AddStringToObject(changes, "phase", phase);
    if (failed) cJSON_AddStringToObject(changes, "error", result.message);
    add_checkpoints(changes, service->options.folder);
    server_set_state(service->service.server, changes, true);

    cJSON *end = message_create("end");
    cJSON_AddStringToObject(end, "phase", phase);
    cJSON_AddNumberToObject(end, "status", result.code);
    cJSON_AddNumberToObject(end, "step", service->last_step);
    add_end_text(end, service, result);
    char adapter[PATH_SIZE];
    bool saved = path_format(adapter, "%s/lora.safetensors", service->options.folder->path).code == STATUS_OK &&
                 path_is_file(adapter);
    if (saved) cJSON_AddStringToObject(end, "adapter", adapter);
    server_publish(service->service.server, end);
    service_close(&service->service, linger);
    picture_maker_destroy(service->maker);
    free(service);
}
