/* Bytes from the terminal: keys, mouse, paste and replies. */
#include "tui/terminal/probe.h"

#include "target.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input_parser parser;
    struct capabilities capabilities;
    struct input_event event;
    int64_t now = 1;
    input_parser_init(&parser);
    capabilities_init(&capabilities);
    parser.replies_expected = size % 2 == 0;
    for (size_t index = 0; index < size; index++) {
        now += data[index] % 64;
        input_parser_feed(&parser, data[index], now);
        while (input_parser_next(&parser, &event))
            if (event.kind == INPUT_REPLY) capabilities_apply(&capabilities, &event);
    }
    input_parser_tick(&parser, now + 20000);
    struct cell_size cell = cell_size_choose(&capabilities, 24, 80, 640, 384);
    if (cell.width <= 0 || cell.height <= 0 || !input_parser_idle(&parser)) __builtin_trap();
    return 0;
}
