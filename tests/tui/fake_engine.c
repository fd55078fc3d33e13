/* An engine that speaks the protocol and computes nothing: the feed of the screen tests.
 *
 * fake_engine CATALOGUE SOCKET RUN_FOLDER [--step N] [--every MS] [--steps N] [--state PHASE] [--die-at N] [--log FILE]
 *     [--name TEXT]
 *
 * It writes a run folder with N steps of made-up but reproducible figures and pictures, serves catalogue, plans and
 * samples, and with --every goes on by one step each so many milliseconds. Its clock is virtual: nothing it sends
 * depends on the time of day. It ends when its parent does. */
#include "engine/base/clock.h"
#include "engine/protocol/message.h"
#include "tests/tui/peers.h"

#include <math.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 128, HELD_OUT = 4, DENOISING_STEPS = 20, MARGIN = 64 << 10 };

static const double epoch = 1795424400;
static const char *const prompts[HELD_OUT] = {"cats on a red background", "cats on a green meadow", "cats in the snow",
                                              "cats on a yellow sofa"};
static const char *const reward_ids[2] = {"two-cats", "jpeg"};

struct engine {
    struct peers peers;
    char folder[3000], socket_path[108], name[128], phase[16];
    const char *request_log; /* file that gets every request as a line; NULL: none */
    int step, steps, every, denoising, die_at;
    long long sequence;
    double weights[2], pending[2], rate;
    char *catalogue_text;
};

/* A number in [0, 1) that depends on its arguments alone. */
static double chance(unsigned first, unsigned second)
{
    uint32_t value = first * 2654435761u ^ (second + 0x9e3779b9u) * 2246822519u;
    value ^= value >> 15;
    value *= 2246822519u;
    value ^= value >> 13;
    return (value & 0xffffff) / 16777216.0;
}

static double raw_reward(int reward, int step, bool held_out)
{
    double progress = 1 - exp(-step / 30.0);
    double noise = (chance((unsigned)step, (unsigned)reward * 2 + held_out) - 0.5) * (held_out ? 0.03 : 0.1);
    return reward == 0 ? (held_out ? 0.30 : 0.28) + (held_out ? 0.42 : 0.5) * progress + noise
                       : -14.2 + 3.1 * progress + noise * 4;
}

static double total_of(const struct engine *engine, int step, bool held_out)
{
    double total = 0;
    for (int reward = 0; reward < 2; reward++) total += engine->weights[reward] * raw_reward(reward, step, held_out);
    return total;
}

static double head(double x, double y, double cx, double cy, double size)
{
    double face = hypot((x - cx) / size, (y - cy) / (size * 0.85));
    double left = fabs(x - (cx - size * 0.6)) + fabs(y - (cy - size * 0.8)) * 0.8;
    double right = fabs(x - (cx + size * 0.6)) + fabs(y - (cy - size * 0.8)) * 0.8;
    return fmin(face, fmin(left, right) / (size * 0.45));
}

/* Two cats' heads before a plain ground; how far they have come apart and together depends on `progress`. */
static void paint(unsigned char *pixels, int side, int which, double progress, double noise, unsigned seed)
{
    static const double grounds[HELD_OUT][3] = {{205, 60, 60}, {86, 160, 84}, {226, 234, 242}, {232, 196, 72}};
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            double u = (x + 0.5) / side, v = (y + 0.5) / side, color[3];
            for (int channel = 0; channel < 3; channel++)
                color[channel] = grounds[which % HELD_OUT][channel] * (0.85 + 0.15 * (1 - v));
            double first = head(u, v, 0.5 - 0.21 * progress, 0.55, 0.19),
                   second = head(u, v, 0.5 + 0.21 * progress, 0.57 - 0.04 * progress, 0.18);
            double nearest = fmin(first, second);
            if (nearest < 1) {
                double center = first < second ? 0.5 - 0.21 * progress : 0.5 + 0.21 * progress;
                double row = first < second ? 0.55 : 0.57 - 0.04 * progress;
                double fur[3] = {first < second ? 240 : 120, first < second ? 176 : 120, first < second ? 92 : 128};
                double eye = fmin(hypot(u - center + 0.07, v - row + 0.02), hypot(u - center - 0.07, v - row + 0.02));
                double nose = hypot((u - center) * 1.2, v - row - 0.05);
                for (int channel = 0; channel < 3; channel++) color[channel] = fur[channel] * (1.05 - 0.35 * nearest);
                if (eye < 0.028) color[0] = color[1] = color[2] = 28;
                if (nose < 0.02) color[0] = 230, color[1] = 120, color[2] = 130;
            }
            for (int channel = 0; channel < 3; channel++) {
                double grain = chance(seed * 31u + (unsigned)(y * side + x), (unsigned)channel) * 255;
                double value = color[channel] * (1 - noise) + grain * noise;
                pixels[(y * side + x) * 3 + channel] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
            }
        }
    }
}

static void send_json(struct peer *peer, cJSON *message)
{
    char *text = cJSON_PrintUnformatted(message);
    if (text) frame_write(&peer->out, 'J', text, strlen(text));
    cJSON_free(text);
    peer_flush(peer);
}

static void broadcast(struct engine *engine, cJSON *message)
{
    cJSON_AddNumberToObject(message, "seq", (double)++engine->sequence);
    for (int i = 0; i < MOST_PEERS; i++)
        if (engine->peers.peer[i].descriptor >= 0) send_json(&engine->peers.peer[i], message);
    cJSON_Delete(message);
}

static void send_picture(struct engine *engine, struct peer *peer, const char *kind, int which, int side,
                         double progress, double noise, int re)
{
    (void)re;
    cJSON *header = cJSON_CreateObject();
    cJSON_AddStringToObject(header, "kind", kind);
    cJSON_AddNumberToObject(header, "step", engine->step);
    cJSON_AddNumberToObject(header, "index", which);
    cJSON_AddNumberToObject(header, "width", side);
    cJSON_AddNumberToObject(header, "height", side);
    cJSON_AddNumberToObject(header, "full_width", SIDE);
    cJSON_AddNumberToObject(header, "full_height", SIDE);
    cJSON_AddStringToObject(header, "prompt", prompts[which % HELD_OUT]);
    char seed[8];
    snprintf(seed, sizeof seed, "%d", 42 + which);
    cJSON_AddStringToObject(header, "seed", seed);
    bool base = strcmp(kind, "base") == 0, denoising = strcmp(kind, "denoising") == 0;
    if (!denoising)
        cJSON_AddNumberToObject(header, "reward", total_of(engine, base ? 0 : engine->step, true) + 0.05 * which);
    if (re > 0) cJSON_AddNumberToObject(header, "re", re);
    if (denoising) {
        cJSON *part = cJSON_AddObjectToObject(header, "denoising");
        cJSON_AddNumberToObject(part, "done", engine->denoising);
        cJSON_AddNumberToObject(part, "total", DENOISING_STEPS);
    }
    char *text = cJSON_PrintUnformatted(header);
    cJSON_Delete(header);
    size_t length = strlen(text) + 1, size = (size_t)side * (size_t)side * 3;
    char *payload = malloc(length + size);
    if (payload) {
        memcpy(payload, text, length);
        paint((unsigned char *)payload + length, side, which, progress, noise, (unsigned)(which + 7 * engine->step));
        frame_write(&peer->out, 'P', payload, length + size);
    }
    free(payload);
    cJSON_free(text);
    peer_flush(peer);
}

static double apart(int step)
{
    return 1 - exp(-step / 22.0);
}

static void send_pictures(struct engine *engine, struct peer *peer)
{
    for (int which = 0; which < HELD_OUT; which++) {
        send_picture(engine, peer, "base", which, SIDE, apart(0), 0, 0);
        send_picture(engine, peer, "eval", which, SIDE, apart(engine->step), 0, 0);
        send_picture(engine, peer, "sample", which, SIDE, apart(engine->step) * (0.6 + 0.13 * which), 0.02, 0);
    }
}

static cJSON *metrics_line(const struct engine *engine, int step)
{
    cJSON *line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "step", step);
    if (step > 0) {
        cJSON *reward = cJSON_AddObjectToObject(line, "reward");
        for (int i = 0; i < 2; i++) cJSON_AddNumberToObject(reward, reward_ids[i], raw_reward(i, step, false));
        cJSON_AddNumberToObject(reward, "total", total_of(engine, step, false));
        cJSON_AddNumberToObject(line, "loss", -total_of(engine, step, false));
        cJSON_AddNumberToObject(line, "k", 1 + (int)(chance((unsigned)step, 9) * 20));
        cJSON_AddNumberToObject(line, "grad_norm", 0.02 + 0.03 * chance((unsigned)step, 10));
        cJSON_AddNumberToObject(line, "seconds", 2.0 + 0.2 * chance((unsigned)step, 11));
        cJSON_AddBoolToObject(line, "skipped", 0);
    }
    cJSON *extra = cJSON_AddObjectToObject(line, "extra");
    cJSON_AddNumberToObject(extra, "adapter_norm", 0.011 * step);
    cJSON_AddNumberToObject(extra, "drift", 0.0021 * step);
    cJSON_AddNumberToObject(extra, "diversity", 0.31 - 0.0006 * step);
    cJSON_AddNumberToObject(extra, "dark", 0.04 + 0.0004 * step);
    cJSON_AddNumberToObject(extra, "edges", 0.11 - 0.0002 * step);
    cJSON_AddNumberToObject(extra, "saturation", 0.42 + 0.001 * step);
    if (step > 0) {
        cJSON *phases = cJSON_AddObjectToObject(line, "phases");
        cJSON_AddNumberToObject(phases, "sampling", 0.96);
        cJSON_AddNumberToObject(phases, "decoding", 0.2);
        cJSON_AddNumberToObject(phases, "reward", 0.1);
        cJSON_AddNumberToObject(phases, "backward", 0.8);
    }
    if (step % 5 == 0) {
        cJSON *held_out = cJSON_AddObjectToObject(line, "eval_reward");
        for (int i = 0; i < 2; i++) cJSON_AddNumberToObject(held_out, reward_ids[i], raw_reward(i, step, true));
        cJSON_AddNumberToObject(held_out, "total", total_of(engine, step, true));
    }
    return line;
}

static long long append_line(const struct engine *engine, const cJSON *line)
{
    char path[3100];
    snprintf(path, sizeof path, "%s/metrics.jsonl", engine->folder);
    FILE *file = fopen(path, "a");
    char *text = cJSON_PrintUnformatted(line);
    long long length = -1;
    if (file && text) {
        fprintf(file, "%s\n", text);
        fflush(file);
        length = ftell(file);
    }
    if (file) fclose(file);
    cJSON_free(text);
    return length;
}

static void save_samples(const struct engine *engine, int step)
{
    char path[3200];
    snprintf(path, sizeof path, "%s/samples", engine->folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/samples/step-%06d", engine->folder, step);
    mkdir(path, 0700);
    unsigned char *pixels = malloc((size_t)SIDE * SIDE * 3);
    for (int which = 0; which < HELD_OUT && pixels; which++) {
        png_image writer = {.version = PNG_IMAGE_VERSION, .width = SIDE, .height = SIDE, .format = PNG_FORMAT_RGB};
        paint(pixels, SIDE, which, apart(step), 0, 0);
        snprintf(path, sizeof path, "%s/samples/step-%06d/%02d-%d.png", engine->folder, step, which, 42 + which);
        png_image_write_to_file(&writer, path, 0, pixels, 0, NULL);
    }
    free(pixels);
}

static cJSON *catalogue(const struct engine *engine)
{
    return message_object(engine->catalogue_text, strlen(engine->catalogue_text));
}

static cJSON *preset_object(const struct engine *engine)
{
    cJSON *whole = catalogue(engine);
    cJSON *preset = cJSON_Duplicate(json_get(cJSON_GetArrayItem(json_get(whole, "presets"), 0), "preset"), 1);
    cJSON_Delete(whole);
    return preset;
}

static void write_folder(struct engine *engine)
{
    char path[3100];
    mkdir(engine->folder, 0700);
    snprintf(path, sizeof path, "%s/metrics.jsonl", engine->folder);
    remove(path);
    snprintf(path, sizeof path, "%s/preset.json", engine->folder);
    cJSON *preset = preset_object(engine);
    char *text = cJSON_Print(preset);
    FILE *file = fopen(path, "w");
    if (file && text) {
        fputs(text, file);
        fclose(file);
    }
    cJSON_free(text);
    cJSON_Delete(preset);
    for (int step = 0; step <= engine->step; step++) {
        cJSON *line = metrics_line(engine, step);
        append_line(engine, line);
        cJSON_Delete(line);
        if (step % 10 == 0) save_samples(engine, step);
    }
    snprintf(path, sizeof path, "%s/engine.log", engine->folder);
    file = fopen(path, "w");
    if (file) {
        fputs("12:00:00 loaded emoji\n12:00:40 out of memory: the system killed the engine\n", file);
        fclose(file);
    }
}

static long long history_bytes(const struct engine *engine)
{
    char path[3100];
    struct stat facts;
    snprintf(path, sizeof path, "%s/metrics.jsonl", engine->folder);
    return stat(path, &facts) == 0 ? (long long)facts.st_size : 0;
}

static cJSON *state_message(struct engine *engine)
{
    cJSON *state = cJSON_CreateObject(), *run = NULL;
    cJSON_AddStringToObject(state, "type", "state");
    cJSON_AddStringToObject(state, "phase", engine->phase);
    run = cJSON_AddObjectToObject(state, "run");
    cJSON_AddStringToObject(run, "path", engine->folder);
    cJSON_AddStringToObject(run, "name", engine->name);
    cJSON_AddStringToObject(state, "device", "cpu");
    cJSON_AddNumberToObject(state, "threads", 2);
    cJSON_AddNumberToObject(state, "step", engine->step);
    cJSON_AddNumberToObject(state, "steps", engine->steps);
    cJSON_AddNumberToObject(state, "seconds_per_step", 2.1);
    cJSON_AddNumberToObject(state, "seconds_left", 2.1 * (engine->steps - engine->step));
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(state, "history"), "bytes", (double)history_bytes(engine));
    cJSON *settings = cJSON_AddObjectToObject(state, "settings"), *pending = cJSON_AddObjectToObject(state, "pending");
    cJSON *ranges = cJSON_AddObjectToObject(state, "ranges");
    for (int i = 0; i < 2; i++) {
        char key[64];
        snprintf(key, sizeof key, "rewards.%s.weight", reward_ids[i]);
        cJSON_AddNumberToObject(settings, key, engine->weights[i]);
        if (!isnan(engine->pending[i])) cJSON_AddNumberToObject(pending, key, engine->pending[i]);
        double bounds[2] = {-1000, 1000};
        cJSON_AddItemToObject(ranges, key, cJSON_CreateDoubleArray(bounds, 2));
    }
    cJSON_AddNumberToObject(settings, "optimizer.lr", engine->rate);
    cJSON_AddNumberToObject(settings, "optimizer.clip", 1);
    cJSON *checkpoints = cJSON_AddArrayToObject(state, "checkpoints");
    for (int step = 10; step <= engine->step; step += 10) cJSON_AddItemToArray(checkpoints, cJSON_CreateNumber(step));
    cJSON *memory = cJSON_AddObjectToObject(state, "memory");
    cJSON_AddNumberToObject(memory, "planned", 412e6);
    cJSON_AddNumberToObject(memory, "used", 418e6);
    cJSON_AddNumberToObject(memory, "free", 22.9e9);
    cJSON_AddItemToObject(state, "preset", preset_object(engine));
    cJSON *log = cJSON_AddArrayToObject(state, "log");
    static const char *const lines[] = {"loaded emoji (7.1 MB) in 0.2 s", "planned 412 MB, 22.9 GB are free",
                                        "checkpoint at step 10 written"};
    for (int i = 0; i < 3; i++) {
        cJSON *line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, "level", "info");
        cJSON_AddNumberToObject(line, "time", epoch + i * 11);
        cJSON_AddStringToObject(line, "text", lines[i]);
        cJSON_AddItemToArray(log, line);
    }
    cJSON *progress = cJSON_AddObjectToObject(state, "progress");
    cJSON_AddNumberToObject(progress, "step", engine->step + 1);
    cJSON_AddStringToObject(progress, "phase", "sampling");
    cJSON_AddNumberToObject(progress, "done", 14);
    cJSON_AddNumberToObject(progress, "total", DENOISING_STEPS);
    return state;
}

static void set_phase(struct engine *engine, const char *phase)
{
    snprintf(engine->phase, sizeof engine->phase, "%s", phase);
    broadcast(engine, state_message(engine));
}

static cJSON *reply_to(int id, bool ok)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddStringToObject(reply, "type", "reply");
    cJSON_AddNumberToObject(reply, "re", id);
    cJSON_AddBoolToObject(reply, "ok", ok);
    return reply;
}

static void answer_set(struct engine *engine, const cJSON *message, cJSON *reply)
{
    const char *key = json_get_text(message, "key", "");
    double value = json_get_number(message, "value", NAN);
    cJSON_AddNumberToObject(reply, "step", engine->step + 1);
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "rewards.%s.weight", reward_ids[i]);
        if (strcmp(name, key) == 0) engine->pending[i] = value;
    }
    if (strcmp(key, "optimizer.lr") == 0) engine->rate = value;
}

static cJSON *runs_list(const struct engine *engine)
{
    static const struct {
        const char *name, *state;
        int step;
        double first, best, last, age;
    } rows[] = {{"two-cats", "running", 40, 0.41, 0.79, 0.78, 20},
                {"small-files", "finished", 100, -14.2, -9.1, -9.3, 8000},
                {"colour-against-size", "interrupted", 60, 0.21, 0.55, 0.52, 90000}};
    cJSON *runs = cJSON_CreateArray();
    for (int i = 0; i < 3; i++) {
        cJSON *run = cJSON_CreateObject();
        cJSON_AddStringToObject(run, "path", engine->folder);
        cJSON_AddStringToObject(run, "name", rows[i].name);
        cJSON_AddStringToObject(run, "state", rows[i].state);
        cJSON_AddNumberToObject(run, "step", i == 0 ? engine->step : rows[i].step);
        cJSON_AddNumberToObject(run, "steps", 100);
        cJSON_AddNumberToObject(run, "modified", epoch + 100 - rows[i].age);
        cJSON_AddNumberToObject(run, "eval_first", rows[i].first);
        cJSON_AddNumberToObject(run, "eval_best", rows[i].best);
        cJSON_AddNumberToObject(run, "eval_last", rows[i].last);
        if (i == 0) cJSON_AddStringToObject(run, "socket", engine->socket_path);
        char lora[3100];
        snprintf(lora, sizeof lora, "%s/%s.safetensors", engine->folder, rows[i].name);
        cJSON_AddStringToObject(run, "lora", lora);
        cJSON_AddItemToArray(runs, run);
    }
    return runs;
}

static cJSON *plan_of(const cJSON *message)
{
    double batch = json_get_number(json_get(message, "preset"), "batch", 4),
           rank = json_get_number(json_get(json_get(message, "preset"), "lora"), "rank", 4);
    cJSON *plan = cJSON_CreateObject(), *lines = NULL;
    double total = 112e6 + 75e6 * batch;
    cJSON_AddNumberToObject(plan, "total_bytes", total);
    cJSON_AddNumberToObject(plan, "free_bytes", 2.4e9);
    cJSON_AddNumberToObject(plan, "adapter_bytes", 41000 * rank);
    cJSON_AddNumberToObject(plan, "seconds_per_step", 0.52 * batch);
    cJSON_AddBoolToObject(plan, "fits", total <= 2.4e9);
    lines = cJSON_AddArrayToObject(plan, "lines");
    static const char *const names[] = {"weights", "U-Net activations", "VAE decoder", "rewards", "scratch"};
    for (int i = 0; i < 5; i++) {
        cJSON *line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, "name", names[i]);
        cJSON_AddNumberToObject(line, "bytes", i == 0 ? 71e6 : (total - 71e6) / 4);
        cJSON_AddItemToArray(lines, line);
    }
    if (total > 2.4e9) {
        cJSON *remedies = cJSON_AddArrayToObject(plan, "remedies"), *remedy = cJSON_CreateObject();
        cJSON_AddStringToObject(remedy, "label", "batch 8");
        cJSON_AddNumberToObject(cJSON_AddObjectToObject(remedy, "set"), "batch", 8);
        cJSON_AddItemToArray(remedies, remedy);
    }
    return plan;
}

static void log_request(const struct engine *engine, const cJSON *message)
{
    FILE *file = engine->request_log ? fopen(engine->request_log, "a") : NULL;
    char *text = cJSON_PrintUnformatted(message);
    if (file && text) fprintf(file, "%s\n", text);
    if (file) fclose(file);
    cJSON_free(text);
}

static void answer(struct engine *engine, struct peer *peer, const char *type, const cJSON *message)
{
    int id = (int)json_get_integer(message, "id", 0);
    log_request(engine, message);
    if (strcmp(type, "hello") == 0) {
        cJSON *state = state_message(engine);
        cJSON_AddNumberToObject(state, "seq", (double)engine->sequence);
        send_json(peer, state);
        cJSON_Delete(state);
        send_pictures(engine, peer);
        return;
    }
    cJSON *reply = reply_to(id, true);
    if (strcmp(type, "catalogue") == 0)
        cJSON_AddItemToObject(reply, "catalogue", catalogue(engine));
    else if (strcmp(type, "runs") == 0)
        cJSON_AddItemToObject(reply, "runs", runs_list(engine));
    else if (strcmp(type, "plan") == 0)
        cJSON_AddItemToObject(reply, "plan", plan_of(message));
    else if (strcmp(type, "start") == 0) {
        cJSON_AddStringToObject(reply, "run", engine->folder);
        cJSON_AddStringToObject(reply, "socket", engine->socket_path);
    } else if (strcmp(type, "set") == 0)
        answer_set(engine, message, reply);
    send_json(peer, reply);
    cJSON_Delete(reply);
    if (strcmp(type, "pause") == 0) set_phase(engine, "paused");
    if (strcmp(type, "continue") == 0) set_phase(engine, "running");
    if (strcmp(type, "sample") == 0) {
        double scale = json_get_number(cJSON_GetArrayItem(json_get(message, "adapters"), 0), "scale", 0);
        send_picture(engine, peer, "sample", 0, SIDE, scale, 0, id);
        cJSON *sampled = cJSON_CreateObject();
        cJSON_AddStringToObject(sampled, "type", "sampled");
        cJSON_AddNumberToObject(sampled, "re", id);
        cJSON_AddBoolToObject(sampled, "ok", 1);
        send_json(peer, sampled);
        cJSON_Delete(sampled);
    }
    if (strcmp(type, "stop") == 0) {
        cJSON *end = cJSON_CreateObject();
        cJSON_AddStringToObject(end, "type", "end");
        cJSON_AddStringToObject(end, "phase", "stopped");
        cJSON_AddNumberToObject(end, "step", engine->step);
        cJSON_AddStringToObject(end, "text", "stopped, adapter saved");
        snprintf(engine->phase, sizeof engine->phase, "stopped");
        broadcast(engine, end);
    }
    if (strcmp(type, "test-error") == 0) _exit(9);
}

static void on_frame(void *context, struct peer *peer, const struct frame *frame)
{
    cJSON *message = message_object(frame->payload, frame->bytes);
    if (message) answer(context, peer, json_get_text(message, "type", ""), message);
    cJSON_Delete(message);
}

static void welcome(void *context, struct peer *peer)
{
    const struct engine *engine = context;
    cJSON *hello = cJSON_CreateObject();
    cJSON_AddStringToObject(hello, "type", "hello");
    cJSON_AddStringToObject(hello, "name", "alignprop");
    cJSON_AddNumberToObject(hello, "min", 1);
    cJSON_AddNumberToObject(hello, "max", 1);
    cJSON_AddStringToObject(hello, "run", engine->folder);
    send_json(peer, hello);
    cJSON_Delete(hello);
}

static void finish_step(struct engine *engine)
{
    engine->step++;
    engine->denoising = 0;
    for (int i = 0; i < 2; i++) {
        if (isnan(engine->pending[i])) continue;
        cJSON *event = cJSON_CreateObject(), *line = cJSON_AddObjectToObject(event, "line");
        char key[64];
        snprintf(key, sizeof key, "rewards.%s.weight", reward_ids[i]);
        cJSON_AddStringToObject(event, "type", "event");
        cJSON_AddStringToObject(line, "event", "set");
        cJSON_AddNumberToObject(line, "step", engine->step);
        cJSON_AddStringToObject(line, "key", key);
        cJSON_AddNumberToObject(line, "from", engine->weights[i]);
        cJSON_AddNumberToObject(line, "to", engine->pending[i]);
        engine->weights[i] = engine->pending[i];
        engine->pending[i] = NAN;
        append_line(engine, line);
        broadcast(engine, event);
    }
    cJSON *message = cJSON_CreateObject(), *line = metrics_line(engine, engine->step);
    long long bytes = append_line(engine, line);
    cJSON_AddStringToObject(message, "type", "metrics");
    cJSON_AddNumberToObject(message, "bytes", (double)bytes);
    cJSON_AddItemToObject(message, "line", line);
    broadcast(engine, message);
    if (engine->step % 10 == 0) save_samples(engine, engine->step);
    for (int i = 0; i < MOST_PEERS && engine->step % 5 == 0; i++)
        if (engine->peers.peer[i].descriptor >= 0) send_pictures(engine, &engine->peers.peer[i]);
    if (engine->step == engine->die_at) _exit(9);
}

/* A twentieth of a step: one denoising step and its picture. */
static void advance(struct engine *engine)
{
    if (strcmp(engine->phase, "running") != 0 || engine->step >= engine->steps) return;
    engine->denoising++;
    cJSON *progress = cJSON_CreateObject();
    cJSON_AddStringToObject(progress, "type", "progress");
    cJSON_AddNumberToObject(progress, "step", engine->step + 1);
    cJSON_AddStringToObject(progress, "phase", engine->denoising <= 12 ? "sampling" : "backward");
    cJSON_AddNumberToObject(progress, "done", engine->denoising);
    cJSON_AddNumberToObject(progress, "total", DENOISING_STEPS);
    broadcast(engine, progress);
    for (int i = 0; i < MOST_PEERS; i++) {
        struct peer *peer = &engine->peers.peer[i];
        if (peer->descriptor >= 0 && peer->out.length < MARGIN)
            send_picture(engine, peer, "denoising", 0, 16, apart(engine->step),
                         1 - (double)engine->denoising / DENOISING_STEPS, 0);
    }
    if (engine->denoising >= DENOISING_STEPS) finish_step(engine);
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    if (file && text && fread(text, 1, (1 << 20) - 1, file) == 0) text[0] = '\0';
    if (file) fclose(file);
    return text;
}

int main(int count, char **words)
{
    struct engine engine = {.step = 40, .steps = 100, .weights = {1.0, 0.05}, .pending = {NAN, NAN}, .rate = 0.001};
    if (count < 4) {
        fprintf(stderr, "fake_engine CATALOGUE SOCKET RUN_FOLDER [--step N] [--every MS] ...\n");
        return 2;
    }
    engine.catalogue_text = read_text(words[1]);
    snprintf(engine.socket_path, sizeof engine.socket_path, "%s", words[2]);
    snprintf(engine.folder, sizeof engine.folder, "%s", words[3]);
    snprintf(engine.name, sizeof engine.name, "two-cats");
    snprintf(engine.phase, sizeof engine.phase, "running");
    for (int at = 4; at + 1 < count; at += 2) {
        if (strcmp(words[at], "--step") == 0) engine.step = atoi(words[at + 1]);
        if (strcmp(words[at], "--steps") == 0) engine.steps = atoi(words[at + 1]);
        if (strcmp(words[at], "--every") == 0) engine.every = atoi(words[at + 1]);
        if (strcmp(words[at], "--die-at") == 0) engine.die_at = atoi(words[at + 1]);
        if (strcmp(words[at], "--state") == 0) snprintf(engine.phase, sizeof engine.phase, "%s", words[at + 1]);
        if (strcmp(words[at], "--log") == 0) engine.request_log = words[at + 1];
        if (strcmp(words[at], "--name") == 0) snprintf(engine.name, sizeof engine.name, "%s", words[at + 1]);
    }
    write_folder(&engine);
    if (!peers_open(&engine.peers, engine.socket_path)) {
        perror(engine.socket_path);
        return 1;
    }
    const struct peer_hooks hooks = {.context = &engine, .came = welcome, .said = on_frame};
    int64_t last = clock_milliseconds();
    for (;;) {
        int period = engine.every > 0 ? engine.every / DENOISING_STEPS : -1;
        peers_serve(&engine.peers, engine.every > 0 ? (period > 0 ? period / 2 + 1 : 1) : -1, &hooks);
        int64_t now = clock_milliseconds();
        if (engine.every > 0 && now - last >= period) {
            last = now;
            advance(&engine);
        }
    }
}
