/* The draft: the preset being edited, where it comes from, and the way back from every change. */
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct undo *studio_push_undo(struct studio *studio)
{
    if (studio->undo_count == UNDO_DEPTH) {
        cJSON_Delete(studio->undo[0].before);
        memmove(studio->undo, studio->undo + 1, (UNDO_DEPTH - 1) * sizeof *studio->undo);
        studio->undo_count--;
    }
    struct undo *undo = &studio->undo[studio->undo_count++];
    memset(undo, 0, sizeof *undo);
    return undo;
}

void studio_push_undo_draft(struct studio *studio)
{
    struct undo *undo = studio_push_undo(studio);
    undo->kind = UNDO_DRAFT;
    undo->before = cJSON_Duplicate(studio->draft, 1);
    undo->origin = studio->origin;
}

void studio_draft_changed(struct studio *studio)
{
    enum { PAUSE_BEFORE_PLAN = 250 };
    studio->draft_changed = true;
    studio->plan_due = studio->now + PAUSE_BEFORE_PLAN;
    studio->plan_request = 0;
    studio->dirty = true;
}

/* What was found out about the last draft says nothing of the next. */
static void forget_findings(struct studio *studio)
{
    for (int which = 0; which < 2; which++) {
        cJSON_Delete(studio->file_prompts[which]);
        cJSON_Delete(studio->unticked[which]);
        studio->file_prompts[which] = studio->unticked[which] = NULL;
    }
    cJSON_Delete(studio->plan);
    studio->plan = NULL;
    studio->plan_error[0] = '\0';
    studio->plan_due = studio->now;
    studio->plan_request = 0;
}

static void show_draft(struct studio *studio)
{
    studio->draft_shown = true;
    cJSON_Delete(studio->run_settings);
    studio->run_settings = NULL;
}

void studio_edit_preset(struct studio *studio, const cJSON *preset)
{
    if (studio->draft && studio->draft_changed) studio_push_undo_draft(studio);
    cJSON_Delete(studio->draft);
    studio->draft = cJSON_Duplicate(preset, 1);
    studio->draft_changed = false;
    studio->origin = (struct draft_origin){.run = ""};
    snprintf(studio->origin.name, sizeof studio->origin.name, "%s", json_get_text(preset, "name", "new preset"));
    forget_findings(studio);
    show_draft(studio);
}

void studio_show_draft(struct studio *studio)
{
    if (!studio->draft) return;
    show_draft(studio);
    studio_go(studio, SCREEN_EDIT);
}

bool studio_return_to_draft(struct studio *studio, const char *name)
{
    bool same = studio->draft && studio->draft_changed && studio->origin.run[0] == '\0' &&
                strcmp(studio->origin.name, name) == 0;
    if (same) show_draft(studio);
    return same;
}

void studio_offer_remedies(struct studio *studio)
{
    if (!studio->draft) return;
    studio->refused_for_memory = true;
    studio->plan_due = studio->now;
    studio_show_draft(studio);
}

bool studio_is_editing(const struct studio *studio)
{
    return studio->draft && (studio->draft_shown || studio->run->phase == RUN_UNKNOWN);
}

cJSON *studio_present_preset(const struct run *run)
{
    cJSON *preset = cJSON_Duplicate(run->preset, 1);
    cJSON *rewards = cJSON_GetObjectItemCaseSensitive(preset, "rewards");
    for (int i = 0; i < run->reward_count && i < cJSON_GetArraySize(rewards); i++)
        json_put_at(cJSON_GetArrayItem(rewards, i), "weight", cJSON_CreateNumber(run->rewards[i].weight));
    const cJSON *setting;
    cJSON_ArrayForEach(setting, run->settings) if (strncmp(setting->string, "rewards.", 8) != 0)
        json_put_at(preset, setting->string, cJSON_CreateNumber(setting->valuedouble));
    return preset;
}

static void edit_run(struct studio *studio)
{
    cJSON *preset = studio_present_preset(studio->run);
    studio_edit_preset(studio, preset);
    cJSON_Delete(preset);
}

void studio_branch(struct studio *studio)
{
    const struct run *run = studio->run;
    if (!run->preset || run->checkpoint_count == 0) {
        studio_say(studio, MESSAGE_INFO,
                   !run->preset ? "No run is open." : "No checkpoint to start from yet. Press S to write one.");
        return;
    }
    edit_run(studio);
    snprintf(studio->origin.run, sizeof studio->origin.run, "%s", run->path);
    studio->origin.step = run->checkpoints[run->checkpoint_count - 1];
    studio_go(studio, SCREEN_EDIT);
    studio_say(studio, MESSAGE_INFO, "A new run from step %d. Change the settings, then press s to start it.",
               studio->origin.step);
}

/* A change of the draft, or a changed draft that another preset has taken the place of. */
static void undo_draft(struct studio *studio, const struct undo *undo)
{
    bool other =
        strcmp(undo->origin.name, studio->origin.name) != 0 || strcmp(undo->origin.run, studio->origin.run) != 0;
    cJSON_Delete(studio->draft);
    studio->draft = undo->before;
    studio->origin = undo->origin;
    if (other) {
        forget_findings(studio);
        show_draft(studio);
        studio_go(studio, SCREEN_EDIT);
        studio_say(studio, MESSAGE_INFO, "Restored %s with your changes.", studio->origin.name);
    } else {
        studio_say(studio, MESSAGE_INFO, "Undid the last change of the settings.");
    }
    studio_draft_changed(studio);
}

void studio_undo(struct studio *studio)
{
    if (studio->undo_count == 0) {
        studio_say(studio, MESSAGE_INFO, "Nothing to undo.");
        return;
    }
    struct undo undo = studio->undo[--studio->undo_count];
    switch (undo.kind) {
    case UNDO_DRAFT: undo_draft(studio, &undo); return;
    case UNDO_SETTING:
        for (enum screen_id id = 0; id < SCREEN_COUNT; id++)
            if (screen_of(id)->undone) screen_of(id)->undone(studio);
        studio_set_value(studio, undo.key, undo.value, NAN);
        studio_say(studio, MESSAGE_INFO, "Set %s back to %.4g.", undo.key, undo.value);
        break;
    case UNDO_PRESET_DELETED: {
        cJSON *body = cJSON_CreateObject();
        cJSON_AddStringToObject(body, "name", json_get_text(undo.before, "name", ""));
        cJSON_AddItemToObject(body, "preset", cJSON_Duplicate(undo.before, 1));
        studio_request(studio, studio_asker(studio), REQUEST_CHANGE_PRESETS, "presets-save", body,
                       "restore the preset");
        break;
    }
    }
    cJSON_Delete(undo.before);
}

static void save_preset(struct studio *studio, const cJSON *preset, const char *name)
{
    if (!preset || name[0] == '\0') return;
    cJSON *body = cJSON_CreateObject(), *copy = cJSON_Duplicate(preset, 1);
    json_put_at(copy, "name", cJSON_CreateString(name));
    cJSON_AddStringToObject(body, "name", name);
    cJSON_AddItemToObject(body, "preset", copy);
    studio_request(studio, studio_asker(studio), REQUEST_SAVE_PRESET, "presets-save", body, "save the preset");
}

static void save_draft_as(struct studio *studio, const char *name)
{
    save_preset(studio, studio->draft, name);
}

static void save_run_as(struct studio *studio, const char *name)
{
    cJSON *preset = studio_present_preset(studio->run);
    save_preset(studio, preset, name);
    cJSON_Delete(preset);
}

void studio_save_draft(struct studio *studio)
{
    studio_prompt(studio, "Save as preset", "A name for these settings. Enter saves, Esc cancels.", studio->origin.name,
                  save_draft_as, NULL);
}

void studio_show_run_settings(struct studio *studio)
{
    if (!studio->run->preset) return;
    cJSON_Delete(studio->run_settings);
    studio->run_settings = studio_present_preset(studio->run);
    studio->draft_shown = false;
    studio_go(studio, SCREEN_EDIT);
}

void studio_save_run(struct studio *studio)
{
    if (!studio->run->preset) return;
    studio_prompt(studio, "Save as preset", "A name for this run's current settings. Enter saves, Esc cancels.",
                  json_get_text(studio->run->preset, "name", "my-preset"), save_run_as, NULL);
}
