/* Names, makes, opens and locks run folders, and writes engine.json. */
#include "engine/run/run_folder.h"

#include "engine/base/json.h"
#include "engine/base/paths.h"
#include "engine/base/seal.h"
#include "engine/base/text.h"
#include "engine/base/version.h"
#include "engine/run/run_register.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ENGINE_LIMIT = 1 << 16 };

status run_folder_home(char path[PATH_SIZE])
{
    char data[PATH_SIZE];
    TRY(paths_data(data));
    return path_format(path, "%s/runs", data);
}

/* The folder's own name with anything but letters, digits and -_. replaced. */
static void name_run(const char *path, char id[RUN_ID_SIZE])
{
    const char *slash = strrchr(path, '/');
    snprintf(id, RUN_ID_SIZE, "%s", slash && slash[1] ? slash + 1 : "run");
    for (char *p = id; *p; p++) {
        bool kept = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                    strchr("-_.", *p) != NULL;
        if (!kept) *p = '_';
    }
}

static status make_absolute(struct run_folder *folder)
{
    char resolved[PATH_MAX];
    if (!realpath(folder->path, resolved)) return status_errno(STATUS_BAD_INPUT, errno, "%s", folder->path);
    TRY(path_format(folder->path, "%s", resolved));
    name_run(folder->path, folder->id);
    return status_ok();
}

static bool is_empty(const char *path)
{
    struct name_list list;
    if (directory_list(path, &list).code != STATUS_OK) return false;
    bool empty = list.count == 0;
    name_list_clear(&list);
    return empty;
}

static status make_named(const char *path, struct run_folder *folder)
{
    if (!path[0]) return status_error(STATUS_BAD_INPUT, "the run's folder: expected a path, found an empty text");
    TRY(path_format(folder->path, "%s", path));
    if (access(path, F_OK) == 0 && !path_is_directory(path)) {
        return status_error(STATUS_BAD_INPUT,
                            "%s: already exists and is not a folder; choose another folder for the run", path);
    }
    if (path_is_directory(path) && !is_empty(path)) {
        return status_error(STATUS_BAD_INPUT,
                            "%s: already exists and is not empty; choose another folder for the run, or "
                            "`alignprop resume` to go on with it",
                            path);
    }
    return directory_make(folder->path);
}

/* A new folder "NAME-20260131-120000", with "-2" and so on when taken. */
static status make_unnamed(const char *name, struct run_folder *folder)
{
    char home[PATH_SIZE], stamp[32] = "";
    TRY(run_folder_home(home));
    TRY(directory_make(home));
    time_t now = time(NULL);
    struct tm parts;
    if (localtime_r(&now, &parts)) strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
    TRY(path_format(folder->path, "%s/%s-%s", home, name, stamp));
    for (int attempt = 2; mkdir(folder->path, 0777) != 0; attempt++) {
        if (errno != EEXIST || attempt > 1000) {
            return status_errno(STATUS_FAILED, errno, "cannot make folder %s", folder->path);
        }
        TRY(path_format(folder->path, "%s/%s-%s-%d", home, name, stamp, attempt));
    }
    return status_ok();
}

/* ---- finding ---- */

static bool holds_a_run(const char *path)
{
    char file[PATH_SIZE];
    return path_format(file, "%s/preset.json", path).code == STATUS_OK && path_is_file(file);
}

/* A run outside the default folder, by the last part of its path or by its id; of several the newest noted. */
static bool find_registered(const char *name, char path[PATH_SIZE])
{
    struct name_list noted;
    if (run_register_list(&noted).code != STATUS_OK) return false;
    bool found = false;
    for (int i = noted.count - 1; i >= 0 && !found; i--) {
        const char *slash = strrchr(noted.names[i], '/');
        char id[RUN_ID_SIZE];
        name_run(noted.names[i], id);
        found = (strcmp(slash + 1, name) == 0 || strcmp(id, name) == 0) && holds_a_run(noted.names[i]) &&
                path_format(path, "%s", noted.names[i]).code == STATUS_OK;
    }
    name_list_clear(&noted);
    return found;
}

static status not_found(const char *name, const char *home)
{
    struct name_list list = {0};
    const char *nearest = NULL;
    if (path_is_directory(home) && directory_list(home, &list).code == STATUS_OK) {
        nearest = text_nearest(name, (const char *const *)list.names, list.count);
    }
    status result = nearest ? status_error(STATUS_BAD_INPUT, "%s: no such run; did you mean \"%s\"?", name, nearest)
                            : status_error(STATUS_BAD_INPUT, "%s: no such run; `alignprop runs` lists them", name);
    name_list_clear(&list);
    return result;
}

status run_folder_open(const char *name_or_path, struct run_folder *folder)
{
    *folder = (struct run_folder){.lock = -1};
    char home[PATH_SIZE];
    TRY(run_folder_home(home));
    TRY(path_format(folder->path, "%s", name_or_path));
    bool found = holds_a_run(folder->path);
    if (!found && !strchr(name_or_path, '/')) {
        TRY(path_format(folder->path, "%s/%s", home, name_or_path));
        found = holds_a_run(folder->path) || find_registered(name_or_path, folder->path);
    }
    if (found) return make_absolute(folder);
    if (path_is_directory(name_or_path)) {
        return status_error(STATUS_BAD_INPUT, "%s: is not a run: it has no preset.json", name_or_path);
    }
    return not_found(name_or_path, home);
}

status run_folder_register(const struct run_folder *folder)
{
    char home[PATH_SIZE];
    TRY(run_folder_home(home));
    return run_register_add(folder->path, home);
}

/* ---- the lock ---- */

static status lock_path(const struct run_folder *folder, char path[PATH_SIZE])
{
    return path_format(path, "%s/engine.lock", folder->path);
}

/* Who looks whether a run is alive holds its lock for an instant, and a killed engine's goes a moment after it: a lock
 * that is held is tried for a little longer. */
static bool lock_soon(int descriptor)
{
    enum { ATTEMPTS = 30 };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt > 0) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK) return false;
    }
    errno = EWOULDBLOCK;
    return false;
}

status run_folder_lock(struct run_folder *folder)
{
    if (folder->lock >= 0) return status_ok();
    char path[PATH_SIZE];
    TRY(lock_path(folder, path));
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", path);
    int directory = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0 && lock_soon(descriptor)) {
        folder->lock = descriptor;
        folder->directory = directory;
        return status_ok();
    }
    int error_number = errno;
    close(descriptor);
    if (directory >= 0) close(directory);
    if (error_number != EWOULDBLOCK) return status_errno(STATUS_FAILED, error_number, "cannot lock %s", path);
    struct engine_facts facts;
    if (run_folder_engine(folder, &facts).code != STATUS_OK) facts.pid = 0;
    return status_error(STATUS_FAILED, "%s: another engine is already running this run (process %ld)", folder->path,
                        facts.pid);
}

void run_folder_unlock(struct run_folder *folder)
{
    if (folder->lock >= 0) {
        close(folder->lock);
        close(folder->directory);
    }
    folder->lock = -1;
}

static bool is_same(const struct stat *left, const struct stat *right)
{
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino;
}

/* Where the system says that the open folder is. */
static bool find_moved(const struct run_folder *folder, const struct stat *held, char path[PATH_SIZE])
{
    char link[64];
    struct stat facts;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder->directory);
    ssize_t length = readlink(link, path, PATH_SIZE - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    return stat(path, &facts) == 0 && is_same(&facts, held);
}

enum run_folder_place run_folder_place(const struct run_folder *folder, char path[PATH_SIZE])
{
    struct stat held, named;
    if (folder->lock < 0 || fstat(folder->directory, &held) != 0) return RUN_FOLDER_HERE;
    if (stat(folder->path, &named) == 0 && is_same(&held, &named)) return RUN_FOLDER_HERE;
    return find_moved(folder, &held, path) ? RUN_FOLDER_MOVED : RUN_FOLDER_REMOVED;
}

bool run_folder_is_alive(const struct run_folder *folder)
{
    if (folder->lock >= 0) return true;
    char path[PATH_SIZE];
    if (lock_path(folder, path).code != STATUS_OK) return false;
    struct input_file lock;
    if (input_file_open(path, &lock).code != STATUS_OK) return false;
    bool held = flock(lock.descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    input_file_close(&lock);
    return held;
}

/* ---- engine.json ---- */

status run_folder_announce(const struct run_folder *folder, const char *socket_path, const char *device, int threads)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/engine.json", folder->path));
    cJSON *facts = cJSON_CreateObject();
    cJSON_AddNumberToObject(facts, "pid", (double)getpid());
    cJSON_AddItemToObject(facts, "socket", socket_path ? cJSON_CreateString(socket_path) : cJSON_CreateNull());
    cJSON_AddStringToObject(facts, "version", ALIGNPROP_VERSION);
    cJSON_AddStringToObject(facts, "device", device ? device : "");
    cJSON_AddNumberToObject(facts, "threads", threads);
    status result = json_write_file(path, facts);
    cJSON_Delete(facts);
    return result;
}

static status fill_new(struct run_folder *folder, const struct preset *preset, const char *device, int threads)
{
    TRY(make_absolute(folder));
    TRY(run_folder_lock(folder));
    TRY(run_folder_announce(folder, NULL, device, threads));
    char file[PATH_SIZE];
    TRY(path_format(file, "%s/preset.json", folder->path));
    cJSON *sealed = cJSON_Duplicate(preset->resolved, true);
    seal_add(sealed);
    status result = json_write_file(file, sealed);
    cJSON_Delete(sealed);
    return result;
}

status run_folder_create(const char *path, const struct preset *preset, const char *device, int threads,
                         struct run_folder *folder)
{
    *folder = (struct run_folder){.lock = -1};
    if (!text_is_utf8(preset->model_path, strlen(preset->model_path), NULL))
        return status_error(
            STATUS_BAD_INPUT,
            "%s: the model's path is not UTF-8, and a run's preset cannot hold it; expected another name",
            preset->model_path);
    TRY(path ? make_named(path, folder) : make_unnamed(preset->name, folder));
    status result = fill_new(folder, preset, device, threads);
    if (result.code != STATUS_OK) {
        static const char *const begun[] = {"engine.lock", "engine.json"};
        char file[PATH_SIZE];
        for (size_t i = 0; i < sizeof begun / sizeof *begun; i++)
            if (path_format(file, "%s/%s", folder->path, begun[i]).code == STATUS_OK) unlink(file);
        /* A folder that holds anything else stays. */
        rmdir(folder->path);
        run_folder_unlock(folder);
    }
    return result;
}

static status read_engine(const char *path, const cJSON *tree, struct engine_facts *facts)
{
    struct json_object root;
    TRY(json_root(path, tree, &root));
    int64_t pid;
    const char *socket_path, *version, *device;
    TRY(json_integer(&root, "pid", 1, INT32_MAX, &pid));
    TRY(json_text_or(&root, "socket", "", &socket_path));
    TRY(json_text_or(&root, "version", "", &version));
    TRY(json_text_or(&root, "device", "", &device));
    TRY(json_int_or(&root, "threads", 0, 100000, 0, &facts->threads));
    facts->pid = (long)pid;
    snprintf(facts->socket_path, sizeof facts->socket_path, "%s", socket_path);
    snprintf(facts->version, sizeof facts->version, "%s", version);
    snprintf(facts->device, sizeof facts->device, "%s", device);
    return status_ok();
}

status run_folder_engine(const struct run_folder *folder, struct engine_facts *facts)
{
    *facts = (struct engine_facts){0};
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/engine.json", folder->path));
    cJSON *tree;
    TRY(json_read_file(path, ENGINE_LIMIT, &tree));
    status result = read_engine(path, tree, facts);
    cJSON_Delete(tree);
    return result;
}

status run_folder_preset(const struct run_folder *folder, struct preset *preset, bool *sealed)
{
    *preset = (struct preset){0};
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/preset.json", folder->path));
    cJSON *tree;
    bool known;
    TRY(json_read_file(path, RESOLVED_PRESET_LIMIT, &tree));
    status result = seal_take(tree, path, &known);
    if (sealed) *sealed = known;
    if (result.code == STATUS_OK) result = preset_from_json(tree, path, folder->path, NULL, 0, preset, NULL);
    cJSON_Delete(tree);
    return result;
}
