/* The studio's state, shared by its screens. */
#ifndef ALIGNPROP_TUI_STATE_H
#define ALIGNPROP_TUI_STATE_H

#include "engine/protocol/client.h"
#include "tui/commands.h"
#include "tui/pages.h"
#include "tui/pictures/placement.h"
#include "tui/requests.h"
#include "tui/run/run.h"
#include "tui/screen/field.h"
#include "tui/screen/list.h"
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

enum { QUESTION_CHOICES = 6, UNDO_DEPTH = 64, LIST_MARKS = 2, TEXT_LIST = 512, LIST_ROWS = 8192 };

/* An area of the present screen that takes clicks: a list with the column of its scroll bar, or a whole pane. */
struct click_target {
    struct area area;
    int pane;
    struct list *list;   /* NULL: a pane */
    int height, columns; /* of a list's items: rows, and columns without the scroll bar */
};

struct click {
    int pane, row, column; /* row and column in the target's area */
    int columns;           /* of that area, a scroll bar not counted */
    int item;              /* of a list: the place of the item in this row, which may be past the last */
    bool drag;             /* the mouse moves with its button held */
};

/* Text that does something when it is clicked: a command, or where that is COMMAND_NONE, a key. */
struct button {
    int row, column, columns;
    enum command_id command;
    char key;
};

enum { BUTTONS = 48, CLICK_TARGETS = 8 };

/* Where a draft comes from. */
struct draft_origin {
    char name[128]; /* of the preset */
    char run[4096]; /* whose checkpoint a new run of the draft begins with; "": a fresh adapter */
    int step;
};

/* A change that u takes back. */
struct undo {
    enum { UNDO_DRAFT, UNDO_SETTING, UNDO_PRESET_DELETED } kind;
    cJSON *before;              /* draft or preset, owned */
    struct draft_origin origin; /* of the draft */
    char key[96];               /* setting */
    double value;               /* its earlier value */
};

/* What is marked for comparison. */
struct marks {
    bool runs;                    /* the names are paths of runs, else names of presets */
    char names[LIST_MARKS][4096]; /* "": none */
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
    bool typed;   /* a key was pressed: nothing moves or pops up under the hands any more */

    struct client *engine; /* answers catalogue, plans, samples; may be NULL */
    struct client *live;   /* the engine of the run on screen; may be NULL */
    struct client *served; /* whose messages are being taken: it is closed after them */
    char live_socket[200];
    struct pending_requests requests;
    cJSON *catalogue, *runs; /* as the engine sent them; may be NULL */
    struct pages catalogue_pages, runs_pages;
    char engine_error[600];
    int64_t runs_asked; /* when, in milliseconds */
    struct run *run;

    enum screen_id screen, previous;
    char filter[SCREEN_COUNT][FIELD_CAPACITY];
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
        int count;
        struct list list;
    } question;
    struct {
        char title[80], hint[300];
        struct field field;
        void (*done)(struct studio *studio, const char *text);
        void (*line)(struct studio *studio, const char *text); /* each pasted line; NULL: lines are joined */
        char offered[FIELD_CAPACITY];                          /* the text that the field opened with */
    } prompt;
    /* What was typed into a prompt that Esc has closed: the same prompt opens with it again. */
    struct {
        char title[80], offered[FIELD_CAPACITY], typed[FIELD_CAPACITY];
    } unfinished;
    struct {
        struct field field;
        struct list list;
    } palette;
    struct list help;

    cJSON *draft; /* the preset being edited; NULL: none */
    bool draft_changed;
    bool draft_shown; /* the rewards and prompts screens show the draft, not the run on screen */
    struct draft_origin origin;
    /* The run's preset with its settings as they are now, shown by the settings screen in place of the draft; NULL: the
     * draft is shown. */
    cJSON *run_settings;
    cJSON *start_asked; /* the request that started or resumed a run last, to be made again in another way */
    /* What the draft's prompt files hold beyond its own prompts, training and held-out: arrays, or NULL. */
    cJSON *file_prompts[2];
    cJSON *unticked[2]; /* prompts that the draft once had and that were left out: arrays, or NULL */
    cJSON *plan;        /* newest answer for the draft */
    int64_t plan_due;   /* 0: none */
    int plan_request;   /* whose answer is the plan of the draft as it stands; 0: none is under way */
    char plan_error[400];
    bool remedies_due;       /* a plan has come since remedies were offered last */
    bool refused_for_memory; /* a start was refused: the plan's remedies are still to be offered */
    struct undo undo[UNDO_DEPTH];
    int undo_count;

    void *views[SCREEN_COUNT]; /* each screen's own state, `view_bytes` of it, zeroed at the start */
    char export_run[4096];     /* whose adapter is being exported */
    struct marks marks;
    struct button buttons[BUTTONS];
    int button_count;
    struct click_target targets[CLICK_TARGETS], pressed; /* pressed: where the mouse button went down */
    bool pressed_bar;                                    /* on the list's scroll bar */
    int target_count;
};

/* A screen is its state, which stands in its own file, plus these functions; NULL where there is nothing to do. */
struct screen {
    const char *name, *about;              /* about: two or three sentences for the help */
    const struct screen_command *commands; /* its own; they come before those of every screen */
    int command_count;
    size_t view_bytes; /* of its state, studio->views[ID] */
    void (*open)(struct studio *studio);
    void (*draw)(struct studio *studio, struct area body);
    /* True when the screen has dealt with the command. `coarse`: Shift was held. */
    bool (*command)(struct studio *studio, enum command_id command, bool coarse);
    /* Whether the command does anything now; NULL: studio_offers says it. */
    bool (*offers)(const struct studio *studio, enum command_id command);
    /* A click into one of the areas that the screen had named by studio_take_clicks. */
    void (*click)(struct studio *studio, const struct click *click);

    /* The following are called whichever screen is shown. */
    /* Another run is on screen, and nothing is known of it yet. */
    void (*reset)(struct studio *studio);
    /* What waits for a pause of the hands. Milliseconds until there is something to do, -1 when nothing is due. */
    int (*tick)(struct studio *studio);
    /* The first catalogue has come. */
    void (*begin)(struct studio *studio, const cJSON *catalogue);
    /* A message of the run's engine, or one that ends a request. */
    void (*message)(struct studio *studio, const char *type, const cJSON *message);
    /* A picture that answers a request. */
    void (*picture)(struct studio *studio, const struct client_message *picture);
    /* The draft has been planned anew. */
    void (*planned)(struct studio *studio);
    /* u takes a setting of the run back: what the hands had set counts no more. */
    void (*undone)(struct studio *studio);
    /* Frees what the state holds. */
    void (*free)(struct studio *studio);
};

const struct screen *screen_of(enum screen_id id);
/* footer.c: whether a command that concerns the run on screen does anything now; true of all others. */
bool studio_offers(const struct studio *studio, enum command_id command);

/* studio.c: as if a key had been pressed on the present screen */
void studio_command(struct studio *studio, enum command_id command, bool coarse);
void studio_key(struct studio *studio, uint32_t key);
/* mouse.c */
void studio_mouse(struct studio *studio, const struct input_event *event);
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
                   cJSON *body, const char *action);
void studio_set_value(struct studio *studio, const char *key, double value, double before);
void studio_start(struct studio *studio, const cJSON *preset, const char *preset_name, const char *when);
void studio_resume(struct studio *studio, const char *run_path, const char *when);
void studio_attach(struct studio *studio, const char *socket);
void studio_open_run(struct studio *studio, const cJSON *run);
/* Makes the start or resume that was refused because the device is busy again: at once, or when the device is free. */
void studio_start_anyway(struct studio *studio, int now);
/* Asks which runs there are, alive and finished. */
void studio_list_runs(struct studio *studio);
void studio_leave(struct studio *studio);
void studio_stop_run(struct studio *studio, int argument);
/* marks.c: marks it, or takes its mark away; `runs`: `name` is the path of a run, else a preset's name */
void studio_mark(struct studio *studio, bool runs, const char *name);
bool studio_is_marked(const struct studio *studio, bool runs, const char *name);
bool studio_has_two_marks(const struct studio *studio);
/* draft.c: the preset being edited */
/* A place for the next change that u takes back, zeroed; the oldest makes room. */
struct undo *studio_push_undo(struct studio *studio);
void studio_push_undo_draft(struct studio *studio);
void studio_undo(struct studio *studio);
void studio_draft_changed(struct studio *studio);
/* A copy of the preset becomes the draft; a draft with changes that were not saved is what u brings back. */
void studio_edit_preset(struct studio *studio, const cJSON *preset);
/* Goes to the settings of the draft; nothing where there is none. */
void studio_show_draft(struct studio *studio);
/* True when the draft is that preset with changes that were not saved: it is shown again as it is. */
bool studio_return_to_draft(struct studio *studio, const char *name);
/* The run's preset becomes the draft with the settings as they are now, for a new run that begins with its newest
 * checkpoint. */
void studio_branch(struct studio *studio);
/* The preset as started, with what was changed while the run went on; the caller deletes it. */
cJSON *studio_present_preset(const struct run *run);
/* True where the rewards and prompts screens change the draft. */
bool studio_is_editing(const struct studio *studio);
/* What does not fit in memory: shows the settings of the draft, where what would fit is offered as soon as it is
 * planned. */
void studio_offer_remedies(struct studio *studio);
void studio_save_draft(struct studio *studio);
/* Goes to the settings of the run on screen, of which only few may change while it is on. */
void studio_show_run_settings(struct studio *studio);
/* Saves the settings of the run on screen, as they are now, as a preset. */
void studio_save_run(struct studio *studio);
/* Asks for a file name and writes the newest adapter of the run there. */
void studio_export(struct studio *studio, const char *run_path, const char *name);
/* engine.c: who the studio is to engines. */
extern const struct client_options studio_as_client;
/* Takes in what the engine at *client has sent. False: the connection is over. It may have been closed meanwhile,
 * *client then being NULL or another. */
bool studio_serve_client(struct studio *studio, struct client **client);

/* The client that answers questions about presets: the studio's own engine, else the run's. */
struct client *studio_asker(struct studio *studio);
/* Closes the connection, forgets what it has not answered, and sets *client to NULL; NULL is ignored. */
void studio_close_client(struct studio *studio, struct client **client);
/* While a screen draws it names where clicks go (mouse.c); what is named first lies on top. */
void studio_take_clicks(struct studio *studio, struct area area, int pane);
/* As list_show, for a list that takes clicks and the mouse wheel. */
struct list_rows studio_show_list(struct studio *studio, struct list *list, const struct list_items *items,
                                  struct area area, int pane, bool focused);

#endif
