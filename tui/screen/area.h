/* A rectangle of character cells. */
#ifndef ALIGNPROP_TUI_SCREEN_AREA_H
#define ALIGNPROP_TUI_SCREEN_AREA_H

#include <stdbool.h>

struct area {
    int row, column, rows, columns;
};

static inline bool area_contains(struct area area, int row, int column)
{
    return row >= area.row && row < area.row + area.rows && column >= area.column &&
           column < area.column + area.columns;
}

static inline bool area_overlap(struct area left, struct area right)
{
    return left.row < right.row + right.rows && right.row < left.row + left.rows &&
           left.column < right.column + right.columns && right.column < left.column + left.columns;
}

static inline bool area_same(struct area left, struct area right)
{
    return left.row == right.row && left.column == right.column && left.rows == right.rows &&
           left.columns == right.columns;
}

static inline bool area_empty(struct area area)
{
    return area.rows <= 0 || area.columns <= 0;
}

#endif
