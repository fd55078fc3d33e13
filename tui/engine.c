/* What engines send: replies to the studio's questions, and the live messages of the run on screen. */
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void replace(cJSON **place, const cJSON *message, const char *key)
{
    const cJSON *item = item_get(message, key);
    if (item == NULL) return;
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
    if (item_true(message, "ok")) {
        studio_dismiss(studio);
        studio_list_runs(studio);
        const char *socket = item_text(message, "socket", NULL);
        if (socket != NULL) studio_attach(studio, socket);
        return;
    }
    if (item_true(message, "busy")) {
        studio_ask(studio, "The device is busy", item_text(message, "error", "another run is using it"));
        studio_add_choice(studio, 'w', "queue: start when it is free", studio_start_anyway, 0);
        studio_add_choice(studio, 'r', "run anyway, both slower", studio_start_anyway, 1);
        studio_add_choice(studio, 'c', "cancel", NULL, 0);
        return;
    }
    studio_say(studio, MESSAGE_ERROR, "%s: %s", request->words, item_text(message, "error", "refused"));
    bool resumed = item_get(studio->start_asked, "resume") != NULL;
    if (resumed) return;
    if (item_integer(message, "code", 0) == STATUS_NO_MEMORY)
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
        if (item_text(run, "socket", NULL) == NULL) continue;
        studio_open_run(studio, run);
        return;
    }
}

/* Once, when the studio opens: a run that is alive is offered. */
static void offer_live_run(struct studio *studio)
{
    const cJSON *run = NULL;
    if (studio->offered || studio->live != NULL || studio->screen != SCREEN_HOME || studio->popup != POPUP_NONE) return;
    studio->offered = true;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (item_text(run, "socket", NULL) == NULL) continue;
        char text[300];
        snprintf(text, sizeof text, "%.120s is at step %lld of %lld.", item_text(run, "name", "A run"),
                 item_integer(run, "step", 0), item_integer(run, "steps", 0));
        studio_ask(studio, "A run is on", text);
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
    const cJSON *part = item_get(message, key);
    if (request->id != pages->request || part == NULL) return;
    int next = pages_take(pages, part, message);
    if (next == 0) {
        cJSON_Delete(*shown);
        *shown = pages->gathered;
        pages->gathered = NULL;
        return;
    }
    if (*shown == NULL) *shown = cJSON_Duplicate(pages->gathered, 1);
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "from", next);
    pages->request = studio_request(studio, studio_asker(studio), request->purpose, key, body, request->words);
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
    const cJSON *own = item_get(studio->draft, "prompts");
    if (prompts == NULL) return;
    for (int which = 0; which < 2; which++) {
        cJSON *rest = cJSON_CreateArray();
        const cJSON *each = NULL;
        cJSON_ArrayForEach(each, item_get(prompts, names[which]))
        {
            if (!cJSON_IsString(each) || is_among(item_get(own, "train"), each->valuestring) ||
                is_among(item_get(own, "eval"), each->valuestring))
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
    studio->plan_error[0] = 0;
    studio->remedies_due = true;
    if (studio->remedy_count > 0) studio_dismiss(studio); /* they were the last plan's */
    if (studio->screen == SCREEN_EDIT && studio->run_settings == NULL) edit_offer_remedies(studio);
}

static void take_reply(struct studio *studio, struct client *client, const cJSON *message)
{
    struct request request = pending_requests_take(&studio->requests, client, (int)item_integer(message, "re", 0));
    bool ok = item_true(message, "ok");
    if (request.purpose == REQUEST_START) {
        take_start(studio, &request, message);
        return;
    }
    if (request.purpose == REQUEST_PLAN && request.id != studio->plan_request) return; /* of settings since changed */
    if (!ok) {
        if (item_true(message, "superseded")) return;
        const char *error = item_text(message, "error", "refused");
        if (request.purpose == REQUEST_CHECK) return; /* the plan says what is wrong */
        if (request.purpose == REQUEST_PLAN)
            snprintf(studio->plan_error, sizeof studio->plan_error, "%s", error);
        else
            studio_say(studio, MESSAGE_ERROR, "%s: %s", request.words, error);
        return;
    }
    switch (request.purpose) {
    case REQUEST_CATALOGUE:
        if (studio->catalogue == NULL) studio->dirty_by_key = true; /* whoever opened the studio waits for it */
        if (studio->catalogue == NULL && !studio->typed) home_choose_first(studio, item_get(message, "catalogue"));
        take_page(studio, &request, &studio->catalogue_pages, "catalogue", &studio->catalogue, message);
        break;
    case REQUEST_RUNS:
        take_page(studio, &request, &studio->runs_pages, "runs", &studio->runs, message);
        offer_live_run(studio);
        break;
    case REQUEST_PLAN: take_plan(studio, message); break;
    case REQUEST_CHECK: take_checked_prompts(studio, item_get(message, "prompts")); break;
    case REQUEST_SAVE_PRESET:
        studio->draft_changed = false;
        studio_say(studio, MESSAGE_INFO, "saved: %s", item_text(message, "path", "the preset"));
        refresh_catalogue(studio);
        break;
    case REQUEST_EXPORT:
        studio_say(studio, MESSAGE_INFO, "exported: %s (%lld of %lld tensors read back as they were)",
                   item_text(message, "path", "the adapter"), item_integer(message, "matching", 0),
                   item_integer(message, "total", 0));
        break;
    case REQUEST_CHANGE_PRESETS: refresh_catalogue(studio); break;
    default: break;
    }
}

static void take_sampled(struct studio *studio, const cJSON *message)
{
    struct mixer_view *mixer = &studio->mixer;
    if (item_integer(message, "re", 0) != mixer->request) return;
    mixer->request = 0;
    if (!item_true(message, "ok") && !item_true(message, "superseded"))
        snprintf(mixer->error, sizeof mixer->error, "%s", item_text(message, "error", "the picture could not be made"));
}

/* Applied values overtake the sliders' own once the engine has them. */
static void settle_sliders(struct studio *studio)
{
    for (int index = 0; index < studio->run->reward_count; index++) {
        double target = studio->tune.target[index];
        const struct run_reward *reward = &studio->run->rewards[index];
        if (!isnan(target) && fabs(target - reward->weight) < 1e-9) studio->tune.target[index] = NAN;
    }
}

/* A step that came out not finite changes nothing; who watches should know why the curve stands still. */
static void warn_of_skipped_step(struct studio *studio, const cJSON *line)
{
    if (!item_true(line, "skipped")) return;
    studio_say(studio, MESSAGE_WARNING,
               "step %lld was skipped: its gradient is not finite; L lowers the learning rate, 2 has the weights",
               item_integer(line, "step", 0));
}

/* What the engine warns of (a step that was skipped, a checkpoint that could not be written) is said on every screen.
 */
static void repeat_warning(struct studio *studio, const cJSON *message)
{
    if (strcmp(item_text(message, "level", "info"), "info") == 0) return;
    studio_say(studio, MESSAGE_WARNING, "%s; 0 shows the log", item_text(message, "text", "the engine has a warning"));
}

static void take_message(void *context, struct client *client, const char *type, const cJSON *message)
{
    struct studio *studio = context;
    studio->dirty = true;
    if (strcmp(type, "reply") == 0) {
        take_reply(studio, client, message);
    } else if (strcmp(type, "sampled") == 0) {
        take_sampled(studio, message);
    } else if (strcmp(type, "hello") == 0 && client == studio->engine) {
        studio->engine_error[0] = 0;
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
        if (strcmp(type, "event") == 0) settle_sliders(studio);
        if (strcmp(type, "log") == 0) repeat_warning(studio, message);
        if (strcmp(type, "metrics") == 0) warn_of_skipped_step(studio, item_get(message, "line"));
    }
}

static void take_picture(void *context, struct client *client, const cJSON *header, int width, int height,
                         const unsigned char *pixels)
{
    struct studio *studio = context;
    studio->dirty = true;
    if (item_get(header, "re") != NULL) {
        if (item_integer(header, "re", 0) == studio->mixer.request)
            image_set(&studio->mixer.picture, width, height, pixels);
        return;
    }
    if (client == studio->live) run_take_picture(studio->run, header, width, height, pixels);
}

struct client_handler studio_handler(struct studio *studio)
{
    return (struct client_handler){studio, take_message, take_picture};
}
