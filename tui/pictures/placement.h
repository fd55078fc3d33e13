/* Which picture stands where, and what has to be sent to make it so.
 *
 * In each frame the views say which pictures they want; what stood elsewhere goes, what changed is sent again, in
 * pieces no larger than the link takes. Under a picture of pixels ncurses holds no-break spaces: it knows that these
 * cells are not blank, so none of its erase shortcuts crosses them, and it blanks them itself when the picture goes. */
#ifndef ALIGNPROP_TUI_PICTURES_PLACEMENT_H
#define ALIGNPROP_TUI_PICTURES_PLACEMENT_H

#include "tui/pictures/encode.h"
#include "tui/pictures/symbols.h"
#include "tui/screen/area.h"
#include "tui/terminal/link.h"

struct pictures;

enum { PICTURE_SLOTS = 64 };

struct pictures *pictures_new(void); /* NULL when memory is short */
void pictures_free(struct pictures *pictures);

/* The protocol, the cell's size, the palette of symbols and whether the locale writes Unicode. A change loses all. */
void pictures_configure(struct pictures *pictures, enum picture_protocol protocol, struct cell_size cell, int colors,
                        enum symbol_palette palette, bool unicode);
enum picture_protocol pictures_protocol(const struct pictures *pictures);
/* The terminal has lost what was drawn (resize, repaint): everything wanted is sent again. */
void pictures_lost(struct pictures *pictures);

/* Between begin and compose the views ask for pictures. `image` must stay valid until compose returns. The picture is
 * fitted into the rectangle, centred; its cells are written to ncurses' standard screen at once. `room`: bytes that the
 * link takes now. */
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
/* Appends up to `room` bytes of picture pieces that are due; at least one piece when any is. Returns true when more
 * waits. `now` paces by the level's interval. */
bool pictures_compose(struct pictures *pictures, size_t room, int64_t now, struct bytes *after);
/* Milliseconds until a paced picture is due; -1: none waits. */
int pictures_deadline(const struct pictures *pictures, int64_t now);

#endif
