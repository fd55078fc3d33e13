/* Rows that several screens have among their commands. */
#ifndef ALIGNPROP_TUI_COMMON_COMMANDS_H
#define ALIGNPROP_TUI_COMMON_COMMANDS_H

#include "tui/commands.h"

/* clang-format off */
#define ROW_FILTER \
    {COMMAND_FILTER, "filter", "/", NULL, "show only rows that contain a text"}
#define ROWS_PANES \
    {COMMAND_NEXT_PANE, "next pane", "Tab", "pane", "the next part of this screen"}, \
    {COMMAND_PREVIOUS_PANE, "previous pane", "BackTab", NULL, "the part before"}
#define ROW_START \
    {COMMAND_START, "start tuning", "s", "start", "start tuning with these settings"}
#define ROW_SWAP \
    {COMMAND_SWAP, "base or tuned", "b", "base/tuned", "the base model's picture of the same seed, and back"}
/* of screens that show a run */
#define ROW_PAUSE \
    {COMMAND_PAUSE, "pause or continue", "p", "pause", "pause after this step, or continue"}
#define ROW_SAMPLE \
    {COMMAND_SAMPLE_NOW, "sample now", "s", "sample", "pictures of the held-out prompts after this step"}
#define ROWS_STEERING \
    {COMMAND_SAVE_NOW, "save now", "S", NULL, "write a checkpoint after this step"}, \
    {COMMAND_ROLLBACK, "roll back", "R", NULL, "go back to a checkpoint"}, \
    {COMMAND_STOP, "stop and save", "X", "stop", "save, then end the run"}
#define ROW_BRANCH \
    {COMMAND_BRANCH, "new run from this checkpoint", "N", "new run", "a new run from the newest checkpoint"}
/* clang-format on */

#endif
