/* What screens ask the studio to do: go somewhere, say something, ask, start, attach, undo. */
#include "tui/state.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

void studio_go(struct studio *studio, enum screen_id screen)
{
    bool of_run = screen == SCREEN_TUNE || screen == SCREEN_TIMELINE || screen == SCREEN_GRID;
    if (of_run && studio->run->phase != RUN_UNKNOWN) studio->draft_shown = false;
    if (screen != studio->screen) studio->previous = studio->screen;
    studio->screen = screen;
    studio->filtering = false;
    if (screen_of(screen)->open) screen_of(screen)->open(studio);
    studio->dirty = true;
}

void studio_say(struct studio *studio, enum message_level level, const char *format, ...)
{
    if (studio->message_level == MESSAGE_ERROR && level != MESSAGE_ERROR) return; /* an error stays until dismissed */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(studio->message, sizeof studio->message, format, arguments);
    va_end(arguments);
    studio->message_level = level;
    studio->remedy_count = 0;
    studio->dirty = true;
}

void studio_dismiss(struct studio *studio)
{
    studio->message_level = MESSAGE_NONE;
    studio->message[0] = '\0';
    studio->remedy_count = 0;
    studio->dirty = true;
}

void studio_add_remedy(struct studio *studio, char key, const char *label, void (*chosen)(struct studio *, int),
                       int argument)
{
    if (studio->remedy_count == (int)(sizeof studio->remedies / sizeof *studio->remedies)) return;
    struct choice *choice = &studio->remedies[studio->remedy_count++];
    *choice = (struct choice){.key = key, .chosen = chosen, .argument = argument};
    snprintf(choice->label, sizeof choice->label, "%s", label);
}

void studio_ask(struct studio *studio, const char *title, const char *text)
{
    studio->popup = POPUP_QUESTION;
    memset(&studio->question, 0, sizeof studio->question);
    snprintf(studio->question.title, sizeof studio->question.title, "%s", title);
    snprintf(studio->question.text, sizeof studio->question.text, "%s", text);
    studio->dirty = true;
}

void studio_add_choice(struct studio *studio, char key, const char *label, void (*chosen)(struct studio *, int),
                       int argument)
{
    if (studio->question.count == QUESTION_CHOICES) return;
    struct choice *choice = &studio->question.choices[studio->question.count++];
    *choice = (struct choice){.key = key, .chosen = chosen, .argument = argument};
    snprintf(choice->label, sizeof choice->label, "%s", label);
}

void studio_prompt(struct studio *studio, const char *title, const char *hint, const char *text,
                   void (*done)(struct studio *, const char *), void (*line)(struct studio *, const char *))
{
    studio->popup = POPUP_PROMPT;
    snprintf(studio->prompt.title, sizeof studio->prompt.title, "%s", title);
    snprintf(studio->prompt.hint, sizeof studio->prompt.hint, "%s", hint);
    snprintf(studio->prompt.offered, sizeof studio->prompt.offered, "%s", text);
    bool again = strcmp(studio->unfinished.title, title) == 0 && strcmp(studio->unfinished.offered, text) == 0;
    field_set(&studio->prompt.field, again ? studio->unfinished.typed : text);
    studio->unfinished.title[0] = '\0';
    studio->prompt.done = done;
    studio->prompt.line = line;
    studio->dirty = true;
}

void studio_close_client(struct studio *studio, struct client **client)
{
    pending_requests_forget(&studio->requests, *client);
    if (*client != studio->served) client_close(*client);
    *client = NULL;
}

struct client *studio_asker(struct studio *studio)
{
    return studio->engine ? studio->engine : studio->live;
}

int studio_request(struct studio *studio, struct client *client, enum request_purpose purpose, const char *type,
                   cJSON *body, const char *action)
{
    if (!client) {
        cJSON_Delete(body);
        if (purpose != REQUEST_PLAN && purpose != REQUEST_RUNS && purpose != REQUEST_CATALOGUE)
            studio_say(studio, MESSAGE_ERROR, "Could not %s: no engine is connected%s%s", action,
                       studio->engine_error[0] ? ": " : "", studio->engine_error);
        return 0;
    }
    int64_t id;
    status sent = client_request(client, type, body, &id);
    if (sent.code != STATUS_OK) {
        studio_say(studio, MESSAGE_ERROR, "Could not %s: %s", action, sent.message);
        return 0;
    }
    struct request request = {.id = (int)id, .client = client, .purpose = purpose};
    snprintf(request.action, sizeof request.action, "%s", action);
    if (!pending_requests_add(&studio->requests, &request))
        studio_say(studio, MESSAGE_ERROR, "Could not %s: out of memory", action);
    return (int)id;
}

void studio_set_value(struct studio *studio, const char *key, double value, double before)
{
    if (!isnan(before)) {
        /* One undo for a slider that is dragged, not one for each of its positions. */
        struct undo *last = studio->undo_count > 0 ? &studio->undo[studio->undo_count - 1] : NULL;
        if (!last || last->kind != UNDO_SETTING || strcmp(last->key, key) != 0) {
            struct undo *undo = studio_push_undo(studio);
            undo->kind = UNDO_SETTING;
            snprintf(undo->key, sizeof undo->key, "%s", key);
            undo->value = before;
        }
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "key", key);
    cJSON_AddNumberToObject(body, "value", value);
    studio_request(studio, studio->live, REQUEST_STEER, "set", body, key);
}

/* Sends the request and remembers it: a busy device may make it necessary to ask in another way. */
static bool ask_to_start(struct studio *studio, cJSON *body, const char *action)
{
    cJSON *asked = cJSON_Duplicate(body, 1);
    cJSON_Delete(studio->start_asked);
    studio->start_asked = asked;
    return studio_request(studio, studio_asker(studio), REQUEST_START, "start", body, action) != 0;
}

void studio_start(struct studio *studio, const cJSON *preset, const char *preset_name, const char *when)
{
    cJSON *body = cJSON_CreateObject();
    if (preset)
        cJSON_AddItemToObject(body, "preset", cJSON_Duplicate(preset, 1));
    else
        cJSON_AddStringToObject(body, "preset", preset_name);
    cJSON_AddStringToObject(body, "when", when);
    if (preset == studio->draft && studio->origin.run[0] != '\0') {
        cJSON *from = cJSON_AddObjectToObject(body, "from");
        cJSON_AddStringToObject(from, "run", studio->origin.run);
        cJSON_AddNumberToObject(from, "step", studio->origin.step);
    }
    if (ask_to_start(studio, body, "start")) studio_say(studio, MESSAGE_INFO, "Starting %s \u2026", preset_name);
}

void studio_resume(struct studio *studio, const char *run_path, const char *when)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "resume", run_path);
    cJSON_AddStringToObject(body, "when", when);
    if (ask_to_start(studio, body, "resume")) studio_say(studio, MESSAGE_INFO, "Resuming \u2026");
}

void studio_start_anyway(struct studio *studio, int now)
{
    cJSON *body = cJSON_Duplicate(studio->start_asked, 1);
    if (!body) return;
    json_put_at(body, "when", cJSON_CreateString(now ? "now" : "queue"));
    if (ask_to_start(studio, body, "start")) studio_say(studio, MESSAGE_INFO, "Starting \u2026");
}

void studio_list_runs(struct studio *studio)
{
    studio->runs_asked = studio->now;
    studio->runs_pages.request =
        studio_request(studio, studio_asker(studio), REQUEST_RUNS, "runs", NULL, "list the runs");
}

static void reset_run_views(struct studio *studio)
{
    studio->draft_shown = false;
    cJSON_Delete(studio->run_settings);
    studio->run_settings = NULL;
    for (enum screen_id id = 0; id < SCREEN_COUNT; id++)
        if (screen_of(id)->reset) screen_of(id)->reset(studio);
}

void studio_attach(struct studio *studio, const char *socket)
{
    struct client *client = NULL;
    status connected = client_connect(socket, &studio_as_client, &client);
    if (connected.code != STATUS_OK) {
        studio_say(studio, MESSAGE_ERROR, "%s. Press 9 to list the runs and r to resume one.", connected.message);
        return;
    }
    studio_close_client(studio, &studio->live);
    studio->live = client;
    snprintf(studio->live_socket, sizeof studio->live_socket, "%s", socket);
    run_clear(studio->run);
    reset_run_views(studio);
    studio_go(studio, SCREEN_TUNE);
}

void studio_open_run(struct studio *studio, const cJSON *run)
{
    const char *socket = json_get_text(run, "socket", NULL), *path = json_get_text(run, "path", "");
    if (socket) {
        studio_attach(studio, socket);
        return;
    }
    studio_close_client(studio, &studio->live);
    if (!run_load_folder(studio->run, path)) {
        studio_say(studio, MESSAGE_ERROR, "Cannot show %s: it has no readable preset.json.", path);
        return;
    }
    if (strcmp(json_get_text(run, "state", ""), "interrupted") == 0) studio->run->phase = RUN_LOST;
    reset_run_views(studio);
    studio_go(studio, SCREEN_TUNE);
}

void studio_stop_run(struct studio *studio, int argument)
{
    studio_request(studio, studio->live, REQUEST_STEER, "stop", NULL, "stop");
    if (argument != 0) studio->quit = true;
}

static void leave_detached(struct studio *studio, int argument)
{
    (void)argument;
    studio->quit = true;
}

void studio_leave(struct studio *studio)
{
    if (!studio->live || !run_alive(studio->run)) {
        studio->quit = true;
        return;
    }
    studio_ask(studio, "Leave the studio",
               "The run continues without the studio; return to it with `alignprop attach`. Or stop it: it saves first "
               "and can be resumed.");
    studio_add_choice(studio, 'd', "detach; the run continues", leave_detached, 0);
    studio_add_choice(studio, 's', "stop and save", studio_stop_run, 1);
}

static void export_to(struct studio *studio, const char *target)
{
    static const char peft[] = "-peft.safetensors";
    char path[4400], folder[4096];
    size_t length = strlen(target);
    if (length == 0) return;
    if (target[0] == '/' || !getcwd(folder, sizeof folder))
        snprintf(path, sizeof path, "%s", target);
    else
        snprintf(path, sizeof path, "%s/%s", folder, target);
    bool peft_names = length >= sizeof peft - 1 && strcmp(target + length - (sizeof peft - 1), peft) == 0;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "run", studio->export_run);
    cJSON_AddStringToObject(body, "path", path);
    cJSON_AddStringToObject(body, "format", peft_names ? "peft" : "kohya");
    studio_request(studio, studio_asker(studio), REQUEST_EXPORT, "export", body, "export the adapter");
}

void studio_export(struct studio *studio, const char *run_path, const char *name)
{
    if (run_path[0] == '\0') {
        studio_say(studio, MESSAGE_INFO, "No run is open, so there is no adapter to export.");
        return;
    }
    char target[300];
    snprintf(studio->export_run, sizeof studio->export_run, "%s", run_path);
    snprintf(target, sizeof target, "%.200s.safetensors", name);
    studio_prompt(
        studio, "Export the adapter",
        "The file loads in A1111, ComfyUI and diffusers. A name ending in -peft.safetensors uses PEFT's tensor names.",
        target, export_to, NULL);
}
