/* How quick and how light the studio is, measured on a pseudo terminal beside a bare ncurses program.
 *
 * bench_studio PROGRAM ECHO PRESET [KEYS]
 *
 * First the studio is started again and again, each time without anything kept from before, at 80x24. While PROGRAM
 * then tunes PRESET with a thread on every core, keys are typed into the studio, over pictures that come in as sixels
 * and into its palette, and at the same time into ECHO, and the time until each is on the screen is taken. Then the
 * studio rests, first on its home screen, then at a paused run, and its processor time is taken. Last a 512x512 picture
 * is encoded. The report is a JSON object on standard output. */
#include "engine/base/clock.h"
#include "tests/tui/pseudo_terminal.h"
#include "tui/pictures/encode.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_KEYS = 1000, IDLE_MILLISECONDS = 20000, ENCODINGS = 9, SIDE = 512, CELL = 8, START = 60000, STARTS = 20 };

static const char *program, *echo, *preset;
static int key_count = 200;

static int ascending(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static double percentile(double *times, int count, int percent)
{
    qsort(times, (size_t)count, sizeof *times, ascending);
    return times[(count - 1) * percent / 100];
}

static void must(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "bench_studio: %s\n", what);
    exit(1);
}

static pid_t start_engine(const char *folder)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    pid_t engine = fork();
    if (engine != 0) return engine;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(program, program, "tune", preset, "--run", folder, "--steps", "100000", "--threads", threads, "--quiet",
          (char *)NULL);
    _exit(127);
}

/* Milliseconds from a key to the words it brings to the screen. */
static double time_key(struct session *session, const char *key, const char *message)
{
    size_t from = session->output.length;
    double start = 1e3 * clock_steady();
    session_type(session, key);
    must(session_wait(session, from, message, 10000), "a key's answer never came to the screen");
    return 1e3 * clock_steady() - start;
}

/* Letters into a field, emptied after each. They are Cyrillic: nothing else on the screen, and no byte of a picture,
 * looks like them. */
static void time_letters(struct session *session, double *times)
{
    for (int key = 0; key < key_count; key++) {
        char letter[3] = {(char)0xd0, (char)(0xb0 + key % 16), 0};
        times[key] = time_key(session, letter, letter);
        session_type(session, "\025");
        session_pump(session, 80 + 37 * (key % 7));
    }
}

/* The key that lets the mouse go, over pictures that come in; the message line answers it. */
static void time_switch(struct session *session, double *times)
{
    for (int key = 0; key < key_count; key++) {
        times[key] = time_key(session, "M", "own selection");
        session_pump(session, 40 + 17 * (key % 7));
        time_key(session, "M", "\033[?1002h");
        session_pump(session, 120 + 23 * (key % 5));
    }
}

/* The bare program is typed into at the same time, by a process of its own: the load is the same for both. */
static pid_t type_into_bare(double *times)
{
    pid_t child = fork();
    if (child != 0) return child;
    struct session bare;
    const char *message[] = {echo, NULL};
    session_prepare(&bare);
    bare.silent = true;
    session_start_program(&bare, 40, 120, "xterm-256color", message);
    must(session_wait(&bare, 0, "ready", START), "the bare program does not start");
    time_letters(&bare, times);
    session_close(&bare);
    _exit(0);
}

static void measure_keys(struct session *studio, const char *name, void (*time_keys)(struct session *, double *))
{
    static double studio_times[MOST_KEYS];
    size_t size = MOST_KEYS * sizeof(double), pictures = 0;
    double *bare_times = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(bare_times != MAP_FAILED, "no memory");
    session_pump(studio, 1000);
    size_t from = studio->output.length;
    pid_t bare = type_into_bare(bare_times);
    int result = -1;
    time_keys(studio, studio_times);
    must(waitpid(bare, &result, 0) == bare && result == 0, "the bare program failed");
    for (size_t at = from; at + 1 < studio->output.length; at++)
        pictures += memcmp(studio->output.data + at, "\033P", 2) == 0;
    double ours = percentile(studio_times, key_count, 95), least = percentile(bare_times, key_count, 95);
    printf(" \"%s_ms\": {\"keys\": %d, \"studio_p50\": %.2f, \"studio_p95\": %.2f, \"bare_p50\": %.2f, "
           "\"bare_p95\": %.2f, \"above_p95\": %.2f, \"bar\": 16, \"picture_strips_meanwhile\": %zu},\n",
           name, key_count, percentile(studio_times, key_count, 50), ours, percentile(bare_times, key_count, 50), least,
           ours - least, pictures);
    munmap(bare_times, size);
}

static double thread_nanoseconds(pid_t process, const char *thread)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)process, thread);
    FILE *file = fopen(path, "r");
    double time = 0;
    must(file != NULL && fscanf(file, "%lf", &time) == 1, "no processor time of the studio");
    fclose(file);
    return time;
}

/* Nanoseconds that a process's threads have run, its children not counted. */
static double process_nanoseconds(pid_t process)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    must(threads != NULL, "no threads of the studio");
    double time = 0;
    for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads))
        if (entry->d_name[0] != '.') time += thread_nanoseconds(process, entry->d_name);
    closedir(threads);
    return time;
}

static double measure_share(struct session *session, int milliseconds)
{
    double before = process_nanoseconds(session->studio), start = 1e3 * clock_steady();
    session_pump(session, milliseconds);
    return 100 * (process_nanoseconds(session->studio) - before) / ((1e3 * clock_steady() - start) * 1e6);
}

/* Grounds, edges and grain: between a drawing and a photograph. */
static void paint(struct image *image)
{
    static unsigned char pixels[SIDE * SIDE * 3];
    unsigned seed = 5;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int channel = 0; channel < 3; channel++) {
                int disc = (x - 180) * (x - 180) + (y - 280) * (y - 280) < 120 * 120;
                int ground = 40 + (x * (channel + 1) + y * (3 - channel)) / 14;
                int value = (disc ? 230 - 60 * channel + (x - y) / 12 : ground) + (int)(rand_r(&seed) % 9);
                pixels[(y * SIDE + x) * 3 + channel] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
            }
    must(image_set(image, SIDE, SIDE, pixels), "no memory for a picture");
}

static void measure_encoding(void)
{
    struct image image = {0};
    struct encoded encoded = {0};
    paint(&image);
    struct encode_request request = {.image = &image,
                                     .rows = SIDE / (2 * CELL),
                                     .columns = SIDE / CELL,
                                     .cell_width = CELL,
                                     .cell_height = 2 * CELL,
                                     .largest_side = SIDE,
                                     .colors = 64,
                                     .strip_rows = 2};
    double times[ENCODINGS];
    size_t bytes = 0;
    for (int index = 0; index < ENCODINGS; index++) {
        encoded_clear(&encoded);
        double start = 1e3 * clock_processor();
        must(encode_sixel(&request, &encoded), "the picture could not be encoded");
        times[index] = 1e3 * clock_processor() - start;
        bytes = encoded.bytes.length;
    }
    double median = percentile(times, ENCODINGS, 50);
    printf(" \"sixel_512_64_colours\": {\"processor_ms_median\": %.1f, \"processor_ms_best\": %.1f, \"bytes\": %zu, "
           "\"bar_ms\": 40}\n",
           median, times[0], bytes);
    encoded_free(&encoded);
    image_free(&image);
}

static void leave(struct session *session)
{
    kill(session->studio, SIGTERM);
    session_end(session, 10000);
}

/* Nothing is kept from one start to the next: presets are planned and models listed anew. */
static void use_fresh_folders(const struct session *session)
{
    static const char *const names[] = {"XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "%s/%s", session->folder, names[index]);
        must(setenv(names[index], path, 1) == 0, "no memory");
    }
}

/* From the program's start to its first screen, and to the presets on it, which its engine process lists. */
static void measure_start(void)
{
    double first[STARTS], presets[STARTS];
    for (int index = 0; index < STARTS; index++) {
        struct session session;
        const char *message[] = {program, NULL};
        session_prepare(&session);
        use_fresh_folders(&session);
        double start = 1e3 * clock_steady();
        session_start_program(&session, 24, 80, "xterm-256color", message);
        must(session_wait(&session, 0, "Start from a preset", START), "the studio does not start");
        first[index] = 1e3 * clock_steady() - start;
        must(session_wait(&session, 0, "emoji-gentle-start", START), "the studio shows no presets");
        presets[index] = 1e3 * clock_steady() - start;
        leave(&session);
        session_close(&session);
    }
    double first_median = percentile(first, STARTS, 50), presets_median = percentile(presets, STARTS, 50);
    printf(" \"start_ms\": {\"runs\": %d, \"first_screen_median\": %.1f, \"first_screen_worst\": %.1f, "
           "\"presets_median\": %.1f, \"presets_worst\": %.1f, \"bar\": 200},\n",
           STARTS, first_median, percentile(first, STARTS, 100), presets_median, percentile(presets, STARTS, 100));
}

static void write_load(const char *when)
{
    double load[3] = {0};
    if (getloadavg(load, 3) == 3) printf(" \"load_%s\": [%.2f, %.2f, %.2f],\n", when, load[0], load[1], load[2]);
}

/* Repaints until the whole screen holds the words: what only changes is not written out in full. */
static bool comes_to_show(struct session *session, const char *message)
{
    for (int tries = 0; tries < START / 1000; tries++) {
        size_t from = session->output.length;
        session_type(session, "\f");
        if (session_wait(session, from, message, 1000)) return true;
    }
    return false;
}

int main(int count, char **message)
{
    if (count < 4) {
        fprintf(stderr, "bench_studio PROGRAM ECHO PRESET [KEYS]\n");
        return 2;
    }
    program = message[1], echo = message[2], preset = message[3];
    if (count > 4) key_count = atoi(message[4]) < MOST_KEYS ? atoi(message[4]) : MOST_KEYS;
    setvbuf(stdout, NULL, _IOLBF, 0); /* a run that is cut short has said what it measured */
    printf("{\n");
    write_load("at_start");
    measure_start();
    struct session studio;
    session_prepare(&studio);
    use_fresh_folders(&studio);
    studio.sixel = true;
    const char *attach[] = {program, "attach", studio.run, NULL}, *home[] = {program, NULL};

    session_start_program(&studio, 40, 120, "xterm-256color", home);
    must(session_wait(&studio, 0, "emoji", 10000), "the studio shows no presets");
    session_pump(&studio, 15000); /* the presets' plans are made meanwhile */
    double at_home = measure_share(&studio, IDLE_MILLISECONDS);
    leave(&studio);

    studio.engine = start_engine(studio.run);
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/metrics.jsonl", studio.run);
    for (int tries = 0; tries < START / 100 && access(path, F_OK) != 0; tries++) usleep(100000);
    session_start_program(&studio, 40, 120, "xterm-256color", attach);
    must(session_wait(&studio, 0, "running", START), "the run is not shown");
    session_pump(&studio, 3000);
    measure_keys(&studio, "key_to_screen_over_pictures", time_switch);
    session_type(&studio, ":");
    measure_keys(&studio, "key_to_screen_in_palette", time_letters);
    session_type(&studio, "\033");
    session_pump(&studio, 500);
    write_load("while_typing");
    double watching = measure_share(&studio, IDLE_MILLISECONDS);
    session_type(&studio, "p");
    must(comes_to_show(&studio, "paused"), "the run does not pause");
    session_pump(&studio, 5000);
    double at_pause = measure_share(&studio, IDLE_MILLISECONDS);
    printf(
        " \"processor_share_percent\": {\"home\": %.3f, \"paused_run\": %.3f, \"watching_a_run\": %.3f, \"bar_idle\": "
        "1},\n",
        at_home, at_pause, watching);
    measure_encoding();
    printf("}\n");
    session_close(&studio);
    return 0;
}
