/* Plays a recorded session as the engine, under a clock of its own: nothing it does depends on the time of day.
 *
 * replay_engine RECORDING SOCKET RUN_FOLDER [--until STEP] [--attach] [--lose]
 *     gives every client the run's stream up to a moment in the step after STEP (0: up to the first picture);
 * RUN_FOLDER gets the files that the run had by then. --attach: instead of the stream the state that was recorded at
 * STEP, with the pictures that an engine then holds. --lose: the connection breaks off there, as when an engine dies.
 * replay_engine RECORDING SOCKET RUN_FOLDER --desk
 *     answers a studio's requests as the recorded engine without a run did.
 * replay_engine RECORDING --clock STEP
 *     prints that moment, in seconds since 1970.
 * It ends when its parent does. */
#include "engine/protocol/message.h"
#include "tests/tui/peers.h"
#include "tests/tui/recording.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KINDS = 4, PICTURES = 16, INTO_STEP = 6 };

static const char recorded_folder[] = "/recorded/run";
static const char *const kinds[KINDS] = {"base", "eval", "sample", "denoising"};

struct replay {
    struct recording recording;
    const char *folder;
    int until;
    bool attach, lose, desk;
    struct bytes stream; /* what every client gets first */
    size_t metrics;      /* bytes of the metrics file */
    FILE *metrics_file, *log_file;
    const struct frame *newest[KINDS][PICTURES]; /* pictures that an engine would hold */
    struct peers peers;
};

/* ---- the moment ---- */

static cJSON *parse(const struct frame *frame)
{
    return message_object(frame->payload, frame->type == 'P' ? strlen(frame->payload) : frame->bytes);
}

/* The index of the first record that comes after the moment. */
static int moment(const struct recording *recording, int step)
{
    int progress = 0, done = -1;
    for (int i = 0; i < recording->count; i++) {
        const struct record *record = &recording->records[i];
        if (record->kind != RECORD_STREAM) continue;
        if (step == 0 && record->frame.type == 'P') return i;
        if (record->frame.type == 'P') continue;
        cJSON *message = parse(&record->frame);
        const char *type = json_get_text(message, "type", "");
        if (strcmp(type, "metrics") == 0) done = (int)json_get_integer(json_get(message, "line"), "step", 0);
        if (strcmp(type, "progress") == 0 && done == step) progress++;
        cJSON_Delete(message);
        if (step > 0 && progress == INTO_STEP) return i + 1;
    }
    return recording->count;
}

static int print_clock(const struct recording *recording, int step)
{
    int end = moment(recording, step);
    printf("%.0f\n", recording->records[end > 0 ? end - 1 : 0].time);
    return 0;
}

/* ---- the run's folder and its stream ---- */

static void write_line(struct replay *replay, const char *line)
{
    fprintf(replay->metrics_file, "%s\n", line);
    replay->metrics += strlen(line) + 1;
}

static void write_object(struct replay *replay, const cJSON *object)
{
    char *line = cJSON_PrintUnformatted(object);
    if (line) write_line(replay, line);
    cJSON_free(line);
}

static void write_preset(const struct replay *replay, const cJSON *preset)
{
    char path[3100], *text = cJSON_Print(preset);
    snprintf(path, sizeof path, "%s/preset.json", replay->folder);
    FILE *file = fopen(path, "w");
    if (file && text) fputs(text, file);
    if (file) fclose(file);
    cJSON_free(text);
}

static void keep_sample(const struct replay *replay, const cJSON *header, const unsigned char *pixels)
{
    const char *kind = json_get_text(header, "kind", "");
    if (strcmp(kind, "base") != 0 && strcmp(kind, "eval") != 0) return;
    char path[3200];
    int step = (int)json_get_integer(header, "step", 0);
    snprintf(path, sizeof path, "%s/samples", replay->folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/samples/step-%06d", replay->folder, step);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/samples/step-%06d/%02d-%s.png", replay->folder, step,
             (int)json_get_integer(header, "index", 0), json_get_text(header, "seed", "0"));
    png_image writer = {.version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)json_get_integer(header, "width", 1),
                        .height = (png_uint_32)json_get_integer(header, "height", 1),
                        .format = PNG_FORMAT_RGB};
    if (!png_image_write_to_file(&writer, path, 0, pixels, 0, NULL)) perror(path);
}

static void play_picture(struct replay *replay, const struct frame *frame)
{
    struct picture_frame picture;
    if (!picture_frame_split(frame, &picture)) return;
    cJSON *header = parse(frame);
    int kind = 0, index = (int)json_get_integer(header, "index", 0);
    while (kind < KINDS - 1 && strcmp(json_get_text(header, "kind", ""), kinds[kind]) != 0) kind++;
    if (index >= 0 && index < PICTURES) replay->newest[kind][index] = frame;
    keep_sample(replay, header, picture.pixels);
    cJSON_Delete(header);
    frame_write(&replay->stream, 'P', frame->payload, frame->bytes);
}

/* Texts go out as recorded but for the folder; a state says how long the metrics file of this folder is. */
static void play_message(struct replay *replay, const struct frame *frame, bool is_state_asked_for)
{
    char *text = text_replaced(frame->payload, recorded_folder, replay->folder);
    cJSON *message = message_object(text, strlen(text));
    const char *type = json_get_text(message, "type", "");
    if (strcmp(type, "metrics") == 0 || strcmp(type, "event") == 0) write_object(replay, json_get(message, "line"));
    if (strcmp(type, "log") == 0) fprintf(replay->log_file, "%s\n", json_get_text(message, "text", ""));
    if (strcmp(type, "state") == 0) {
        write_preset(replay, json_get(message, "preset"));
        json_put_at(message, "history.bytes", cJSON_CreateNumber((double)replay->metrics));
        free(text);
        text = cJSON_PrintUnformatted(message);
    }
    if (is_state_asked_for) bytes_clear(&replay->stream);
    frame_write(&replay->stream, 'J', text, strlen(text));
    cJSON_Delete(message);
    free(text);
}

/* An engine holds the newest picture of each kind and place but for the previews. */
static void play_held_pictures(struct replay *replay)
{
    for (int kind = 0; kind < KINDS - 1; kind++) {
        for (int i = 0; i < PICTURES; i++) {
            const struct frame *frame = replay->newest[kind][i];
            if (frame) frame_write(&replay->stream, 'P', frame->payload, frame->bytes);
        }
    }
}

static void play(struct replay *replay)
{
    int end = moment(&replay->recording, replay->until);
    for (int i = 0; i < end; i++) {
        const struct record *record = &replay->recording.records[i];
        bool asked_for = replay->attach && record->kind == RECORD_STATE;
        if (record->kind == RECORD_HISTORY) write_line(replay, record->frame.payload);
        if (record->kind != RECORD_STREAM && !asked_for) continue;
        if (record->frame.type == 'P')
            play_picture(replay, &record->frame);
        else
            play_message(replay, &record->frame, asked_for);
        if (asked_for) play_held_pictures(replay);
    }
}

static bool write_folder(struct replay *replay)
{
    char path[3100];
    mkdir(replay->folder, 0700);
    snprintf(path, sizeof path, "%s/metrics.jsonl", replay->folder);
    replay->metrics_file = fopen(path, "w");
    snprintf(path, sizeof path, "%s/engine.log", replay->folder);
    replay->log_file = fopen(path, "w");
    bool opened = replay->metrics_file && replay->log_file;
    if (opened) play(replay);
    if (opened && replay->lose) fputs("out of memory: the system killed the engine\n", replay->log_file);
    if (replay->metrics_file) fclose(replay->metrics_file);
    if (replay->log_file) fclose(replay->log_file);
    return opened && !replay->stream.failed;
}

/* ---- a studio's requests ---- */

/* The request without its number and with the folders as recorded; the caller frees it. */
static char *plain_request(const struct replay *replay, const struct frame *frame)
{
    cJSON *message = parse(frame);
    json_put_at(message, "id", cJSON_CreateNull());
    char *text = cJSON_PrintUnformatted(message), *plain = NULL;
    if (text) plain = text_replaced(text, replay->folder, recorded_folder);
    cJSON_free(text);
    cJSON_Delete(message);
    return plain;
}

/* The number that the recording gave this request; 0 when it has none like it. */
static int find_request(const struct replay *replay, const struct frame *frame)
{
    char *wanted = plain_request(replay, frame);
    int number = 0;
    for (int i = 0; i < replay->recording.count && number == 0; i++) {
        const struct record *record = &replay->recording.records[i];
        if (record->kind != RECORD_REQUEST) continue;
        char *plain = plain_request(replay, &record->frame);
        cJSON *message = parse(&record->frame);
        if (strcmp(plain, wanted) == 0) number = (int)json_get_integer(message, "id", 0);
        cJSON_Delete(message);
        free(plain);
    }
    free(wanted);
    return number;
}

static void send_answer(const struct replay *replay, struct peer *peer, const struct frame *frame, long long id)
{
    cJSON *message = parse(frame);
    json_put_at(message, "re", cJSON_CreateNumber((double)id));
    char *printed = cJSON_PrintUnformatted(message), *text = text_replaced(printed, recorded_folder, replay->folder);
    struct bytes payload = {0};
    struct picture_frame picture;
    bytes_add_text(&payload, text);
    if (frame->type == 'P' && picture_frame_split(frame, &picture)) {
        bytes_add(&payload, "", 1);
        bytes_add(&payload, picture.pixels, picture.pixel_bytes);
    }
    frame_write(&peer->out, frame->type, payload.data, payload.length);
    bytes_free(&payload);
    free(text);
    cJSON_free(printed);
    cJSON_Delete(message);
}

static void answer(void *context, struct peer *peer, const struct frame *frame)
{
    const struct replay *replay = context;
    cJSON *message = parse(frame);
    const char *type = json_get_text(message, "type", "");
    long long id = json_get_integer(message, "id", 0);
    int number = id > 0 ? find_request(replay, frame) : 0;
    for (int i = 0; i < replay->recording.count && number > 0; i++) {
        const struct record *record = &replay->recording.records[i];
        if (record->kind != RECORD_ANSWER) continue;
        cJSON *given = parse(&record->frame);
        if (json_get_integer(given, "re", 0) == number) send_answer(replay, peer, &record->frame, id);
        cJSON_Delete(given);
    }
    if (id > 0 && number == 0) {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"type\":\"reply\",\"re\":%lld,\"ok\":false,\"error\":\"the recording has no such %.40s\"}", id,
                 type);
        frame_write(&peer->out, 'J', text, strlen(text));
    }
    cJSON_Delete(message);
}

static void welcome(void *context, struct peer *peer)
{
    const struct replay *replay = context;
    if (replay->attach || replay->desk) { /* else the recorded hello is in the stream */
        static const char hello[] = "{\"type\":\"hello\",\"name\":\"alignprop\",\"min\":1,\"max\":1}";
        frame_write(&peer->out, 'J', hello, sizeof hello - 1);
    }
    bytes_add(&peer->out, replay->stream.data, replay->stream.length);
}

static void drop_who_has_all(struct peers *peers)
{
    for (int i = 0; i < MOST_PEERS; i++) {
        struct peer *peer = &peers->peer[i];
        if (peer->descriptor >= 0 && peer->out.length == 0) peer_drop(peer);
    }
}

int main(int count, char **words)
{
    static struct replay replay = {.until = 40};
    if (count < 4 || !recording_read(words[1], &replay.recording)) return 2;
    if (strcmp(words[2], "--clock") == 0) return print_clock(&replay.recording, atoi(words[3]));
    replay.folder = words[3];
    for (int at = 4; at < count; at++) {
        if (strcmp(words[at], "--attach") == 0) replay.attach = true;
        if (strcmp(words[at], "--lose") == 0) replay.lose = true;
        if (strcmp(words[at], "--desk") == 0) replay.desk = true;
        if (strcmp(words[at], "--until") == 0 && at + 1 < count) replay.until = atoi(words[++at]);
    }
    if ((!replay.desk && !write_folder(&replay)) || !peers_open(&replay.peers, words[2])) {
        perror(words[2]);
        return 1;
    }
    const struct peer_hooks hooks = {.context = &replay, .came = welcome, .said = answer};
    for (;;) {
        peers_serve(&replay.peers, -1, &hooks);
        if (replay.lose) drop_who_has_all(&replay.peers);
    }
}
