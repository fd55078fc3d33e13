/* A recorded session: what a real engine sent, with its times, in one compressed file.
 *
 * Records follow each other: kind (1 byte), time (8 bytes, IEEE double, seconds since 1970), then a frame as the
 * protocol has it. Numbers are little endian. Folders of the machine it was recorded on are replaced by /recorded and
 * /source. */
#ifndef ALIGNPROP_TESTS_TUI_RECORDING_H
#define ALIGNPROP_TESTS_TUI_RECORDING_H

#include "tests/tui/frames.h"

enum record_kind {
    RECORD_HISTORY = 'H', /* a line that the metrics file held before the stream began */
    RECORD_STREAM = 'S',  /* a message or picture of the run's engine, as one who watches from the start gets it */
    RECORD_STATE = 'A',   /* a state that was asked for in between: what one who attaches then gets */
    RECORD_REQUEST = 'Q', /* a studio's request to an engine without a run; its id is a number of the recording's own */
    RECORD_ANSWER = 'R'   /* a message or picture that answers it, with that number as re */
};

struct record {
    enum record_kind kind;
    double time;
    struct frame frame; /* its payload belongs to the recording */
};

struct recording {
    struct record *records; /* count of them, in the order of time */
    int count;
    struct bytes content;
};

/* False, with a message on stderr, where the file cannot be read or is none. The caller frees the recording. */
bool recording_read(const char *path, struct recording *recording);
void recording_free(struct recording *recording);

/* Appends a record to `content`. */
void recording_add(struct bytes *content, enum record_kind kind, double time, char type, const char *payload,
                   size_t length);
/* Writes the records compressed; false, with a message on stderr, where that fails. */
bool recording_write(const char *path, const struct bytes *content);

/* `text` with every `from` replaced by `to`; the caller frees it. NULL when memory is short. */
char *text_replaced(const char *text, const char *from, const char *to);

#endif
