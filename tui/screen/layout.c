/* Divides the frame, and the tune screen by its size and number of pictures and rewards. */
#include "tui/screen/layout.h"

#include "engine/base/range.h"

struct frame_layout layout_frame(int rows, int columns)
{
    struct frame_layout layout = {.too_small = rows < LEAST_ROWS || columns < LEAST_COLUMNS};
    layout.title = (struct area){0, 0, 2, columns};
    layout.body = (struct area){2, 1, rows - 4, columns - 2};
    layout.message = (struct area){rows - 2, 1, 1, columns - 2};
    layout.footer = (struct area){rows - 1, 1, 1, columns - 2};
    return layout;
}

/* Pictures at the left: square ones, each with one row for its caption. */
static int place_pictures(struct tune_layout *layout, struct area body, bool side_by_side, double square)
{
    enum { LEAST_RIGHT = 42, GAP = 2 };
    int room = body.columns - LEAST_RIGHT - GAP;
    bool four = body.rows >= 30 && room >= 2 * 26 + GAP;
    int across = four ? 2 : 1, down = four ? 2 : 1;
    if (side_by_side && !four) {
        across = 2;
        room = body.columns - GAP;
    }
    int most = (room - GAP * (across - 1)) / across;
    int rows = min_int((body.rows - 1) / down - 1, (int)(most / square));
    if (rows < 1) rows = 1;
    int columns = min_int((int)(rows * square + 0.999), most);
    layout->picture_count = across * down;
    for (int i = 0; i < layout->picture_count; i++) {
        int row = body.row + i / across * (rows + 1), column = body.column + i % across * (columns + GAP);
        layout->pictures[i] = (struct area){row, column, rows, columns};
        layout->captions[i] = (struct area){row + rows, column, 1, columns};
    }
    int width = across * columns + GAP * (across - 1);
    int below = body.row + down * (rows + 1);
    layout->progress = (struct area){below, body.column, below < body.row + body.rows ? 1 : 0, width};
    return width + GAP;
}

struct tune_layout layout_tune(struct area body, int reward_count, bool side_by_side, double across)
{
    struct tune_layout layout = {0};
    int used = place_pictures(&layout, body, side_by_side, across);
    struct area right = {body.row, body.column + used, body.rows, body.columns - used};
    if (right.columns < 24) return layout; /* side by side on a small screen: pictures only */
    int rewards = max_int(reward_count, 1) + 1;
    int drift = right.columns >= 48 ? 5 : 4;
    int left = right.rows - rewards - drift - 2;
    if (left < 4) {
        drift = 0;
        left = right.rows - rewards - 1;
    }
    bool roomy = right.rows >= 34;
    int table = roomy ? min_int(8, left / 4) : 0;
    int small = roomy && reward_count > 1 ? min_int(12, (left - table) / 3) : 0;
    int curves = left - (table > 0 ? table + 1 : 0) - (small > 0 ? small + 1 : 0);
    int row = right.row;
    layout.curves = (struct area){row, right.column, max_int(curves, 3), right.columns};
    row += layout.curves.rows + (small > 0 ? 1 : 0);
    layout.small_curves = (struct area){row, right.column, small, right.columns};
    row += small + 1;
    layout.rewards = (struct area){row, right.column, min_int(rewards, right.row + right.rows - row), right.columns};
    row += rewards + 1;
    layout.drift = (struct area){row, right.column, drift, right.columns};
    row += drift + (table > 0 ? 1 : 0);
    layout.table = (struct area){row, right.column, table, right.columns};
    return layout;
}
