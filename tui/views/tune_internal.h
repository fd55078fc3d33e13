/* The parts of the tune screen. */
#ifndef ALIGNPROP_TUI_VIEWS_TUNE_INTERNAL_H
#define ALIGNPROP_TUI_VIEWS_TUNE_INTERNAL_H

#include "tui/screen/layout.h"
#include "tui/screen/slider.h"
#include "tui/state.h"

enum tune_pane { PANE_REWARDS, PANE_PICTURES, PANE_CURVES, PANE_COUNT };
enum tune_picture_set { SET_OVERVIEW, SET_HELD_OUT, SET_BATCH, SET_DENOISING, SET_COUNT };

struct tune_view {
    int pane; /* enum tune_pane */
    bool enlarged, show_base, side_by_side;
    int picture, picture_set; /* enum tune_picture_set */
    struct list rewards;
    double target[RUN_REWARDS]; /* weight as the slider stands; NaN: as applied */
    int64_t target_since[RUN_REWARDS];
    double muted[RUN_REWARDS];      /* weight before muting; NaN: not muted */
    bool dragged;                   /* the mouse holds a slider */
    struct slider_scale drag_scale; /* of that slider, which stays while it is held */
};

static inline struct tune_view *tune_view_of(const struct studio *studio)
{
    return studio->views[SCREEN_TUNE];
}

/* tune_rewards.c: the table of rewards with its sliders */
void tune_draw_rewards(struct studio *studio, struct area area);
bool tune_rewards_command(struct studio *studio, enum command_id command, bool coarse);
void tune_click_reward(struct studio *studio, const struct click *click);
void tune_reset_sliders(struct studio *studio);
void tune_let_go_of_sliders(struct studio *studio);
void tune_settle_sliders(struct studio *studio, const char *type, const cJSON *message);
/* Sends what has rested. Milliseconds until the next does, -1 for none. */
int tune_send_sliders(struct studio *studio);
/* Likewise what has not rested yet. */
void tune_send_sliders_now(struct studio *studio);

/* tune_pictures.c */
void tune_draw_pictures(struct studio *studio, const struct tune_layout *layout);
void tune_next_picture(struct studio *studio, int direction);

/* tune_figures.c: how the pictures drift, and the held-out prompts one by one */
void tune_draw_drift(const struct run *run, struct area area);
void tune_draw_held_out_table(const struct studio *studio, struct area area);

/* A prompt for a number. */
void tune_prompt_number(struct studio *studio, const char *title, const char *hint, double value,
                        void (*done)(struct studio *, const char *));

#endif
