/* What engines send: replies to the studio's questions, and the live messages of the run on screen. */
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct client_options studio_as_client = {.name = "studio", .pictures = true};

static void replace(cJSON **place, const cJSON *message, const char *key)
{
    const cJSON *item = json_get(message, key);
    if (!item) return;
    cJSON_Delete(*place);
    *place = cJSON_Duplicate(item, 1);
}

static void show_draft_settings(struct studio *studio, int argument)
{
    (void)argument;
    studio_show_draft(studio);
}

static void take_start(struct studio *studio, const struct request *request, const cJSON *message)
{
    if (json_get_flag(message, "ok", false)) {
        studio_dismiss(studio);
        studio_list_runs(studio);
        const char *socket = json_get_text(message, "socket", NULL);
        if (socket) studio_attach(studio, socket);
        return;
    }
    if (json_get_flag(message, "busy", false)) {
        studio_ask(studio, "The device is busy", json_get_text(message, "error", "Another run is using it."));
        studio_add_choice(studio, 'w', "queue: start when it is free", studio_start_anyway, 0);
        studio_add_choice(studio, 'r', "run anyway; both will be slower", studio_start_anyway, 1);
        studio_add_choice(studio, 'c', "cancel", NULL, 0);
        return;
    }
    studio_say(studio, MESSAGE_ERROR, "Could not %s: %s", request->action, json_get_text(message, "error", "refused"));
    bool resumed = json_get(studio->start_asked, "resume");
    if (resumed) return;
    if (json_get_integer(message, "code", 0) == STATUS_NO_MEMORY)
        studio_offer_remedies(studio);
    else
        studio_add_remedy(studio, 'e', "its settings", show_draft_settings, 0);
}

static void attach_to_newest(struct studio *studio, int argument)
{
    (void)argument;
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (!json_get_text(run, "socket", NULL)) continue;
        studio_open_run(studio, run);
        return;
    }
}

/* Once, when the studio opens: a run that is alive is offered. */
static void offer_live_run(struct studio *studio)
{
    const cJSON *run = NULL;
    if (studio->offered || studio->live || studio->screen != SCREEN_HOME || studio->popup != POPUP_NONE) return;
    studio->offered = true;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (!json_get_text(run, "socket", NULL)) continue;
        char text[300];
        snprintf(text, sizeof text, "%.120s is at step %lld of %lld.", json_get_text(run, "name", "A run"),
                 json_get_integer(run, "step", 0), json_get_integer(run, "steps", 0));
        studio_ask(studio, "A run is active", text);
        studio_add_choice(studio, 'a', "attach: watch and steer it", attach_to_newest, 0);
        studio_add_choice(studio, 'h', "stay here; 9 lists the runs", NULL, 0);
        return;
    }
}

static void refresh_catalogue(struct studio *studio)
{
    studio->catalogue_pages.request =
        studio_request(studio, studio_asker(studio), REQUEST_CATALOGUE, "catalogue", NULL, "read the presets");
}

/* A page of the list that `shown` is. The first is shown as it comes, for who waits for it; a list that is shown
 * already is replaced when the new one is whole. */
static void take_page(struct studio *studio, const struct request *request, struct pages *pages, const char *key,
                      cJSON **shown, const cJSON *message)
{
    const cJSON *part = json_get(message, key);
    if (request->id != pages->request || !part) return;
    int next = pages_take(pages, part, message);
    if (next == 0) {
        cJSON_Delete(*shown);
        *shown = pages->gathered;
        pages->gathered = NULL;
        return;
    }
    if (!*shown) *shown = cJSON_Duplicate(pages->gathered, 1);
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "from", next);
    pages->request = studio_request(studio, studio_asker(studio), request->purpose, key, body, request->action);
}

static bool is_among(const cJSON *texts, const char *text)
{
    const cJSON *each = NULL;
    cJSON_ArrayForEach(each, texts) if (cJSON_IsString(each) && strcmp(each->valuestring, text) == 0) return true;
    return false;
}

/* Prompts that the draft does not hold itself come from its files. */
static void take_checked_prompts(struct studio *studio, const cJSON *prompts)
{
    static const char *const names[2] = {"train", "eval"};
    const cJSON *own = json_get(studio->draft, "prompts");
    if (!prompts) return;
    for (int which = 0; which < 2; which++) {
        cJSON *rest = cJSON_CreateArray();
        const cJSON *each = NULL;
        cJSON_ArrayForEach(each, json_get(prompts, names[which]))
        {
            if (!cJSON_IsString(each) || is_among(json_get(own, "train"), each->valuestring) ||
                is_among(json_get(own, "eval"), each->valuestring))
                continue;
            cJSON_AddItemToArray(rest, cJSON_CreateString(each->valuestring));
        }
        cJSON_Delete(studio->file_prompts[which]);
        studio->file_prompts[which] = rest;
    }
}

/* Remedies that are offered stay under their keys until others take their place: a key is meant for what is read. */
static void take_plan(struct studio *studio, const cJSON *message)
{
    replace(&studio->plan, message, "plan");
    studio->plan_error[0] = '\0';
    studio->remedies_due = true;
    if (studio->remedy_count > 0) studio_dismiss(studio); /* they were the last plan's */
    if (screen_of(studio->screen)->planned) screen_of(studio->screen)->planned(studio);
}

static void begin_screens(struct studio *studio, const cJSON *catalogue)
{
    for (enum screen_id id = 0; id < SCREEN_COUNT; id++)
        if (screen_of(id)->begin) screen_of(id)->begin(studio, catalogue);
}

static void take_reply(struct studio *studio, struct client *client, const cJSON *message)
{
    struct request request = pending_requests_take(&studio->requests, client, (int)json_get_integer(message, "re", 0));
    bool ok = json_get_flag(message, "ok", false);
    if (request.purpose == REQUEST_START) {
        take_start(studio, &request, message);
        return;
    }
    if (request.purpose == REQUEST_PLAN && request.id != studio->plan_request) return; /* of settings since changed */
    if (!ok) {
        if (json_get_flag(message, "superseded", false)) return;
        const char *error = json_get_text(message, "error", "refused");
        if (request.purpose == REQUEST_CHECK) return; /* the plan says what is wrong */
        if (request.purpose == REQUEST_PLAN)
            snprintf(studio->plan_error, sizeof studio->plan_error, "%s", error);
        else
            studio_say(studio, MESSAGE_ERROR, "Could not %s: %s", request.action, error);
        return;
    }
    switch (request.purpose) {
    case REQUEST_CATALOGUE:
        if (!studio->catalogue) studio->dirty_by_key = true; /* whoever opened the studio waits for it */
        if (!studio->catalogue && !studio->typed) begin_screens(studio, json_get(message, "catalogue"));
        take_page(studio, &request, &studio->catalogue_pages, "catalogue", &studio->catalogue, message);
        break;
    case REQUEST_RUNS:
        take_page(studio, &request, &studio->runs_pages, "runs", &studio->runs, message);
        offer_live_run(studio);
        break;
    case REQUEST_PLAN: take_plan(studio, message); break;
    case REQUEST_CHECK: take_checked_prompts(studio, json_get(message, "prompts")); break;
    case REQUEST_SAVE_PRESET:
        studio->draft_changed = false;
        studio_say(studio, MESSAGE_INFO, "Saved %s.", json_get_text(message, "path", "the preset"));
        refresh_catalogue(studio);
        break;
    case REQUEST_EXPORT:
        studio_say(studio, MESSAGE_INFO, "Exported %s (verified %lld of %lld tensors).",
                   json_get_text(message, "path", "the adapter"), json_get_integer(message, "matching", 0),
                   json_get_integer(message, "total", 0));
        break;
    case REQUEST_CHANGE_PRESETS: refresh_catalogue(studio); break;
    default: break;
    }
}

/* A step that came out not finite changes nothing; who watches should know why the curve stands still. */
static void warn_of_skipped_step(struct studio *studio, const cJSON *line)
{
    if (!json_get_flag(line, "skipped", false)) return;
    studio_say(studio, MESSAGE_WARNING,
               "Step %lld was skipped: its gradient is not finite. Press L to lower the learning rate or 2 to change "
               "the weights.",
               json_get_integer(line, "step", 0));
}

/* What the engine warns of (a step that was skipped, a checkpoint that could not be written) is said on every screen.
 */
static void repeat_warning(struct studio *studio, const cJSON *message)
{
    if (strcmp(json_get_text(message, "level", "info"), "info") == 0) return;
    studio_say(studio, MESSAGE_WARNING, "%s. Press 0 to see the log.",
               json_get_text(message, "text", "The engine reported a warning"));
}

static void tell_screens(struct studio *studio, const char *type, const cJSON *message)
{
    for (enum screen_id id = 0; id < SCREEN_COUNT; id++)
        if (screen_of(id)->message) screen_of(id)->message(studio, type, message);
}

static void take_message(struct studio *studio, struct client *client, const char *type, const cJSON *message)
{
    if (strcmp(type, "reply") == 0) {
        take_reply(studio, client, message);
    } else if (strcmp(type, "sampled") == 0) {
        tell_screens(studio, type, message);
    } else if (strcmp(type, "hello") == 0 && client == studio->engine) {
        studio->engine_error[0] = '\0';
        refresh_catalogue(studio);
        studio_list_runs(studio);
    } else if (strcmp(type, "catalogue-changed") == 0 && client == studio->engine) {
        refresh_catalogue(studio);
    } else if (client != studio->live) {
        return;
    } else if (strcmp(type, "state") == 0) {
        run_take_state(studio->run, message);
    } else {
        run_take_message(studio->run, type, message);
        tell_screens(studio, type, message);
        if (strcmp(type, "log") == 0) repeat_warning(studio, message);
        if (strcmp(type, "metrics") == 0) warn_of_skipped_step(studio, json_get(message, "line"));
    }
}

static void take_picture(struct studio *studio, struct client *client, const struct client_message *picture)
{
    if (picture->width > IMAGE_LARGEST_SIDE || picture->height > IMAGE_LARGEST_SIDE) return;
    if (json_get(picture->json, "re")) {
        for (enum screen_id id = 0; id < SCREEN_COUNT; id++)
            if (screen_of(id)->picture) screen_of(id)->picture(studio, picture);
        return;
    }
    if (client == studio->live)
        run_take_picture(studio->run, picture->json, picture->width, picture->height, picture->pixels);
}

bool studio_serve_client(struct studio *studio, struct client **place)
{
    struct client *client = *place;
    struct client_message message;
    client_pump(client);
    studio->served = client;
    while (*place == client && client_next(client, &message)) {
        studio->dirty = true;
        if (message.pixels)
            take_picture(studio, client, &message);
        else
            take_message(studio, client, message.type, message.json);
    }
    studio->served = NULL;
    if (*place == client) return client_failure(client).code == STATUS_OK;
    client_close(client); /* given up by what it said */
    return true;
}
