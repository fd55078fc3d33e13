/* Compares the places asked for with what is shown, and sends the pictures that differ, piece by piece. */
#include "tui/pictures/placement.h"

#include "engine/base/memory.h"
#include "tui/pictures/maker.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    bool wanted;                      /* in the present frame */
    struct area place;                /* cells of the picture */
    uint64_t wanted_hash, shown_hash; /* shown 0: nothing stands */
    struct image image;               /* what is wanted, copied when it changes */
    int64_t started;                  /* when the last picture was begun; 0: never */
    unsigned long making;             /* number of what the maker makes for this slot; 0: nothing */
    uint64_t making_hash, failed_hash;
    /* kitty: numbers of what stands, is being sent and is in the making */
    unsigned shown_identity, sending_identity, making_identity;
    struct encoded encoded; /* what is being sent */
    int next_piece;         /* of it; count: done */
    uint64_t sending_hash;
    struct symbol_cell *cells; /* symbols: the picture of cells_hash */
    struct symbol_cell *drawn; /* symbols: what stands; on a slow link it follows row by row */
    bool behind;               /* drawn differs from cells */
    uint64_t cells_hash;
    int cells_rows, cells_columns;
};

struct pictures {
    struct picture_settings settings;
    enum picture_protocol used; /* symbols on a slow link */
    enum link_level level;
    struct maker *maker;
    unsigned long last_number; /* of what was given to the maker */
    struct slot slots[PICTURE_SLOTS];
    int make_turn, send_turn; /* slots that are served first */
    long cell_budget; /* symbols on a slow link: bytes of cells that may change in this frame; negative: no limit */
    unsigned last_identity;
    /* kitty: what goes ahead of the next frame. A transfer in chunks allows no other command in between, so its end
     * comes first. */
    struct bytes endings, removals;
};

struct pictures *pictures_new(void)
{
    struct pictures *pictures = memory_take(1, sizeof *pictures);
    pictures->maker = maker_new();
    if (!pictures->maker) {
        free(pictures);
        return NULL;
    }
    pictures->used = PROTOCOL_SYMBOLS;
    pictures->settings = (struct picture_settings){
        .protocol = PROTOCOL_SYMBOLS, .cell = {10, 20, false}, .colors = 256, .palette = SYMBOLS_256, .unicode = true};
    pictures->level = LINK_FULL;
    return pictures;
}

void pictures_free(struct pictures *pictures)
{
    if (!pictures) return;
    maker_free(pictures->maker);
    for (int i = 0; i < PICTURE_SLOTS; i++) {
        image_free(&pictures->slots[i].image);
        encoded_free(&pictures->slots[i].encoded);
        free(pictures->slots[i].cells);
        free(pictures->slots[i].drawn);
    }
    bytes_free(&pictures->endings);
    bytes_free(&pictures->removals);
    free(pictures);
}

static bool half_sent(const struct slot *slot)
{
    return slot->next_piece > 0 && slot->next_piece < slot->encoded.count;
}

/* Pieces are whole control strings, so only kitty's chunked transfer needs an end: a last chunk, and the picture goes.
 */
static void end_transfer(struct pictures *pictures, struct slot *slot)
{
    if (half_sent(slot) && pictures->used == PROTOCOL_KITTY)
        bytes_format(&pictures->endings, "\033_Gm=0,q=2;\033\\\033_Ga=d,d=I,i=%u,q=2\033\\", slot->sending_identity);
    slot->next_piece = 0;
}

static void stop_sending(struct pictures *pictures, struct slot *slot)
{
    end_transfer(pictures, slot);
    encoded_clear(&slot->encoded);
    slot->sending_hash = 0;
}

/* Nothing of the slot's symbols stands any more. */
static void forget_drawn(struct slot *slot)
{
    int count = slot->drawn ? slot->cells_rows * slot->cells_columns : 0;
    for (int i = 0; i < count; i++) slot->drawn[i] = (struct symbol_cell){L' ', -1, -1};
}

static void remove_shown(struct pictures *pictures, struct slot *slot)
{
    if (slot->shown_hash != 0) forget_drawn(slot);
    slot->making = 0; /* what comes of it belongs to nobody */
    stop_sending(pictures, slot);
    if (slot->shown_hash != 0 && pictures->used == PROTOCOL_KITTY)
        bytes_format(&pictures->removals, "\033_Ga=d,d=I,i=%u,q=2\033\\", slot->shown_identity);
    slot->shown_hash = 0;
}

void pictures_lost(struct pictures *pictures)
{
    for (int i = 0; i < PICTURE_SLOTS; i++) {
        struct slot *slot = &pictures->slots[i];
        /* kitty keeps pictures over a repaint: there they are removed, so that no second one lies below. */
        remove_shown(pictures, slot);
        slot->started = 0;
        slot->failed_hash = 0;
    }
}

static bool same_settings(const struct picture_settings *left, const struct picture_settings *right)
{
    return left->protocol == right->protocol && left->cell.width == right->cell.width &&
           left->cell.height == right->cell.height && left->colors == right->colors &&
           left->images_kept == right->images_kept && left->passthrough == right->passthrough &&
           left->outer_row == right->outer_row && left->outer_column == right->outer_column &&
           left->palette == right->palette && left->unicode == right->unicode;
}

void pictures_configure(struct pictures *pictures, const struct picture_settings *settings)
{
    if (same_settings(&pictures->settings, settings)) return;
    pictures_lost(pictures);
    pictures->settings = *settings;
    for (int i = 0; i < PICTURE_SLOTS; i++) pictures->slots[i].cells_hash = 0;
}

enum picture_protocol pictures_protocol(const struct pictures *pictures)
{
    return pictures->used;
}

void pictures_begin(struct pictures *pictures, enum link_level level, size_t room)
{
    pictures->cell_budget = level == LINK_SYMBOLS ? (long)room : -1;
    enum picture_protocol used = pictures->settings.protocol;
    if (used > PROTOCOL_SYMBOLS && level == LINK_SYMBOLS) used = PROTOCOL_SYMBOLS;
    if (used != pictures->used)
        for (int i = 0; i < PICTURE_SLOTS; i++) remove_shown(pictures, &pictures->slots[i]);
    pictures->used = used;
    pictures->level = level;
    for (int i = 0; i < PICTURE_SLOTS; i++) pictures->slots[i].wanted = false;
}

struct area pictures_fit(const struct pictures *pictures, struct area rectangle, int width, int height)
{
    struct area place = rectangle;
    if (place.rows < 1 || place.columns < 1 || width < 1 || height < 1) return (struct area){0, 0, 0, 0};
    int side = link_limits(pictures->level)->side;
    /* kitty and iTerm2 enlarge by themselves; a sixel covers what it has pixels for. */
    if (pictures->used == PROTOCOL_SIXEL && side > 0) {
        if (place.columns * pictures->settings.cell.width > side) place.columns = side / pictures->settings.cell.width;
        if (place.rows * pictures->settings.cell.height > side) place.rows = side / pictures->settings.cell.height;
    }
    int rows = 0, columns = 0;
    image_fit(width, height, place.rows, place.columns, pictures->settings.cell.width, pictures->settings.cell.height,
              &rows, &columns);
    place.row = rectangle.row + (rectangle.rows - rows) / 2;
    place.column = rectangle.column + (rectangle.columns - columns) / 2;
    place.rows = rows;
    place.columns = columns;
    return place;
}

static bool slot_in_use(const struct slot *slot)
{
    return slot->shown_hash != 0 || slot->sending_hash != 0 || slot->making != 0 || slot->wanted;
}

/* The slot that stands at this place already, else a free one. */
static struct slot *find_slot(struct pictures *pictures, struct area place)
{
    for (int i = 0; i < PICTURE_SLOTS; i++) {
        struct slot *slot = &pictures->slots[i];
        if (slot_in_use(slot) && !slot->wanted && area_same(slot->place, place)) return slot;
    }
    for (int i = 0; i < PICTURE_SLOTS; i++) {
        struct slot *slot = &pictures->slots[i];
        if (!slot_in_use(slot)) {
            slot->started = 0;
            return slot;
        }
    }
    return NULL;
}

static bool cells_fit(const struct slot *slot)
{
    return slot->cells && slot->cells_rows == slot->place.rows && slot->cells_columns == slot->place.columns;
}

/* Takes over cells made for the slot's place; false when memory is short. */
static bool take_cells(struct slot *slot, const struct symbol_cell *cells)
{
    size_t count = (size_t)slot->place.rows * (size_t)slot->place.columns;
    if (!cells_fit(slot)) {
        free(slot->cells);
        free(slot->drawn);
        slot->cells = calloc(count, sizeof *slot->cells);
        slot->drawn = calloc(count, sizeof *slot->drawn);
        if (!slot->cells || !slot->drawn) {
            free(slot->cells);
            slot->cells = NULL;
            return false;
        }
        slot->cells_rows = slot->place.rows;
        slot->cells_columns = slot->place.columns;
        forget_drawn(slot);
    }
    memcpy(slot->cells, cells, count * sizeof *cells);
    slot->cells_hash = slot->making_hash;
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

static void draw_cells(struct pictures *pictures, struct slot *slot)
{
    struct area place = slot->place;
    slot->behind = false;
    if (!cells_fit(slot)) return; /* they are in the making */
    attr_set(A_NORMAL, 0, NULL);
    follow_cells(pictures, slot);
    size_t count = (size_t)place.rows * (size_t)place.columns;
    for (size_t i = 0; i < count; i++) {
        const struct symbol_cell *cell = &slot->drawn[i];
        wchar_t text[2] = {cell->character, 0};
        int pair = pictures->settings.palette == SYMBOLS_MONOCHROME || (cell->foreground < 0 && cell->background < 0)
                       ? 0
                       : alloc_pair(cell->foreground, cell->background);
        if (pair < 0) pair = 0;
        cchar_t character;
        setcchar(&character, text, A_NORMAL, 0, &pair);
        mvadd_wch(place.row + (int)i / place.columns, place.column + (int)i % place.columns, &character);
    }
}

bool pictures_behind(const struct pictures *pictures)
{
    if (pictures->used != PROTOCOL_SYMBOLS) return false;
    for (int i = 0; i < PICTURE_SLOTS; i++)
        if (pictures->slots[i].wanted && pictures->slots[i].behind) return true;
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
    if (pictures->used == PROTOCOL_NONE || !image || !image->pixels) return;
    struct area place = pictures_fit(pictures, rectangle, image->width, image->height);
    /* A picture that reaches the last row scrolls the screen in most terminals. */
    if (place.rows < 1 || place.columns < 1 || place.row < 0 || place.column < 0) return;
    if (place.row + place.rows > LINES - 1 || place.column + place.columns > COLS) return;
    struct slot *slot = find_slot(pictures, place);
    if (!slot) return;
    slot->wanted = true;
    slot->place = place;
    if (slot->wanted_hash != image->hash || !slot->image.pixels)
        if (!image_copy(&slot->image, image)) return;
    slot->wanted_hash = image->hash;
    if (pictures->used == PROTOCOL_SYMBOLS) {
        slot->shown_hash = image->hash;
        draw_cells(pictures, slot);
        return;
    }
    fill_cells(place, L'\u00a0');
}

void pictures_cover(struct pictures *pictures, struct area rectangle)
{
    if (pictures->used == PROTOCOL_SYMBOLS) return; /* cells: the popup is simply drawn over them */
    for (int i = 0; i < PICTURE_SLOTS; i++) {
        struct slot *slot = &pictures->slots[i];
        if (!slot->wanted || !area_overlap(slot->place, rectangle)) continue;
        slot->wanted = false;
        fill_cells(slot->place, L' ');
    }
}

static void add_control(const struct pictures *pictures, struct bytes *bytes, const char *data, size_t length)
{
    if (length == 0) return;
    if (pictures->settings.passthrough)
        bytes_add_passed_through(bytes, data, length);
    else
        bytes_add(bytes, data, length);
}

void pictures_end(struct pictures *pictures, struct bytes *before)
{
    for (int i = 0; i < PICTURE_SLOTS; i++) {
        struct slot *slot = &pictures->slots[i];
        if (!slot->wanted) remove_shown(pictures, slot);
    }
    if (pictures->removals.length > 0) /* what is still wanted begins anew behind them */
        for (int i = 0; i < PICTURE_SLOTS; i++) end_transfer(pictures, &pictures->slots[i]);
    add_control(pictures, before, pictures->endings.data, pictures->endings.length);
    add_control(pictures, before, pictures->removals.data, pictures->removals.length);
    bytes_clear(&pictures->endings);
    bytes_clear(&pictures->removals);
}

int pictures_capacity(const struct pictures *pictures)
{
    int kept = pictures->settings.images_kept;
    return pictures->used == PROTOCOL_SIXEL && kept > 0 && kept < PICTURE_SLOTS ? kept : PICTURE_SLOTS;
}

/* ---- making ---- */

/* A sixel goes in strips, so that what a key brings fits in between. Each strip is a picture of its own to a terminal
 * that remembers few. */
static int strip_rows(const struct pictures *pictures, const struct slot *slot, int colors)
{
    enum { STRIP_BYTES = 4000 };
    /* Measured: 256 colours take 1.3 bytes a pixel, 64 take 0.9, 16 take 0.6. */
    double bytes_a_pixel = colors > 128 ? 1.3 : colors > 32 ? 0.9 : 0.7;
    double row = bytes_a_pixel * slot->place.columns * pictures->settings.cell.width * pictures->settings.cell.height;
    int rows = (int)(STRIP_BYTES / row);
    if (pictures->settings.images_kept > 0) {
        int wanted = 0;
        for (int i = 0; i < PICTURE_SLOTS; i++) wanted += pictures->slots[i].wanted;
        int strips = pictures->settings.images_kept / (wanted > 0 ? wanted : 1);
        int least = strips > 0 ? (slot->place.rows + strips - 1) / strips : slot->place.rows;
        if (rows < least) rows = least;
    }
    return rows < 1 ? 1 : rows;
}

static bool start_making(struct pictures *pictures, struct slot *slot, int64_t now)
{
    const struct picture_settings *settings = &pictures->settings;
    const struct link_level_limits *limits = link_limits(pictures->level);
    bool kitty = pictures->used == PROTOCOL_KITTY;
    int colors = limits->colors < settings->colors ? limits->colors : settings->colors;
    struct making making = {
        .number = ++pictures->last_number,
        .protocol = pictures->used,
        .request =
            {
                .image = &slot->image,
                .row = slot->place.row + (settings->passthrough ? settings->outer_row : 0),
                .column = slot->place.column + (settings->passthrough ? settings->outer_column : 0),
                .rows = slot->place.rows,
                .columns = slot->place.columns,
                .cell_width = settings->cell.width,
                .cell_height = settings->cell.height,
                .largest_side = limits->side,
                .colors = colors,
                .strip_rows = strip_rows(pictures, slot, colors),
                .identity = kitty ? ++pictures->last_identity : 0,
                .replaces = kitty && slot->shown_hash != 0 ? slot->shown_identity : 0,
            },
        .palette = settings->palette,
        .unicode = settings->unicode,
    };
    if (!maker_start(pictures->maker, &making)) return false;
    slot->making = making.number;
    slot->making_hash = slot->wanted_hash;
    slot->making_identity = making.request.identity;
    slot->started = now;
    return true;
}

/* What is wanted stands, is on its way, or cannot be made. */
static bool is_current(const struct pictures *pictures, const struct slot *slot)
{
    if (!slot->wanted || slot->making != 0 || slot->sending_hash != 0) return true;
    if (slot->failed_hash == slot->wanted_hash) return true;
    if (pictures->used == PROTOCOL_SYMBOLS) return cells_fit(slot) && slot->cells_hash == slot->wanted_hash;
    return slot->shown_hash == slot->wanted_hash;
}

static int64_t due_at(const struct pictures *pictures, const struct slot *slot)
{
    return slot->started == 0 ? 0 : slot->started + link_limits(pictures->level)->interval;
}

int pictures_make(struct pictures *pictures, int64_t now)
{
    if (pictures->used == PROTOCOL_NONE || maker_busy(pictures->maker)) return -1;
    int64_t soonest = -1;
    for (int count = 0; count < PICTURE_SLOTS; count++) {
        int index = (pictures->make_turn + count) % PICTURE_SLOTS;
        struct slot *slot = &pictures->slots[index];
        if (is_current(pictures, slot)) continue;
        int64_t left = due_at(pictures, slot) - now;
        if (left <= 0) {
            pictures->make_turn = (index + 1) % PICTURE_SLOTS;
            if (start_making(pictures, slot, now)) return -1; /* the descriptor tells when it is done */
            left = 1000;                                      /* memory or threads are short */
        }
        if (soonest < 0 || left < soonest) soonest = left;
    }
    return (int)soonest;
}

int pictures_descriptor(const struct pictures *pictures)
{
    return maker_descriptor(pictures->maker);
}

bool pictures_collect(struct pictures *pictures)
{
    struct made made;
    if (!maker_take(pictures->maker, &made)) return false;
    struct slot *slot = NULL;
    for (int i = 0; i < PICTURE_SLOTS; i++)
        if (pictures->slots[i].making == made.number) slot = &pictures->slots[i];
    if (!slot) return false; /* nobody wants it any more */
    slot->making = 0;
    if (made.ready && made.cells) made.ready = take_cells(slot, made.cells);
    if (!made.ready) {
        slot->failed_hash = slot->making_hash;
        return false;
    }
    if (made.cells) return true;
    struct encoded spent = slot->encoded;
    slot->encoded = *made.encoded;
    *made.encoded = spent;
    slot->next_piece = 0;
    slot->sending_hash = slot->making_hash;
    slot->sending_identity = slot->making_identity;
    return false;
}

/* ---- sending ---- */

static struct slot *next_sending(struct pictures *pictures)
{
    for (int count = 0; count < PICTURE_SLOTS; count++) {
        int index = (pictures->send_turn + count) % PICTURE_SLOTS;
        struct slot *slot = &pictures->slots[index];
        if (!slot->wanted || slot->sending_hash == 0) continue;
        pictures->send_turn = index; /* one picture is finished before the next is begun */
        return slot;
    }
    return NULL;
}

bool pictures_waiting(const struct pictures *pictures)
{
    for (int i = 0; i < PICTURE_SLOTS; i++)
        if (pictures->slots[i].wanted && pictures->slots[i].sending_hash != 0) return true;
    return false;
}

bool pictures_next_piece(struct pictures *pictures, bool cursor, struct bytes *after)
{
    struct slot *slot = next_sending(pictures);
    if (!slot) return false;
    size_t start = slot->next_piece == 0 ? 0 : slot->encoded.ends[slot->next_piece - 1];
    size_t length = slot->encoded.ends[slot->next_piece] - start;
    const char *data = slot->encoded.bytes.data + start;
    if (cursor &&
        pictures->used != PROTOCOL_KITTY) { /* kitty draws pictures apart from text, in chunks of one command */
        struct bytes hidden = {0};
        bytes_add_text(&hidden, "\033[?25l");
        bytes_add(&hidden, data, length);
        bytes_add_text(&hidden, "\033[?25h");
        add_control(pictures, after, hidden.data, hidden.length);
        bytes_free(&hidden);
    } else {
        add_control(pictures, after, data, length);
    }
    if (++slot->next_piece < slot->encoded.count) return true;
    slot->shown_hash = slot->sending_hash;
    slot->shown_identity = slot->sending_identity;
    slot->sending_hash = 0;
    encoded_clear(&slot->encoded);
    slot->next_piece = 0;
    pictures->send_turn = (pictures->send_turn + 1) % PICTURE_SLOTS;
    return true;
}
