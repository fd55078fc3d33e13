/* Pages of long lists. */
#include "engine/server/page.h"

#include "engine/protocol/message.h"

#include <limits.h>

/* Half of the longest message: the other half is for what else an answer holds. */
enum { PAGE_BYTES = 512 << 10 };

struct page page_of_request(const cJSON *request, cJSON *rows)
{
    return (struct page){.from = (int)json_get_integer_in(request, "from", 0, INT_MAX, 0),
                         .count = (int)json_get_integer_in(request, "count", 1, INT_MAX, INT_MAX),
                         .rows = rows};
}

bool page_add(struct page *page, cJSON *row)
{
    size_t bytes = message_bytes(row);
    if (cJSON_GetArraySize(page->rows) >= page->count || bytes > PAGE_BYTES - page->bytes) {
        cJSON_Delete(row);
        return false;
    }
    page->bytes += bytes;
    cJSON_AddItemToArray(page->rows, row);
    return true;
}

void page_finish(const struct page *page, int end, int total, cJSON *answer)
{
    cJSON_AddNumberToObject(answer, "from", page->from);
    cJSON_AddNumberToObject(answer, "total", total);
    if (end < total)
        cJSON_AddNumberToObject(answer, "next", end);
    else
        cJSON_AddNullToObject(answer, "next");
}
