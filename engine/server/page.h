/* Long lists go in pages: a request's `from` and `count` choose rows, the answer's `next` says where the next page
 * begins. A page also ends where a message would become too long. */
#ifndef ALIGNPROP_SERVER_PAGE_H
#define ALIGNPROP_SERVER_PAGE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct page {
    int from;    /* index of the first row */
    int count;   /* at most so many rows */
    cJSON *rows; /* borrowed: the array they go to */
    size_t bytes;
};

/* `from` and `count` of a request; without them everything from the first row on. `rows` is an array of the answer. */
struct page page_of_request(const cJSON *request, cJSON *rows);

/* Takes the row over. False when the page is full: the row is deleted then. */
bool page_add(struct page *page, cJSON *row);

/* Writes `from`, `total` (the list's length) and `next` into the answer: `end`, one past the last row looked at, or
 * null when that was the list's last. */
void page_finish(const struct page *page, int end, int total, cJSON *answer);

#endif
