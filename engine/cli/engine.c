/* `engine`: serves screens that have started nothing yet. */
#include "engine/base/version.h"
#include "engine/cli/work.h"
#include "engine/server/idle_engine.h"

#include <signal.h>

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
    (void)number;
    interrupts++;
}

struct engine_device {
    const struct invocation *invocation;
    struct work work;
};

static status open_backend(void *context, struct backend **backend)
{
    struct engine_device *device = context;
    TRY(work_open_device(device->invocation, "auto", 0, &device->work));
    *backend = device->work.backend;
    device->work.backend = NULL; /* the engine destroys it */
    return status_ok();
}

/* What `device` will be, without opening it. */
static const char *device_description(const struct invocation *invocation)
{
    const char *given = option_value(invocation, "device");
    return given ? given : work_default_device();
}

status command_engine(const struct invocation *invocation)
{
    int connection, threads;
    TRY(option_int(invocation, "fd", 0, 1 << 20, -1, &connection));
    TRY(option_int(invocation, "threads", 0, 1024, 0, &threads));
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    struct engine_device device = {.invocation = invocation};
    struct idle_engine_options options = {.connection = connection,
                                          .version = ALIGNPROP_VERSION,
                                          .program = invocation->program,
                                          .device = device_description(invocation),
                                          .threads = threads,
                                          .context = &device,
                                          .open_backend = open_backend,
                                          .interrupts = &interrupts};
    status result = idle_engine_serve(&options);
    work_close(&device.work);
    return result;
}
