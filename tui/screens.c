/* The table of screens. */
#include "tui/state.h"

#define SCREEN(id, name) extern const struct screen screen_##name;
#define SCREEN_TAB(id, name, keys, tab, command, help) SCREEN(id, name)
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB

static const struct screen *const screens[SCREEN_COUNT] = {
#define SCREEN(id, name) [SCREEN_##id] = &screen_##name,
#define SCREEN_TAB(id, name, keys, tab, command, help) SCREEN(id, name)
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB
};

const struct screen *screen_of(enum screen_id id)
{
    return screens[id];
}
