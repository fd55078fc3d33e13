/* Lists of the engine's objects. */
#include "tui/views/object_list.h"

#include <stdio.h>
#include <string.h>

static uint64_t identity_of_object(const void *objects, int place)
{
    const struct object_list *list = objects;
    return list_identity(json_get_text(list->shown[place], list->key, ""));
}

static bool matches(const cJSON *object, const char *const *searched, const char *filter)
{
    char joined[400] = "";
    size_t length = 0;
    for (; *searched; searched++) {
        const char *text = json_get_text(object, *searched, "");
        if (list_match(text, filter)) return true;
        snprintf(joined + length, sizeof joined - length, "%s ", text);
        length = strlen(joined);
    }
    return list_match(joined, filter);
}

void object_list_gather(struct object_list *list, const cJSON *array, const char *key, const char *const *searched,
                        const char *filter)
{
    const cJSON *object = NULL;
    list->key = key;
    list->items = (struct list_items){.filter = filter, .of = list, .identity = identity_of_object};
    cJSON_ArrayForEach(object, array)
    {
        list->items.all++;
        if (list->items.count < LIST_ROWS && matches(object, searched, filter))
            list->shown[list->items.count++] = object;
    }
}

const cJSON *object_list_chosen(const struct object_list *objects, struct list *list)
{
    int place = list_follow(list, &objects->items);
    return place < 0 ? NULL : objects->shown[place];
}
