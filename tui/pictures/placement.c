#include "tui/pictures/placement.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    bool wanted;                      /* in the present frame */
    struct area place;                /* cells of the picture */
    uint64_t wanted_hash, shown_hash; /* shown 0: nothing stands */
    struct image image;               /* what is wanted, copied when it changes */
    int64_t started;                  /* when the last picture was begun; 0: never */
    unsigned identity;                /* kitty: number of what stands or is being sent */
    struct encoded encoded;           /* what is being sent */
    int next_piece;                   /* of it; count: done */
    uint64_t sending_hash;
    struct symbol_cell *cells; /* symbols: cached for cells_hash */
    struct symbol_cell *drawn; /* symbols: what stands; on a slow link it follows row by row */
    bool behind;               /* drawn differs from cells */
    uint64_t cells_hash;
    int cells_rows, cells_columns;
};

struct pictures {
    enum picture_protocol protocol, used; /* used: symbols on a slow link */
    struct cell_size cell;
    int colors;
    enum symbol_palette palette;
    bool unicode;
    enum link_level level;
    struct slot slots[PICTURE_SLOTS];
    int turn;         /* slot that is served first */
    long cell_budget; /* symbols on a slow link: bytes of cells that may change in this frame; negative: no limit */
    unsigned last_identity;
    struct bytes removals; /* kitty: what has to go before the next frame */
};

struct pictures *pictures_new(void)
{
    struct pictures *pictures = calloc(1, sizeof *pictures);
    if (pictures == NULL) return NULL;
    pictures->protocol = pictures->used = PROTOCOL_SYMBOLS;
    pictures->cell = (struct cell_size){10, 20, false};
    pictures->colors = 256;
    pictures->palette = SYMBOLS_256;
    pictures->unicode = true;
    pictures->level = LINK_FULL;
    return pictures;
}

void pictures_free(struct pictures *pictures)
{
    if (pictures == NULL) return;
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        image_free(&pictures->slots[index].image);
        encoded_free(&pictures->slots[index].encoded);
        free(pictures->slots[index].cells);
        free(pictures->slots[index].drawn);
    }
    bytes_free(&pictures->removals);
    free(pictures);
}

/* What is half sent is ended in a way that leaves nothing behind; pieces are whole control strings, so only kitty's
 * chunked transfer needs a last chunk. */
static void stop_sending(struct pictures *pictures, struct slot *slot)
{
    bool begun = slot->next_piece > 0 && slot->next_piece < slot->encoded.count;
    if (begun && pictures->used == PROTOCOL_KITTY)
        bytes_format(&pictures->removals, "\033_Gm=0,q=2;\033\\\033_Ga=d,d=I,i=%u,q=2\033\\", slot->identity);
    encoded_clear(&slot->encoded);
    slot->next_piece = 0;
    slot->sending_hash = 0;
}

static void remove_shown(struct pictures *pictures, struct slot *slot)
{
    stop_sending(pictures, slot);
    if (slot->shown_hash != 0 && pictures->used == PROTOCOL_KITTY)
        bytes_format(&pictures->removals, "\033_Ga=d,d=I,i=%u,q=2\033\\", slot->identity);
    slot->shown_hash = 0;
}

void pictures_lost(struct pictures *pictures)
{
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        struct slot *slot = &pictures->slots[index];
        /* kitty keeps pictures over a repaint: there they are removed, so that no second one lies below. */
        remove_shown(pictures, slot);
        slot->started = 0;
    }
}

void pictures_configure(struct pictures *pictures, enum picture_protocol protocol, struct cell_size cell, int colors,
                        enum symbol_palette palette, bool unicode)
{
    bool same = pictures->protocol == protocol && pictures->cell.width == cell.width &&
                pictures->cell.height == cell.height && pictures->colors == colors && pictures->palette == palette &&
                pictures->unicode == unicode;
    if (same) return;
    pictures_lost(pictures);
    pictures->protocol = protocol;
    pictures->cell = cell;
    pictures->colors = colors;
    pictures->palette = palette;
    pictures->unicode = unicode;
    for (int index = 0; index < PICTURE_SLOTS; index++) pictures->slots[index].cells_hash = 0;
}

enum picture_protocol pictures_protocol(const struct pictures *pictures)
{
    return pictures->used;
}

void pictures_begin(struct pictures *pictures, enum link_level level, size_t room)
{
    pictures->cell_budget = level == LINK_SYMBOLS ? (long)room : -1;
    enum picture_protocol used = pictures->protocol;
    if (used > PROTOCOL_SYMBOLS && level == LINK_SYMBOLS) used = PROTOCOL_SYMBOLS;
    if (used != pictures->used || level != pictures->level) {
        if (used != pictures->used)
            for (int index = 0; index < PICTURE_SLOTS; index++) remove_shown(pictures, &pictures->slots[index]);
        pictures->used = used;
        pictures->level = level;
    }
    for (int index = 0; index < PICTURE_SLOTS; index++) pictures->slots[index].wanted = false;
}

struct area pictures_fit(const struct pictures *pictures, struct area rectangle, int width, int height)
{
    struct area place = rectangle;
    if (place.rows < 1 || place.columns < 1 || width < 1 || height < 1) return (struct area){0, 0, 0, 0};
    int side = link_limits(pictures->level)->side;
    /* kitty and iTerm2 enlarge by themselves; a sixel covers what it has pixels for. */
    if (pictures->used == PROTOCOL_SIXEL && side > 0) {
        if (place.columns * pictures->cell.width > side) place.columns = side / pictures->cell.width;
        if (place.rows * pictures->cell.height > side) place.rows = side / pictures->cell.height;
    }
    int rows = 0, columns = 0;
    image_fit(width, height, place.rows, place.columns, pictures->cell.width, pictures->cell.height, &rows, &columns);
    place.row = rectangle.row + (rectangle.rows - rows) / 2;
    place.column = rectangle.column + (rectangle.columns - columns) / 2;
    place.rows = rows;
    place.columns = columns;
    return place;
}

/* The slot that stands at this place already, else a free one. */
static struct slot *find_slot(struct pictures *pictures, struct area place)
{
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        struct slot *slot = &pictures->slots[index];
        bool used = slot->shown_hash != 0 || slot->sending_hash != 0 || slot->wanted;
        if (used && !slot->wanted && area_same(slot->place, place)) return slot;
    }
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        struct slot *slot = &pictures->slots[index];
        if (slot->shown_hash == 0 && slot->sending_hash == 0 && !slot->wanted) {
            slot->started = 0;
            return slot;
        }
    }
    return NULL;
}

/* Makes `cells` those of the image at this size; false when memory is short. */
static bool render_cells(struct pictures *pictures, struct slot *slot, const struct image *image)
{
    struct area place = slot->place;
    size_t count = (size_t)place.rows * (size_t)place.columns;
    bool same_size = slot->cells != NULL && slot->cells_rows == place.rows && slot->cells_columns == place.columns;
    if (same_size && slot->cells_hash == image->hash) return true;
    if (!same_size) {
        free(slot->cells);
        free(slot->drawn);
        slot->cells = calloc(count, sizeof *slot->cells);
        slot->drawn = calloc(count, sizeof *slot->drawn);
        slot->cells_hash = 0;
        if (slot->cells == NULL || slot->drawn == NULL) return false;
        for (size_t index = 0; index < count; index++) slot->drawn[index] = (struct symbol_cell){L' ', -1, -1};
        slot->cells_rows = place.rows;
        slot->cells_columns = place.columns;
    }
    if (!symbols_render(image, place.rows, place.columns, pictures->cell.width, pictures->cell.height,
                        pictures->palette, pictures->unicode, slot->cells))
        return false;
    slot->cells_hash = image->hash;
    return true;
}

/* Takes over the rows that differ, as many as the frame's budget has bytes for. */
static void follow_cells(struct pictures *pictures, struct slot *slot)
{
    enum { BYTES_A_CELL = 20 };
    slot->behind = false;
    for (int row = 0; row < slot->cells_rows; row++) {
        struct symbol_cell *from = slot->cells + row * slot->cells_columns,
                           *to = slot->drawn + row * slot->cells_columns;
        long differing = 0;
        for (int column = 0; column < slot->cells_columns; column++)
            differing += from[column].character != to[column].character ||
                         from[column].foreground != to[column].foreground ||
                         from[column].background != to[column].background;
        if (differing == 0) continue;
        if (pictures->cell_budget == 0) {
            slot->behind = true;
            return;
        }
        if (pictures->cell_budget > 0) {
            long left = pictures->cell_budget - differing * BYTES_A_CELL;
            pictures->cell_budget = left > 0 ? left : 0;
        }
        memcpy(to, from, (size_t)slot->cells_columns * sizeof *to);
    }
}

static void draw_cells(struct pictures *pictures, struct slot *slot, const struct image *image)
{
    struct area place = slot->place;
    if (!render_cells(pictures, slot, image)) return;
    attr_set(A_NORMAL, 0, NULL);
    follow_cells(pictures, slot);
    size_t count = (size_t)place.rows * (size_t)place.columns;
    for (size_t index = 0; index < count; index++) {
        const struct symbol_cell *cell = &slot->drawn[index];
        wchar_t text[2] = {cell->character, 0};
        int pair = pictures->palette == SYMBOLS_MONOCHROME || (cell->foreground < 0 && cell->background < 0)
                       ? 0
                       : alloc_pair(cell->foreground, cell->background);
        if (pair < 0) pair = 0;
        cchar_t character;
        setcchar(&character, text, A_NORMAL, 0, &pair);
        mvadd_wch(place.row + (int)index / place.columns, place.column + (int)index % place.columns, &character);
    }
}

bool pictures_behind(const struct pictures *pictures)
{
    if (pictures->used != PROTOCOL_SYMBOLS) return false;
    for (int index = 0; index < PICTURE_SLOTS; index++)
        if (pictures->slots[index].wanted && pictures->slots[index].behind) return true;
    return false;
}

static void fill_cells(struct area place, wchar_t character)
{
    attr_set(A_NORMAL, 0, NULL); /* cells take the style in use where they have none of their own */
    cchar_t cell;
    wchar_t text[2] = {character, 0};
    setcchar(&cell, text, A_NORMAL, 0, NULL);
    for (int row = 0; row < place.rows; row++)
        for (int column = 0; column < place.columns; column++) mvadd_wch(place.row + row, place.column + column, &cell);
}

void pictures_want(struct pictures *pictures, struct area rectangle, const struct image *image)
{
    if (pictures->used == PROTOCOL_NONE || image == NULL || image->pixels == NULL) return;
    struct area place = pictures_fit(pictures, rectangle, image->width, image->height);
    /* A picture that reaches the last row scrolls the screen in most terminals. */
    if (place.rows < 1 || place.columns < 1 || place.row < 0 || place.column < 0) return;
    if (place.row + place.rows > LINES - 1 || place.column + place.columns > COLS) return;
    struct slot *slot = find_slot(pictures, place);
    if (slot == NULL) return;
    slot->wanted = true;
    slot->place = place;
    if (pictures->used == PROTOCOL_SYMBOLS) {
        slot->shown_hash = slot->wanted_hash = image->hash;
        draw_cells(pictures, slot, image);
        return;
    }
    fill_cells(place, L'\u00a0');
    if (slot->wanted_hash != image->hash || slot->image.pixels == NULL)
        if (!image_set(&slot->image, image->width, image->height, image->pixels)) return;
    slot->wanted_hash = image->hash;
}

void pictures_cover(struct pictures *pictures, struct area rectangle)
{
    if (pictures->used == PROTOCOL_SYMBOLS) return; /* cells: the popup is simply drawn over them */
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        struct slot *slot = &pictures->slots[index];
        if (!slot->wanted || !area_overlap(slot->place, rectangle)) continue;
        slot->wanted = false;
        fill_cells(slot->place, L' ');
    }
}

void pictures_end(struct pictures *pictures, struct bytes *before)
{
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        struct slot *slot = &pictures->slots[index];
        if (!slot->wanted) remove_shown(pictures, slot);
    }
    bytes_add(before, pictures->removals.data, pictures->removals.length);
    bytes_clear(&pictures->removals);
}

static int64_t due_at(const struct pictures *pictures, const struct slot *slot)
{
    return slot->started == 0 ? 0 : slot->started + link_limits(pictures->level)->interval;
}

/* Cell rows of one piece: small where the link is slow, but few in all, because xterm keeps no more than 16 pictures on
 * its screen, and each piece is one. */
static const int strip_rows[LINK_LEVEL_COUNT] = {[LINK_SMALL] = 5, [LINK_MEDIUM] = 8, [LINK_FULL] = 16};

int pictures_capacity(const struct pictures *pictures)
{
    return pictures->used == PROTOCOL_SIXEL ? 14 : PICTURE_SLOTS;
}

static bool begin_sending(struct pictures *pictures, struct slot *slot, int64_t now)
{
    const struct link_level_limits *limits = link_limits(pictures->level);
    bool kitty = pictures->used == PROTOCOL_KITTY;
    unsigned identity = kitty ? ++pictures->last_identity : 0;
    struct encode_request request = {
        .image = &slot->image,
        .row = slot->place.row,
        .column = slot->place.column,
        .rows = slot->place.rows,
        .columns = slot->place.columns,
        .cell_width = pictures->cell.width,
        .cell_height = pictures->cell.height,
        .largest_side = limits->side,
        .colors = limits->colors < pictures->colors ? limits->colors : pictures->colors,
        .strip_rows = strip_rows[pictures->level],
        .identity = identity,
        .replaces = kitty && slot->shown_hash != 0 ? slot->identity : 0,
    };
    encoded_clear(&slot->encoded);
    slot->next_piece = 0;
    if (!encode_picture(pictures->used, &request, &slot->encoded)) {
        encoded_clear(&slot->encoded);
        return false;
    }
    slot->identity = identity;
    slot->sending_hash = slot->wanted_hash;
    slot->started = now;
    return true;
}

/* Sends pieces of one slot; returns false when it has nothing more to send now. */
static bool send_pieces(struct slot *slot, size_t *room, bool *sent_any, struct bytes *after)
{
    while (slot->next_piece < slot->encoded.count) {
        size_t start = slot->next_piece == 0 ? 0 : slot->encoded.ends[slot->next_piece - 1];
        size_t length = slot->encoded.ends[slot->next_piece] - start;
        if (length > *room && *sent_any) return true;
        bytes_add(after, slot->encoded.bytes.data + start, length);
        *sent_any = true;
        *room = length < *room ? *room - length : 0;
        slot->next_piece++;
        if (*room == 0) break;
    }
    if (slot->next_piece < slot->encoded.count) return true;
    slot->shown_hash = slot->sending_hash;
    slot->sending_hash = 0;
    encoded_clear(&slot->encoded);
    slot->next_piece = 0;
    return false;
}

bool pictures_compose(struct pictures *pictures, size_t room, int64_t now, struct bytes *after)
{
    if (pictures->used <= PROTOCOL_SYMBOLS) return false;
    bool more = false, sent_any = false;
    int start = pictures->turn;
    for (int count = 0; count < PICTURE_SLOTS; count++) {
        int index = (start + count) % PICTURE_SLOTS;
        struct slot *slot = &pictures->slots[index];
        if (!slot->wanted) continue;
        bool sending = slot->sending_hash != 0;
        if (!sending && slot->shown_hash == slot->wanted_hash) continue;
        if (room == 0) {
            more = true;
            break;
        }
        if (!sending) {
            if (now < due_at(pictures, slot)) continue;
            if (!begin_sending(pictures, slot, now)) continue;
        }
        pictures->turn = index;
        if (send_pieces(slot, &room, &sent_any, after)) {
            more = true;
            break;
        }
        pictures->turn = (index + 1) % PICTURE_SLOTS;
        if (slot->shown_hash != slot->wanted_hash) more = true;
    }
    return more;
}

int pictures_deadline(const struct pictures *pictures, int64_t now)
{
    if (pictures->used <= PROTOCOL_SYMBOLS) return -1;
    int64_t soonest = -1;
    for (int index = 0; index < PICTURE_SLOTS; index++) {
        const struct slot *slot = &pictures->slots[index];
        if (!slot->wanted || slot->shown_hash == slot->wanted_hash) continue;
        int64_t left = due_at(pictures, slot) - now;
        if (left < 0) left = 0;
        if (soonest < 0 || left < soonest) soonest = left;
    }
    return (int)soonest;
}
