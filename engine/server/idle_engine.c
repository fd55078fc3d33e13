/* Serves a studio without a run: the request worker's answers, plans and pictures, and planning presets ahead. */
#include "engine/server/idle_engine.h"

#include "engine/preset/library.h"
#include "engine/protocol/endpoint.h"
#include "engine/protocol/message.h"
#include "engine/server/model_job_work.h"
#include "engine/server/service.h"

#include <string.h>
#include <unistd.h>

/* How long models of pictures stay in memory after the last one. */
static const double longest_rest = 120, turn_seconds = 0.25;

/* Planning ahead leaves the processor to a screen that is being opened. */
enum { TURNS_BEFORE_PLANNING = 4 };

struct idle_engine {
    const struct idle_engine_options *options;
    struct service service;
    struct backend *backend;
    struct picture_maker *maker;
    struct preset_entries presets; /* to be planned ahead, one between two requests */
    int next_preset;
    bool planned; /* something new since the catalogue was last announced */
};

static cJSON *idle_state(const struct idle_engine_options *options)
{
    cJSON *state = cJSON_CreateObject();
    cJSON_AddStringToObject(state, "phase", "idle");
    cJSON_AddNullToObject(state, "run");
    cJSON_AddNumberToObject(state, "pid", (double)getpid());
    cJSON_AddStringToObject(state, "version", options->version);
    cJSON_AddStringToObject(state, "device", options->device);
    cJSON_AddNumberToObject(state, "threads", options->threads);
    return state;
}

static bool over(const struct idle_engine *engine)
{
    bool interrupted = engine->options->interrupts && *engine->options->interrupts != 0;
    return interrupted || server_finished(engine->service.server);
}

static status get_ready(struct idle_engine *engine)
{
    if (!engine->backend) TRY(engine->options->open_backend(engine->options->context, &engine->backend));
    if (!engine->maker) engine->maker = picture_maker_create(engine->backend);
    return status_ok();
}

static void do_job(struct idle_engine *engine, struct model_job *job)
{
    status ready = get_ready(engine);
    if (ready.code != STATUS_OK) {
        model_jobs_answer(engine->service.server, &job->request, ready, NULL);
        return;
    }
    struct work_means means = {.server = engine->service.server,
                               .backend = engine->backend,
                               .maker = engine->maker,
                               .device = engine->options->device};
    work_on(&means, job);
}

/* Plans one preset more; after the last one, clients hear that the catalogue knows more. Only on the CPU: a GPU is not
 * to be opened before somebody wants it. False when there is nothing left to do. */
static bool plan_one_more(struct idle_engine *engine)
{
    if (engine->next_preset >= engine->presets.count) return false;
    struct work_means means = {.device = engine->options->device};
    if (get_ready(engine).code != STATUS_OK) return false;
    means.backend = engine->backend;
    engine->planned = plan_ahead(&means, engine->presets.entries[engine->next_preset++].path) || engine->planned;
    if (engine->next_preset == engine->presets.count && engine->planned)
        server_publish(engine->service.server, message_create("catalogue-changed"));
    return true;
}

static void serve(struct idle_engine *engine)
{
    double wait = turn_seconds;
    int turns = 0; /* that nobody asked for anything in */
    while (!over(engine)) {
        struct model_job job;
        if (model_jobs_take(engine->service.jobs, wait, &job)) {
            do_job(engine, &job);
            model_jobs_finish(engine->service.jobs, &job);
            continue;
        }
        wait = ++turns > TURNS_BEFORE_PLANNING && plan_one_more(engine) ? 0 : turn_seconds;
        if (engine->maker && picture_maker_idle(engine->maker) > longest_rest) picture_maker_rest(engine->maker);
    }
}

static status open_service(struct idle_engine *engine, char socket[SOCKET_PATH_BYTES])
{
    const struct idle_engine_options *options = engine->options;
    struct service_options service = {.connection = options->connection,
                                      .facts = {.version = options->version,
                                                .program = options->program,
                                                .device = options->device,
                                                .threads = options->threads}};
    if (options->connection < 0) {
        TRY(endpoint_path(NULL, "engine", socket));
        service.socket_path = socket;
    }
    service.state = idle_state(options);
    return service_open(&engine->service, &service);
}

status idle_engine_serve(const struct idle_engine_options *options)
{
    struct idle_engine engine = {.options = options};
    char socket[SOCKET_PATH_BYTES];
    TRY(open_service(&engine, socket));
    bool ahead = options->connection >= 0 && strcmp(options->device, "cpu") == 0;
    if (ahead && preset_list(&engine.presets).code != STATUS_OK) engine.presets.count = 0;
    serve(&engine);
    preset_entries_clear(&engine.presets);
    service_close(&engine.service, 1.0);
    picture_maker_destroy(engine.maker);
    if (engine.backend) engine.backend->interface->destroy(engine.backend);
    return status_ok();
}
