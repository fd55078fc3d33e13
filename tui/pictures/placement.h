/* Which picture stands where, and what has to be sent to make it so.
 *
 * In each frame the views say which pictures they want; what stood elsewhere goes, what changed is made ready by the
 * maker's thread and sent again, in pieces small enough that a key's answer fits in between. Under a picture of pixels
 * ncurses holds no-break spaces: it knows that these cells are not blank, so none of its erase shortcuts crosses them,
 * and it blanks them itself when the picture goes. */
#ifndef ALIGNPROP_TUI_PICTURES_PLACEMENT_H
#define ALIGNPROP_TUI_PICTURES_PLACEMENT_H

#include "tui/pictures/encode.h"
#include "tui/pictures/symbols.h"
#include "tui/screen/area.h"
#include "tui/terminal/link.h"

struct pictures;

enum { PICTURE_SLOTS = 64 };

/* How pictures are to be drawn. */
struct picture_settings {
    enum picture_protocol protocol;
    struct cell_size cell;
    int colors;                  /* of a sixel's palette */
    int images_kept;             /* control strings with a picture that the terminal remembers at once; 0: any number */
    bool passthrough;            /* tmux stands between and hands wrapped control strings on */
    int outer_row, outer_column; /* of the pane's first cell on the terminal's screen, with passthrough */
    enum symbol_palette palette;
    bool unicode; /* the locale writes it */
};

struct pictures *pictures_new(void); /* NULL when the system has no descriptor left */
void pictures_free(struct pictures *pictures);

/* A change loses all that was drawn. */
void pictures_configure(struct pictures *pictures, const struct picture_settings *settings);
enum picture_protocol pictures_protocol(const struct pictures *pictures);
/* The terminal has lost what was drawn (resize, repaint): everything wanted is sent again. */
void pictures_lost(struct pictures *pictures);

/* Between begin and end the views ask for pictures. `image` must stay valid until pictures_end returns. The picture is
 * fitted into the rectangle, centred; its cells are written to ncurses' standard screen at once. `room`: bytes of
 * symbols that the link takes now. */
void pictures_begin(struct pictures *pictures, enum link_level level, size_t room);
/* Symbols on a slow link come row by row: true while another frame is needed to finish them. */
bool pictures_behind(const struct pictures *pictures);
void pictures_want(struct pictures *pictures, struct area rectangle, const struct image *image);
/* A popup covers these cells: pictures that touch them stay away in this frame. Call after all pictures_want. */
void pictures_cover(struct pictures *pictures, struct area rectangle);
/* The cells that a picture of this shape takes in the rectangle at the present level. */
struct area pictures_fit(const struct pictures *pictures, struct area rectangle, int width, int height);

/* How many small pictures the terminal keeps at once. */
int pictures_capacity(const struct pictures *pictures);

/* Ends the frame: appends to `before` what has to be sent ahead of ncurses' changes (kitty's removals). */
void pictures_end(struct pictures *pictures, struct bytes *before);

/* Readable when pictures_collect has something to take. */
int pictures_descriptor(const struct pictures *pictures);
/* Takes what the maker has made. True when symbols came, which another frame has to draw. */
bool pictures_collect(struct pictures *pictures);
/* Has the next picture that is due made ready, paced by the level's interval. Milliseconds until it should be called
 * again; -1: not before something changes. */
int pictures_make(struct pictures *pictures, int64_t now);
/* A piece of a picture waits to be sent. */
bool pictures_waiting(const struct pictures *pictures);
/* Appends the next piece, a whole control string; false when none waits. A cursor that is shown (`cursor`) is hidden
 * while it goes through the picture: some terminals restore the text of a cell that it leaves. */
bool pictures_next_piece(struct pictures *pictures, bool cursor, struct bytes *after);

#endif
