/* `tune` and `resume`: this process is the engine of one run. */
#include "engine/base/version.h"
#include "engine/cli/progress.h"
#include "engine/cli/work.h"
#include "engine/run/checkpoint.h"
#include "engine/run/origin.h"
#include "engine/run/run_weights.h"
#include "engine/run/session.h"
#include "engine/server/device_queue.h"
#include "engine/server/launch.h"
#include "engine/server/run_service.h"
#include "engine/server/waiting_line.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Signals can only speak to what has a fixed place: the one variable of the program that is not on a stack. */
static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
    (void)number;
    if (interrupts >= 2) _exit(STATUS_INTERRUPTED);
    interrupts++;
}

/* A hang-up of the terminal does not end a run: it can be attached to from another. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGHUP, SIG_IGN);
}

struct run_job {
    struct work work;
    struct run_folder folder;
    struct run_service *service;
    struct progress progress;
    int steps;              /* new total; 0: the preset's */
    int step;               /* done already: the checkpoint's that it goes on from */
    char origin[PATH_SIZE]; /* adapter file that the run begins with; "": none */
    int place;              /* held on the device; -1: none */
    struct model_uses models;
    struct run_weights_report weights; /* of a run that goes on */
    bool note_weights;                 /* those of `models` are to be the run's */
};

/* Waits in phase `waiting` until nobody else works on the device and nobody who came earlier waits for it, or a client
 * asks for the end. */
static status wait_for_turn(const struct invocation *invocation, struct run_job *job, const struct waiting_turn *turn)
{
    struct device_holder holder = {0};
    bool told = false;
    char message[HOLDER_DESCRIPTION_SIZE];
    while (!run_service_stop_asked(job->service)) {
        int ahead = 0;
        TRY(waiting_line_ahead(turn, &ahead));
        if (ahead == 0) TRY(device_enter(job->work.device, job->folder.path, false, &job->place, &holder));
        if (job->place >= 0) break;
        if (ahead > 0) device_is_busy(job->work.device, &holder);
        if (!told)
            say(invocation, "%s is busy with %s: waiting, %d before this run", job->work.device,
                device_holder_describe(&holder, message), ahead);
        told = true;
        run_service_waiting(job->service, holder.run_folder, holder.pid, ahead);
        if (interrupts > 0)
            return status_error(STATUS_INTERRUPTED, "interrupted while waiting for %s", job->work.device);
        run_service_wait(job->service, 0.5);
    }
    if (told) run_service_waiting(job->service, NULL, 0, 0);
    return status_ok();
}

static status wait_for_device(const struct invocation *invocation, struct run_job *job)
{
    struct waiting_turn turn;
    TRY(waiting_line_join(job->work.device, &turn));
    status result = wait_for_turn(invocation, job, &turn);
    waiting_line_leave(&turn);
    return result;
}

static status enter_device(const struct invocation *invocation, struct run_job *job)
{
    if (option_given(invocation, "queue")) return wait_for_device(invocation, job);
    struct device_holder holder;
    char message[HOLDER_DESCRIPTION_SIZE];
    if (device_is_busy(job->work.device, &holder)) {
        say(invocation, "%s is also busy with %s", job->work.device, device_holder_describe(&holder, message));
    }
    return device_enter(job->work.device, job->folder.path, true, &job->place, NULL);
}

static status run_session(struct run_job *job)
{
    struct session_options options = {
        .backend = job->work.backend,
        .device = job->work.device,
        .threads = job->work.threads,
        .steps = job->steps,
        .architecture = job->work.facts.architecture,
        .prediction = job->work.facts.schedule.prediction == PREDICTION_V ? "v" : "epsilon",
        .hooks = run_service_hooks(job->service),
        .other_weights = job->weights.other > 0 ? job->weights.keys : NULL,
        .interrupts = &interrupts,
    };
    struct session *session;
    TRY(session_create(&job->work.preset, &job->folder, &options, &session));
    status result = job->note_weights ? run_weights_write(&job->folder, &job->models) : status_ok();
    if (result.code == STATUS_OK) result = session_run(session);
    session_destroy(session);
    return result;
}

static status open_service(const struct invocation *invocation, struct run_job *job)
{
    struct run_service_options options = {
        .folder = &job->folder,
        .preset = &job->work.preset,
        .steps = job->steps > 0 ? job->steps : job->work.preset.steps,
        .step = job->step,
        .backend = job->work.backend,
        .device = job->work.device,
        .threads = job->work.threads,
        .version = ALIGNPROP_VERSION,
        .program = invocation->program,
        .also = progress_hooks(&job->progress),
        .interrupts = &interrupts,
    };
    return run_service_create(&options, &job->service);
}

/* Runs with the device open and the folder locked. */
static status run_engine(const struct invocation *invocation, struct run_job *job)
{
    progress_begin(&job->progress, invocation->quiet, invocation->json);
    TRY(open_service(invocation, job));
    status result =
        run_folder_announce(&job->folder, run_service_socket(job->service), job->work.device, job->work.threads);
    status registered = run_folder_register(&job->folder);
    if (registered.code != STATUS_OK) say(invocation, "the run will not be listed: %s", registered.message);
    if (result.code == STATUS_OK) result = enter_device(invocation, job);
    if (result.code == STATUS_OK && !run_service_stop_asked(job->service)) result = run_session(job);
    progress_end(&job->progress);
    run_service_end(job->service, result, 2);
    if (progress_has_said(&job->progress, result.message)) result.message[0] = '\0';
    return result;
}

static void close_job(struct run_job *job)
{
    if (job->place >= 0) close(job->place);
    run_folder_unlock(&job->folder);
    model_uses_clear(&job->models);
    work_close(&job->work);
}

/* ---- in the background ---- */

static status report_launch(const struct invocation *invocation, const struct run_folder *folder)
{
    print_line("%s", folder->path);
    say(invocation, "watch it with: alignprop attach %s", folder->id);
    return status_ok();
}

static struct launch_options launch_options_of(const struct invocation *invocation, int threads, int steps)
{
    return (struct launch_options){.program = invocation->program,
                                   .device = option_value(invocation, "device"),
                                   .threads = threads,
                                   .steps = steps,
                                   .share = !option_given(invocation, "queue")};
}

static status detach_new(const struct invocation *invocation, struct run_job *job)
{
    struct launched launched;
    int threads;
    TRY(option_int(invocation, "threads", 0, 1024, 0, &threads));
    struct launch_options options = launch_options_of(invocation, threads, 0);
    if (job->origin[0]) options.origin = job->origin;
    TRY(launch_new_run(option_value(invocation, "run"), &job->work.preset, &options, &job->folder, &launched));
    return report_launch(invocation, &job->folder);
}

static status detach_old(const struct invocation *invocation, struct run_job *job)
{
    struct launched launched;
    int threads;
    TRY(option_int(invocation, "threads", 0, 1024, 0, &threads));
    struct launch_options options = launch_options_of(invocation, threads, job->steps);
    options.other_weights = option_given(invocation, "other-weights");
    TRY(launch_run(&job->folder, &options, &launched));
    return report_launch(invocation, &job->folder);
}

/* ---- what is left of a run ---- */

/* Not even the first event is written. */
static bool is_unstarted(const struct run_folder *folder)
{
    char path[PATH_SIZE];
    struct stat facts;
    if (path_format(path, "%s/metrics.jsonl", folder->path).code != STATUS_OK) return false;
    return stat(path, &facts) != 0 || facts.st_size == 0;
}

/* Not what somebody has put where the folder was. */
static void remove_unstarted(const struct run_folder *folder)
{
    char path[PATH_SIZE];
    if (run_folder_place(folder, path) == RUN_FOLDER_HERE && is_unstarted(folder)) directory_remove(folder->path);
}

/* A run that was stopped while it waited for its device has none. */
static void print_adapter(const struct invocation *invocation, const struct run_folder *folder)
{
    char path[PATH_SIZE];
    bool saved = path_format(path, "%s/lora.safetensors", folder->path).code == STATUS_OK && path_is_file(path);
    if (saved && !invocation->json) print_line("%s", path);
}

static void report_end(const struct invocation *invocation, const struct run_job *job, status result)
{
    if (result.code == STATUS_OK) {
        say(invocation, "run: %s", job->folder.path);
        print_adapter(invocation, &job->folder);
    } else if (result.code == STATUS_INTERRUPTED) {
        say(invocation, "continue with: alignprop resume %s", job->folder.path);
    } else if (!is_unstarted(&job->folder)) {
        say(invocation, "what was saved is kept; continue with: alignprop resume %s", job->folder.path);
    }
}

/* ---- tune ---- */

static status load_tune(const struct invocation *invocation, struct run_job *job)
{
    char steps[40], seed[40];
    const char *extra[2];
    int count = 0, step_count;
    uint64_t seed_value;
    TRY(option_int(invocation, "steps", 1, 1000000, 0, &step_count));
    TRY(option_seed(invocation, "seed", 0, &seed_value));
    if (option_given(invocation, "steps")) {
        snprintf(steps, sizeof steps, "steps=%d", step_count);
        extra[count++] = steps;
    }
    if (option_given(invocation, "seed")) {
        snprintf(seed, sizeof seed, "seed=%llu", (unsigned long long)seed_value);
        extra[count++] = seed;
    }
    TRY(work_load_preset(invocation, invocation->arguments[0], extra, count, &job->work));
    TRY(work_check_tuning(&job->work));
    return work_warn_of_cut_prompts(invocation, &job->work, NULL, 0);
}

static status find_origin(const struct invocation *invocation, struct run_job *job)
{
    const char *from = option_value(invocation, "from");
    int step;
    struct run_folder other;
    if (!from) return status_ok();
    TRY(open_run_step(from, &other, &step));
    return checkpoint_find_adapter(&other, step, job->origin);
}

static status tune(const struct invocation *invocation, struct run_job *job)
{
    TRY(load_tune(invocation, job));
    TRY(find_origin(invocation, job));
    if (option_given(invocation, "detach")) return detach_new(invocation, job);
    TRY(work_open_device(invocation, "auto", 0, &job->work));
    TRY(preset_list_models(&job->work.preset, true, &job->models));
    TRY(run_folder_create(option_value(invocation, "run"), &job->work.preset, job->work.device, job->work.threads,
                          &job->folder));
    say(invocation, "tuning %s on %s into %s", job->work.preset.name, job->work.device, job->folder.path);
    status result = job->origin[0] ? origin_keep(job->origin, &job->folder) : status_ok();
    if (result.code == STATUS_OK) result = run_weights_write(&job->folder, &job->models);
    if (result.code == STATUS_OK) result = run_engine(invocation, job);
    if (result.code != STATUS_OK && result.code != STATUS_INTERRUPTED) remove_unstarted(&job->folder);
    report_end(invocation, job, result);
    return result;
}

status command_tune(const struct invocation *invocation)
{
    struct run_job job = {.folder = {.lock = -1}, .place = -1};
    catch_signals();
    status result = tune(invocation, &job);
    close_job(&job);
    return result;
}

/* ---- resume ---- */

/* Before the first checkpoint the engine's own note tells; free choice without it. */
static void device_of_engine(const struct run_folder *folder, struct run_state *state)
{
    struct engine_facts facts;
    *state = (struct run_state){.device = "auto"};
    if (run_folder_engine(folder, &facts).code != STATUS_OK || !facts.device[0]) return;
    snprintf(state->device, sizeof state->device, "%s", facts.device);
    state->threads = facts.threads;
}

/* Device and threads of the newest checkpoint. */
static void earlier_device(const struct run_folder *folder, const struct preset *preset, struct run_state *state)
{
    int *steps, count;
    device_of_engine(folder, state);
    if (checkpoint_list(folder, &steps, &count).code != STATUS_OK) return;
    for (int i = count - 1; i >= 0; i--) {
        if (checkpoint_check(folder, steps[i], preset, state, NULL).code == STATUS_OK) break;
        device_of_engine(folder, state);
    }
    free(steps);
}

static status open_run(const struct invocation *invocation, struct run_job *job)
{
    bool sealed;
    TRY(run_folder_preset(&job->folder, &job->work.preset, &sealed));
    job->work.has_preset = true;
    if (!sealed)
        say(invocation, "the run was begun before runs were sealed: a change of its preset would go unnoticed");
    TRY(work_resolve(invocation, &job->work));
    return work_check_tuning(&job->work);
}

/* Other weights than the run began with end the matter unless they are accepted. */
static status check_weights(const struct invocation *invocation, struct run_job *job)
{
    TRY(preset_list_models(&job->work.preset, true, &job->models));
    TRY(run_weights_compare(&job->folder, &job->models, &job->weights));
    bool accepted = option_given(invocation, "other-weights");
    job->note_weights = !job->weights.known || job->weights.other > 0;
    if (!job->weights.known && !is_unstarted(&job->folder))
        say(invocation, "the run was begun before weights were noted: those found now are taken for the run's");
    if (job->weights.other == 0) return status_ok();
    if (!accepted)
        return status_error(
            STATUS_BAD_INPUT,
            "%.150s: %.100s: the weights of %.150s are not those that the run began with; put these back, or "
            "accept the others with --other-weights",
            job->folder.path, job->weights.keys, job->weights.path);
    say(invocation, "continuing with other weights than before: %s", job->weights.keys);
    return status_ok();
}

static status resume(const struct invocation *invocation, struct run_job *job)
{
    TRY(option_int(invocation, "steps", 1, 1000000, 0, &job->steps));
    TRY(run_folder_open(invocation->arguments[0], &job->folder));
    if (option_given(invocation, "detach")) return detach_old(invocation, job);
    TRY(run_folder_lock(&job->folder));
    TRY(open_run(invocation, job));
    TRY(check_weights(invocation, job));
    struct run_state state;
    earlier_device(&job->folder, &job->work.preset, &state);
    if (job->steps > 0 && job->steps < state.step)
        return status_error(STATUS_USAGE,
                            "--steps: the run is at step %d; expected a new total of at least as many, found %d",
                            state.step, job->steps);
    job->step = state.step;
    TRY(work_open_device(invocation, state.device, state.threads, &job->work));
    say(invocation, "continuing %s on %s from step %d", job->folder.path, job->work.device, state.step);
    status result = run_engine(invocation, job);
    /* A run that a screen has asked for is begun in this way too. */
    if (result.code == STATUS_NO_MEMORY) remove_unstarted(&job->folder);
    report_end(invocation, job, result);
    return result;
}

status command_resume(const struct invocation *invocation)
{
    struct run_job job = {.folder = {.lock = -1}, .place = -1};
    catch_signals();
    status result = resume(invocation, &job);
    close_job(&job);
    return result;
}
