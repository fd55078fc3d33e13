/* The studio's state, shared by its screens. */
#ifndef ALIGNPROP_TUI_STATE_H
#define ALIGNPROP_TUI_STATE_H

#include "tui/client/client.h"
#include "tui/commands.h"
#include "tui/pictures/placement.h"
#include "tui/run/run.h"
#include "tui/screen/field.h"
#include "tui/studio.h"
#include "tui/terminal/multiplexer.h"
#include "tui/terminal/terminal.h"

struct studio;

enum popup_kind { POPUP_NONE, POPUP_HELP, POPUP_PALETTE, POPUP_QUESTION, POPUP_PROMPT };

enum message_level { MESSAGE_NONE, MESSAGE_INFO, MESSAGE_WARNING, MESSAGE_ERROR };

/* An answer of a question, bound to a key. */
struct choice {
    char key; /* a letter; the first choice is also Enter */
    char label[60];
    void (*chosen)(struct studio *studio, int argument);
    int argument;
};

enum { QUESTION_CHOICES = 6, UNDO_DEPTH = 64, FILTER_CAPACITY = 64, LIST_MARKS = 2, TEXT_LIST = 512 };

/* A cursor in a list that may be longer than its place. */
struct list {
    int cursor, top;
};

/* What a pending request is for. */
enum request_purpose {
    REQUEST_NONE,
    REQUEST_CATALOGUE,
    REQUEST_RUNS,
    REQUEST_START,
    REQUEST_PLAN,
    REQUEST_CHECK,
    REQUEST_STEER,
    REQUEST_SAVE_PRESET,
    REQUEST_CHANGE_PRESETS,
    REQUEST_SAMPLE,
    REQUEST_EXPORT
};

struct request {
    int id;
    const struct client *client;
    enum request_purpose purpose;
    char words[120]; /* for messages: "pause", "weight of jpeg" */
};

enum { REQUESTS = 32 };

/* A change that u takes back. */
struct undo {
    enum { UNDO_DRAFT, UNDO_SETTING, UNDO_PRESET_DELETED } kind;
    cJSON *before; /* draft or preset, owned */
    char key[96];  /* setting */
    double value;  /* its earlier value */
};

struct tune_view {
    int pane; /* 0 rewards, 1 pictures, 2 curves */
    bool enlarged, show_base, side_by_side;
    int picture, picture_set; /* overview, held-out, batch by rank, denoising */
    int reward;
    double target[RUN_REWARDS]; /* weight as the slider stands; NaN: as applied */
    int64_t target_since[RUN_REWARDS];
    double muted[RUN_REWARDS]; /* weight before muting; NaN: not muted */
};

struct rewards_view {
    int pane; /* 0 catalogue, 1 chosen */
    struct list catalogue, chosen;
};

struct prompts_view {
    int pane; /* 0 train, 1 held-out */
    struct list lists[2];
};

struct timeline_view {
    int steps[TEXT_LIST], step_count, cursor, prompt;
    bool show_base, enlarged;
    char loaded_path[4300];
    struct image picture, base;
    char base_path[4300];
};

struct thumbnail {
    int step, index;
    struct image image;
    bool missing;
};

struct grid_view {
    int row, column, top, left;
    bool enlarged;
    struct thumbnail *thumbnails; /* cache, count of them */
    int thumbnail_count;
};

struct mixer_adapter {
    char name[128], path[4200], run[4096];
    double scale, muted;
    bool on;
};

enum { MIXER_ADAPTERS = 8 };

struct mixer_view {
    struct mixer_adapter adapters[MIXER_ADAPTERS];
    int count, cursor, prompt;
    struct image picture;
    char prompt_text[512];
    int request;     /* id of the sample in work; 0: none */
    int64_t changed; /* when a slider moved last; 0: the picture is up to date */
    bool loaded;
    char error[300];
};

/* A picture read from a file. */
struct preview_picture {
    char path[4300];
    struct image image;
};

struct studio {
    struct studio_options options;
    struct terminal *terminal;
    struct pictures *pictures;
    struct cell_size cell; /* that pictures are drawn for */
    bool picture_choice_fixed;
    enum picture_protocol picture_choice;
    struct multiplexer multiplexer; /* asked when pictures have to go through it */
    int64_t now, idle_since;
    double wall_clock; /* seconds since 1970; fixed in tests */
    bool quit, dirty, dirty_by_key, mouse;
    bool offered; /* a live run was offered at the start */

    struct client *engine; /* answers catalogue, plans, samples; may be NULL */
    struct client *live;   /* the engine of the run on screen; may be NULL */
    bool live_broken;      /* to be closed outside of its callbacks */
    char live_socket[200];
    struct request requests[REQUESTS];
    cJSON *catalogue, *runs; /* as the engine sent them; may be NULL */
    char engine_error[600];
    struct run *run;
    struct run *other; /* for comparison */

    enum screen_id screen, previous;
    char filter[SCREEN_COUNT][FILTER_CAPACITY];
    bool filtering;
    struct field filter_field;

    enum message_level message_level;
    char message[600];
    struct choice remedies[4];
    int remedy_count;

    enum popup_kind popup;
    struct {
        char title[80], text[700];
        struct choice choices[QUESTION_CHOICES];
        int count, cursor;
    } question;
    struct {
        char title[80], hint[300];
        struct field field;
        void (*done)(struct studio *studio, const char *text);
        void (*line)(struct studio *studio, const char *text); /* each pasted line; NULL: lines are joined */
    } prompt;
    struct {
        struct field field;
        int cursor;
    } palette;
    int help_top;

    cJSON *draft; /* the preset being edited; NULL: none */
    bool draft_changed;
    bool draft_shown;      /* the rewards and prompts screens show the draft, not the run on screen */
    char draft_from[4096]; /* run whose checkpoint a new run of the draft begins with; "": a fresh adapter */
    int draft_from_step;
    char draft_name[128];
    /* What the draft's prompt files hold beyond its own prompts, training and held-out: arrays, or NULL. */
    cJSON *file_prompts[2];
    cJSON *plan;      /* newest answer for the draft */
    int64_t plan_due; /* 0: none */
    int plan_request; /* whose answer is the plan of the draft as it stands; 0: none is under way */
    char plan_error[400];
    bool remedies_due;       /* a plan has come since remedies were offered last */
    bool refused_for_memory; /* a start was refused: the plan's remedies are still to be offered */
    struct undo undo[UNDO_DEPTH];
    int undo_count;

    struct list home[2];
    int home_pane;
    struct preview_picture preview[2];  /* of the home screen */
    struct preview_picture compared[2]; /* of two runs side by side */
    struct list runs_list, edit, log, compare;
    char marked[LIST_MARKS][4096]; /* run paths or preset names; empty: none */
    char export_run[4096];         /* whose adapter is being exported */
    bool marked_runs;
    struct tune_view tune;
    struct rewards_view rewards;
    struct prompts_view prompts;
    struct timeline_view timeline;
    struct grid_view grid;
    struct mixer_view mixer;
    struct area home_lists[2]; /* rows of the two lists of the home screen: a click chooses list and row */
    struct {
        int row, column, columns;
        enum command_id command;
    } footer[32];
    int footer_count;
    struct area list_area; /* of the list under the cursor: a click chooses a row */
    int list_first;
};

/* A screen is its data plus these functions; NULL where there is nothing to do. */
struct screen {
    const char *name, *about; /* about: two or three sentences for the help */
    void (*open)(struct studio *studio);
    void (*draw)(struct studio *studio, struct area body);
    /* True when the screen has dealt with the command. `coarse`: Shift was held. */
    bool (*command)(struct studio *studio, enum command_id command, bool coarse);
    /* A click on a row of list_area, counted from its top; `again`: the row was under the cursor already. */
    void (*click)(struct studio *studio, int row, int column, bool again);
};

extern const struct screen screen_home, screen_edit, screen_tune, screen_rewards, screen_prompts, screen_timeline,
    screen_grid, screen_compare, screen_mixer, screen_runs, screen_log;
const struct screen *screen_of(enum screen_id id);

/* actions.c: what screens ask the studio to do */
void studio_go(struct studio *studio, enum screen_id screen);
void studio_say(struct studio *studio, enum message_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void studio_dismiss(struct studio *studio);
void studio_add_remedy(struct studio *studio, char key, const char *label, void (*chosen)(struct studio *, int),
                       int argument);
void studio_ask(struct studio *studio, const char *title, const char *text);
void studio_add_choice(struct studio *studio, char key, const char *label, void (*chosen)(struct studio *, int),
                       int argument);
void studio_prompt(struct studio *studio, const char *title, const char *hint, const char *text,
                   void (*done)(struct studio *, const char *), void (*line)(struct studio *, const char *));
/* Sends to the run's engine (steering) or to the studio's own; returns the id or 0. */
int studio_request(struct studio *studio, struct client *client, enum request_purpose purpose, const char *type,
                   cJSON *body, const char *words);
void studio_set_value(struct studio *studio, const char *key, double value, double before);
void studio_start(struct studio *studio, const cJSON *preset, const char *preset_name, const char *when);
void studio_resume(struct studio *studio, const char *run_path, const char *when);
void studio_attach(struct studio *studio, const char *socket);
void studio_open_run(struct studio *studio, const cJSON *run);
void studio_undo(struct studio *studio);
void studio_push_undo_draft(struct studio *studio);
void studio_draft_changed(struct studio *studio);
void studio_edit_preset(struct studio *studio, const cJSON *preset);
/* The draft becomes the run's preset with its present settings, for a new run that begins with its newest checkpoint.
 */
void studio_branch(struct studio *studio);
/* True where the rewards and prompts screens change the draft. */
bool studio_is_editing(const struct studio *studio);
void studio_leave(struct studio *studio);
void studio_stop_run(struct studio *studio, int argument);
/* What does not fit in memory: shows the settings of the draft, where what would fit is offered as soon as it is
 * planned. */
void studio_offer_remedies(struct studio *studio);
/* views/edit.c: says that the planned draft does not fit, with what would under a key, once for each plan and not over
 * another message. */
void edit_offer_remedies(struct studio *studio);
void studio_save_draft(struct studio *studio);
/* Of a catalogue: puts the cursor of the home screen where a first run should start. */
void home_choose_first(struct studio *studio, const cJSON *catalogue);
/* Asks for a file name and writes the newest adapter of the run there. */
void studio_export(struct studio *studio, const char *run_path, const char *name);
/* engine.c: what engines send */
struct client_handler studio_handler(struct studio *studio);

/* The client that answers questions about presets: the studio's own engine, else the run's. */
struct client *studio_asker(struct studio *studio);
bool list_move(struct list *list, int count, int page, enum command_id command);
/* Keeps the cursor on the list and inside `rows`; returns the first row to draw. */
int list_window(struct list *list, int count, int rows);
bool filter_matches(const struct studio *studio, enum screen_id screen, const char *text);

#endif
