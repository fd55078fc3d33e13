/* Pause, save, go back, stop: what is said to the run on screen. */
#include "tui/loop.h"

#include <stdio.h>

static void steer(struct studio *studio, const char *type, const char *action)
{
    if (!studio->live)
        studio_say(studio, MESSAGE_INFO, "No active run. Press 1 to start one, 9 to list earlier runs.");
    else
        studio_request(studio, studio->live, REQUEST_STEER, type, NULL, action);
}

static void roll_back(struct studio *studio, int step)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "step", step);
    studio_request(studio, studio->live, REQUEST_STEER, "rollback", body, "roll back");
}

static void ask_rollback(struct studio *studio)
{
    const struct run *run = studio->run;
    if (!studio->live || run->checkpoint_count == 0) {
        studio_say(studio, MESSAGE_INFO, "No checkpoint to roll back to yet. Press S to write one.");
        return;
    }
    studio_ask(studio, "Roll back", "Returns to a checkpoint and continues from there. Later steps are superseded.");
    for (int at = 0; at < QUESTION_CHOICES - 1 && at < run->checkpoint_count; at++) {
        int step = run->checkpoints[run->checkpoint_count - 1 - at];
        char label[60];
        snprintf(label, sizeof label, "to step %d", step);
        studio_add_choice(studio, (char)('a' + at), label, roll_back, step);
    }
    studio_add_choice(studio, 'x', "cancel", NULL, 0);
}

static void ask_stop(struct studio *studio)
{
    if (!studio->live || !run_alive(studio->run)) {
        studio_say(studio, MESSAGE_INFO, "No active run.");
        return;
    }
    studio_ask(studio, "Stop the run", "It finishes this step, saves and ends. You can resume it later.");
    studio_add_choice(studio, 's', "stop and save", studio_stop_run, 0);
    studio_add_choice(studio, 'c', "go on", NULL, 0);
}

bool steering_command(struct studio *studio, enum command_id command)
{
    bool paused = studio->run->phase == RUN_PAUSED || studio->run->phase == RUN_PAUSING;
    switch (command) {
    case COMMAND_PAUSE: steer(studio, paused ? "continue" : "pause", paused ? "continue" : "pause"); return true;
    case COMMAND_SAMPLE_NOW:
        steer(studio, "sample-now", "sample now");
        if (studio->live) studio_say(studio, MESSAGE_INFO, "Held-out pictures will be drawn after this step.");
        return true;
    case COMMAND_SAVE_NOW:
        steer(studio, "save-now", "save now");
        if (studio->live) studio_say(studio, MESSAGE_INFO, "A checkpoint will be written after this step.");
        return true;
    case COMMAND_ROLLBACK: ask_rollback(studio); return true;
    case COMMAND_BRANCH: studio_branch(studio); return true;
    case COMMAND_STOP: ask_stop(studio); return true;
    case COMMAND_RESUME:
        if (studio->run->path[0] != '\0' && !run_alive(studio->run)) studio_resume(studio, studio->run->path, "ask");
        return true;
    default: return false;
    }
}
