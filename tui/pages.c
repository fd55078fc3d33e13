/* Gathers lists that come in pages. */
#include "tui/pages.h"

#include "engine/protocol/message.h"

static cJSON *list_of(cJSON *whole)
{
    return cJSON_IsArray(whole) ? whole : cJSON_GetObjectItemCaseSensitive(whole, "presets");
}

int pages_take(struct pages *pages, const cJSON *part, const cJSON *message)
{
    cJSON *copy = cJSON_Duplicate(part, 1);
    if (json_get_integer(message, "from", 0) == 0 || !pages->gathered) {
        cJSON_Delete(pages->gathered);
        pages->gathered = copy;
    } else {
        cJSON *rows = list_of(copy), *list = list_of(pages->gathered);
        while (rows && rows->child) cJSON_AddItemToArray(list, cJSON_DetachItemViaPointer(rows, rows->child));
        cJSON_Delete(copy);
    }
    return (int)json_get_integer(message, "next", 0);
}

void pages_free(struct pages *pages)
{
    cJSON_Delete(pages->gathered);
    *pages = (struct pages){0};
}
