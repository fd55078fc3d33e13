/* Records a real engine's session for replay_engine:
 *
 * record_session run OUT SOCKET [--state-at STEP] [--replace FROM TO]...
 *     connects to the socket of a run before its first step and keeps what comes until its end
 * record_session desk OUT SOCKET LISTEN [--replace FROM TO]...
 *     stands between studios and an engine without a run, and keeps each request with its answers the first time it is
 * made, until it is told to stop (SIGTERM)
 *
 * Texts keep their bytes but for the folders replaced. Pictures are made smaller and get sixteen levels a channel. */
#include "engine/base/clock.h"
#include "engine/protocol/message.h"
#include "tests/tui/recording.h"
#include "tui/pictures/image.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLACEMENTS = 8, DESK_REQUESTS = 1024, PART = 1 << 16 };

struct recorder {
    struct bytes content;
    const char *from[REPLACEMENTS], *to[REPLACEMENTS];
    int replacements, state_at;
    char *known[DESK_REQUESTS]; /* requests that were recorded, without their ids */
    int known_count;
};

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

/* The text with the machine's folders replaced; the caller frees it. */
static char *anonymous(const struct recorder *recorder, const char *text)
{
    char *result = strdup(text);
    for (int i = 0; i < recorder->replacements && result; i++) {
        char *next = text_replaced(result, recorder->from[i], recorder->to[i]);
        free(result);
        result = next;
    }
    return result;
}

static int side_of(const char *kind, bool of_desk)
{
    if (strcmp(kind, "denoising") == 0) return of_desk ? 0 : 8;
    return strcmp(kind, "sample") == 0 && !of_desk ? 16 : 32;
}

/* The picture at most `side` wide and high, with 16 levels a channel. */
static bool reduce(const cJSON *header, const unsigned char *pixels, int side, struct image *reduced)
{
    struct image whole = {0};
    int width = (int)json_get_integer(header, "width", 0), height = (int)json_get_integer(header, "height", 0);
    bool done = image_set(&whole, width, height, pixels) &&
                image_scale(&whole, width < side ? width : side, height < side ? height : side, reduced);
    for (int at = 0; done && at < reduced->width * reduced->height * 3; at++)
        reduced->pixels[at] = (unsigned char)((reduced->pixels[at] >> 4) * 17);
    image_free(&whole);
    return done;
}

static void record_picture(struct recorder *recorder, enum record_kind kind, const struct frame *frame, int re)
{
    struct picture_frame picture;
    if (!picture_frame_split(frame, &picture)) return;
    cJSON *header = message_object(picture.header, strlen(picture.header));
    int side = side_of(json_get_text(header, "kind", ""), kind == RECORD_ANSWER);
    struct image reduced = {0};
    if (side > 0 && reduce(header, picture.pixels, side, &reduced)) {
        json_put_at(header, "width", cJSON_CreateNumber(reduced.width));
        json_put_at(header, "height", cJSON_CreateNumber(reduced.height));
        if (re > 0) json_put_at(header, "re", cJSON_CreateNumber(re));
        struct bytes payload = {0};
        char *text = cJSON_PrintUnformatted(header);
        bytes_add(&payload, text, strlen(text) + 1);
        bytes_add(&payload, reduced.pixels, (size_t)reduced.width * (size_t)reduced.height * 3);
        recording_add(&recorder->content, kind, clock_wall(), 'P', payload.data, payload.length);
        cJSON_free(text);
        bytes_free(&payload);
    }
    image_free(&reduced);
    cJSON_Delete(header);
}

static void record_text(struct recorder *recorder, enum record_kind kind, const char *text)
{
    char *kept = anonymous(recorder, text);
    if (kept) recording_add(&recorder->content, kind, clock_wall(), 'J', kept, strlen(kept));
    free(kept);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) return descriptor;
    perror(path);
    return -1;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(descriptor, 4) == 0)
        return descriptor;
    perror(path);
    return -1;
}

static bool send_all(int descriptor, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t done = send(descriptor, data, length, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        data += done;
        length -= (size_t)done;
    }
    return true;
}

static bool send_text(int descriptor, const char *text)
{
    struct bytes out = {0};
    frame_write(&out, 'J', text, strlen(text));
    bool sent = send_all(descriptor, out.data, out.length);
    bytes_free(&out);
    return sent;
}

/* ---- a run ---- */

struct watch {
    int descriptor;
    bool asked; /* for a state, which is yet to come */
    bool begun; /* the first state has come */
};

/* What the run's metrics file held when the first state was sent. */
static void record_history(struct recorder *recorder, const cJSON *state)
{
    char path[4200], *line = NULL;
    size_t capacity = 0;
    long long left = json_get_integer(json_get(state, "history"), "bytes", 0);
    snprintf(path, sizeof path, "%s/metrics.jsonl", json_get_text(json_get(state, "run"), "path", ""));
    FILE *file = fopen(path, "r");
    if (!file) return;
    for (ssize_t length; left > 0 && (length = getline(&line, &capacity, file)) > 0 && length <= left; left -= length) {
        line[length - 1] = '\0';
        record_text(recorder, RECORD_HISTORY, line);
    }
    free(line);
    fclose(file);
}

static void take_message(struct recorder *recorder, struct watch *watch, const struct frame *frame)
{
    cJSON *message = message_object(frame->payload, frame->bytes);
    const char *type = json_get_text(message, "type", "");
    bool is_state = strcmp(type, "state") == 0, wanted = watch->asked && is_state;
    if (is_state && !watch->begun) record_history(recorder, message);
    watch->begun = watch->begun || is_state;
    if (strcmp(type, "reply") != 0) record_text(recorder, wanted ? RECORD_STATE : RECORD_STREAM, frame->payload);
    if (wanted) watch->asked = false;
    bool due = strcmp(type, "metrics") == 0 && recorder->state_at > 0 &&
               json_get_integer(json_get(message, "line"), "step", 0) == recorder->state_at;
    cJSON_Delete(message);
    if (due) watch->asked = send_text(watch->descriptor, "{\"type\":\"state\",\"id\":1}");
}

static int record_run(struct recorder *recorder, const char *path)
{
    struct watch watch = {.descriptor = connect_to(path)};
    struct frame_stream reader;
    struct frame frame;
    char part[PART];
    ssize_t got = 1;
    if (watch.descriptor < 0) return 1;
    frame_stream_init(&reader, frame_limits_of_engine);
    send_text(watch.descriptor,
              "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1,\"client\":\"recorder\"}");
    while (!stopped && (got > 0 || (got < 0 && errno == EINTR))) {
        got = recv(watch.descriptor, part, sizeof part, 0);
        if (got > 0) frame_stream_add(&reader, part, (size_t)got);
        while (got > 0 && frame_next(&reader, &frame)) {
            if (frame.type == 'P')
                record_picture(recorder, RECORD_STREAM, &frame, 0);
            else
                take_message(recorder, &watch, &frame);
        }
    }
    frame_stream_clear(&reader);
    close(watch.descriptor);
    return 0;
}

/* ---- an engine without a run ---- */

struct exchange {
    int studio, engine;
    struct frame_stream requests, answers;
    int numbers[DESK_REQUESTS]; /* of the recording, by the studio's id; 0: not recorded */
};

/* The number of a request that is new to the recording; 0 for one that it has. */
static int take_request(struct recorder *recorder, const struct frame *frame)
{
    cJSON *message = message_object(frame->payload, frame->bytes);
    json_put_at(message, "id", cJSON_CreateNull());
    char *plain = cJSON_PrintUnformatted(message);
    bool known = !json_get(message, "type") || strcmp(json_get_text(message, "type", ""), "hello") == 0 ||
                 recorder->known_count == DESK_REQUESTS - 1;
    for (int i = 0; i < recorder->known_count && !known; i++) known = strcmp(recorder->known[i], plain) == 0;
    int number = 0;
    if (!known) {
        recorder->known[recorder->known_count++] = strdup(plain);
        number = recorder->known_count;
        json_put_at(message, "id", cJSON_CreateNumber(number));
        char *text = cJSON_PrintUnformatted(message);
        record_text(recorder, RECORD_REQUEST, text);
        cJSON_free(text);
    }
    cJSON_free(plain);
    cJSON_Delete(message);
    return number;
}

static void note_request(struct recorder *recorder, struct exchange *exchange, const struct frame *frame)
{
    cJSON *message = message_object(frame->payload, frame->bytes);
    long long id = json_get_integer(message, "id", 0);
    cJSON_Delete(message);
    if (id > 0 && id < DESK_REQUESTS) exchange->numbers[id] = take_request(recorder, frame);
}

static void note_answer(struct recorder *recorder, const struct exchange *exchange, const struct frame *frame)
{
    struct picture_frame picture;
    bool is_picture = frame->type == 'P' && picture_frame_split(frame, &picture);
    cJSON *message = message_object(frame->payload, is_picture ? strlen(picture.header) : frame->bytes);
    long long re = json_get_integer(message, "re", 0);
    int number = re > 0 && re < DESK_REQUESTS ? exchange->numbers[re] : 0;
    if (number > 0 && is_picture) {
        record_picture(recorder, RECORD_ANSWER, frame, number);
    } else if (number > 0) {
        json_put_at(message, "re", cJSON_CreateNumber(number));
        char *text = cJSON_PrintUnformatted(message);
        record_text(recorder, RECORD_ANSWER, text);
        cJSON_free(text);
    }
    cJSON_Delete(message);
}

/* Passes on what came from one side; false when that side is gone. */
static bool pass(struct recorder *recorder, struct exchange *exchange, bool from_studio)
{
    char part[PART];
    struct frame frame;
    struct frame_stream *reader = from_studio ? &exchange->requests : &exchange->answers;
    ssize_t got = recv(from_studio ? exchange->studio : exchange->engine, part, sizeof part, 0);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    frame_stream_add(reader, part, (size_t)got);
    while (frame_next(reader, &frame)) {
        if (from_studio)
            note_request(recorder, exchange, &frame);
        else
            note_answer(recorder, exchange, &frame);
    }
    return send_all(from_studio ? exchange->engine : exchange->studio, part, (size_t)got);
}

static void serve_studio(struct recorder *recorder, int studio, const char *engine_path)
{
    struct exchange exchange = {.studio = studio, .engine = connect_to(engine_path)};
    bool open = exchange.engine >= 0;
    frame_stream_init(&exchange.requests, frame_limits_of_client);
    frame_stream_init(&exchange.answers, frame_limits_of_engine);
    while (open && !stopped) {
        struct pollfd polls[2] = {{.fd = studio, .events = POLLIN}, {.fd = exchange.engine, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0) continue;
        if (polls[0].revents) open = pass(recorder, &exchange, true);
        if (open && polls[1].revents) open = pass(recorder, &exchange, false);
    }
    frame_stream_clear(&exchange.requests);
    frame_stream_clear(&exchange.answers);
    if (exchange.engine >= 0) close(exchange.engine);
    close(studio);
}

static int record_desk(struct recorder *recorder, const char *engine_path, const char *own_path)
{
    int listener = listen_at(own_path);
    if (listener < 0) return 1;
    while (!stopped) {
        int studio = accept(listener, NULL, NULL);
        if (studio >= 0) serve_studio(recorder, studio, engine_path);
    }
    close(listener);
    unlink(own_path);
    return 0;
}

int main(int count, char **words)
{
    static struct recorder recorder;
    bool of_run = count >= 4 && strcmp(words[1], "run") == 0, of_desk = count >= 5 && strcmp(words[1], "desk") == 0;
    if (!of_run && !of_desk) {
        fprintf(stderr, "record_session run OUT SOCKET ... | desk OUT SOCKET LISTEN ...\n");
        return 2;
    }
    for (int at = of_run ? 4 : 5; at + 1 < count; at++) {
        if (strcmp(words[at], "--state-at") == 0) recorder.state_at = atoi(words[++at]);
        if (strcmp(words[at], "--replace") != 0 || at + 2 >= count || recorder.replacements == REPLACEMENTS) continue;
        recorder.from[recorder.replacements] = words[at + 1];
        recorder.to[recorder.replacements++] = words[at + 2];
        at += 2;
    }
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int failed = of_run ? record_run(&recorder, words[3]) : record_desk(&recorder, words[3], words[4]);
    bool written = recording_write(words[2], &recorder.content);
    for (int i = 0; i < recorder.known_count; i++) free(recorder.known[i]);
    bytes_free(&recorder.content);
    return failed || !written;
}
