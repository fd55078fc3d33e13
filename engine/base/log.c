/* Lines with their time and level, appended to an engine's log file. */
#include "engine/base/log.h"

#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

status log_open(struct log *log, const char *path)
{
    log->file = NULL;
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", path);
    log->file = fdopen(descriptor, "a");
    if (!log->file) {
        int error_number = errno;
        close(descriptor);
        return status_errno(STATUS_FAILED, error_number, "cannot write %s", path);
    }
    return status_ok();
}

void log_write(struct log *log, const char *format, ...)
{
    if (!log || !log->file) return;
    time_t now = time(NULL);
    struct tm parts;
    char stamp[32] = "";
    if (gmtime_r(&now, &parts)) strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
    va_list arguments;
    va_start(arguments, format);
    struct text message = {0}, line = {0};
    text_append_arguments(&message, format, arguments);
    va_end(arguments);
    text_append_readable(&line, message.data, message.length, "");
    text_clear(&message);
    fprintf(log->file, "%s %s\n", stamp, line.data ? line.data : "");
    fflush(log->file);
    text_clear(&line);
}

void log_close(struct log *log)
{
    if (log->file) fclose(log->file);
    log->file = NULL;
}
