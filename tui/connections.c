/* The engines the studio speaks with: its own, and that of the run on screen. */
#include "engine/base/input_file.h"
#include "tui/loop.h"

#include <stdio.h>
#include <string.h>

static void resume_run(struct studio *studio, int argument)
{
    (void)argument;
    studio_resume(studio, studio->run->path, "ask");
}

static void show_log(struct studio *studio, int argument)
{
    (void)argument;
    studio_go(studio, SCREEN_LOG);
}

/* Under the message that a run has failed: what can be done about it. */
static void offer_way_on(struct studio *studio)
{
    if (studio->run->checkpoint_count > 0)
        studio_add_remedy(studio, 'r', "resume from the newest checkpoint", resume_run, 0);
    studio_add_remedy(studio, '0', "log", show_log, 0);
}

/* The engine of the run went away without saying `end`: its last message is at the end of its log. */
static void report_lost_engine(struct studio *studio)
{
    char path[4200], last_line[400] = "";
    snprintf(path, sizeof path, "%s/engine.log", studio->run->path);
    FILE *file;
    if (input_stream_open(path, &file).code == STATUS_OK) {
        char line[400];
        while (fgets(line, sizeof line, file))
            if (line[0] != '\n') snprintf(last_line, sizeof last_line, "%s", line);
        fclose(file);
        last_line[strcspn(last_line, "\n")] = '\0';
    }
    studio->run->phase = RUN_LOST;
    studio_say(studio, MESSAGE_ERROR, "The engine of %s died at step %d.%s%s", studio->run->name, studio->run->step,
               last_line[0] ? " Last message: " : "", last_line);
    offer_way_on(studio);
}

static void drop_live(struct studio *studio)
{
    char error[400];
    snprintf(error, sizeof error, "%s", client_failure(studio->live).message);
    studio_close_client(studio, &studio->live);
    enum run_phase phase = studio->run->phase;
    if (phase == RUN_UNKNOWN) {
        studio_say(studio, MESSAGE_ERROR, "%s. Press 9 to list the runs.", error);
    } else if (phase == RUN_FAILED) {
        studio_say(studio, MESSAGE_ERROR, "%s", studio->run->error);
        offer_way_on(studio);
    } else if (run_alive(studio->run)) {
        report_lost_engine(studio);
    } else {
        studio_say(studio, MESSAGE_INFO, "%s", studio->run->end_text[0] ? studio->run->end_text : "The run has ended.");
    }
    if (phase == RUN_FAILED && studio->run->end_status == STATUS_NO_MEMORY && studio->run->step == 0)
        studio_offer_remedies(studio);
    studio_list_runs(studio);
}

static void drop_engine(struct studio *studio)
{
    snprintf(studio->engine_error, sizeof studio->engine_error, "%s", client_failure(studio->engine).message);
    studio_close_client(studio, &studio->engine);
    if (studio->message_level == MESSAGE_ERROR) return; /* what was said before matters more; the log screen has this */
    studio_say(studio, MESSAGE_ERROR, "Lost the helper engine (%s). Presets and plans are not available.",
               studio->engine_error);
}

void connections_serve(struct studio *studio, const struct pollfd *engine, const struct pollfd *live)
{
    bool same = studio->engine && engine->fd == client_descriptor(studio->engine);
    if (same && engine->revents && !studio_serve_client(studio, &studio->engine)) drop_engine(studio);
    same = studio->live && live->fd == client_descriptor(studio->live);
    if (same && live->revents && !studio_serve_client(studio, &studio->live)) drop_live(studio);
}

struct pollfd connections_watch(const struct client *client)
{
    if (!client) return (struct pollfd){.fd = -1};
    return (struct pollfd){.fd = client_descriptor(client), .events = client_events(client)};
}

status connections_open(struct studio *studio)
{
    if (studio->options.engine) return client_connect(studio->options.engine, &studio_as_client, &studio->engine);
    if (!studio->options.program) return status_error(STATUS_FAILED, "there is no engine program to start");
    return client_start_engine(studio->options.program, &studio_as_client, -1, &studio->engine);
}

/* The socket of a live run stands in its engine.json. */
bool connections_socket_of_run(const char *run, char *path, size_t size)
{
    char name[4200], text[8192];
    snprintf(name, sizeof name, "%s/engine.json", run);
    FILE *file;
    if (input_stream_open(name, &file).code != STATUS_OK) return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    cJSON *object = message_object(text, length);
    const char *socket = json_get_text(object, "socket", NULL);
    bool found = socket && snprintf(path, size, "%s", socket) < (int)size;
    cJSON_Delete(object);
    return found;
}
