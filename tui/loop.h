/* The parts of the studio's loop. */
#ifndef ALIGNPROP_TUI_LOOP_H
#define ALIGNPROP_TUI_LOOP_H

#include "tui/state.h"

#include <poll.h>

/* graphics.c: styles and picture protocol follow what the terminal has answered so far. */
void graphics_apply(struct studio *studio);
/* The pane may stand elsewhere now, or tmux's option may be another. */
void graphics_ask_multiplexer_again(struct studio *studio);
/* The multiplexer has answered. */
void graphics_take_multiplexer(struct studio *studio);
/* The next way of showing pictures. */
void graphics_next_protocol(struct studio *studio);

/* steering.c: commands for the run on screen; false when it is none of them. */
bool steering_command(struct studio *studio, enum command_id command);

/* connections.c */
/* Starts or connects the engine that answers questions about presets. */
status connections_open(struct studio *studio);
/* The socket of the live run in this folder, from its engine.json. */
bool connections_socket_of_run(const char *run, char *path, size_t size);
/* What to poll for a client; NULL: nothing. */
struct pollfd connections_watch(const struct client *client);
/* Takes in what the clients have sent, and drops those that are over. */
void connections_serve(struct studio *studio, const struct pollfd *engine, const struct pollfd *live);

#endif
