/* `gradcheck`: prints the chain's gradient beside central differences, direction by direction. */
#include "engine/tuning/gradcheck.h"
#include "engine/base/json.h"
#include "engine/base/range.h"
#include "engine/cli/work.h"

#include <stdio.h>

static const double tolerance = 1e-4;

static void print_report(const struct invocation *invocation, const struct preset *preset,
                         const struct gradcheck_report *report)
{
    if (!invocation->json) {
        for (int i = 0; i < GRADCHECK_DIRECTIONS; i++) {
            const struct gradcheck_direction *direction = &report->directions[i];
            printf("%-10s analytic %+.9e  numeric %+.9e  relative error %.2e\n", direction->name, direction->analytic,
                   direction->numeric, direction->relative_error);
        }
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "method", backprop_method_name((int)preset->method));
    cJSON_AddNumberToObject(object, "passes", report->passes);
    cJSON_AddNumberToObject(object, "batch", report->batch);
    cJSON_AddNumberToObject(object, "timesteps", report->steps);
    cJSON_AddNumberToObject(object, "kept", report->grad_steps);
    cJSON *directions = cJSON_AddArrayToObject(object, "directions");
    for (int i = 0; i < GRADCHECK_DIRECTIONS; i++) {
        cJSON *direction = cJSON_CreateObject();
        cJSON_AddStringToObject(direction, "name", report->directions[i].name);
        cJSON_AddNumberToObject(direction, "analytic", report->directions[i].analytic);
        cJSON_AddNumberToObject(direction, "numeric", report->directions[i].numeric);
        cJSON_AddNumberToObject(direction, "relative_error", report->directions[i].relative_error);
        cJSON_AddItemToArray(directions, direction);
    }
    cJSON_AddNumberToObject(object, "worst", report->worst);
    print_json(object);
    cJSON_Delete(object);
}

/* What of the method is checked: K is given, whatever the method draws. */
static void say_method(const struct invocation *invocation, const struct preset *preset)
{
    if (preset->method == BACKPROP_LOW_VARIANCE)
        say(invocation,
            "%s: the mean of the gradients through the last K steps, from the sampled latents and from %d "
            "renoised pictures",
            backprop_method_name((int)preset->method), preset->n);
    else
        say(invocation, "%s: the gradient through the last K steps", backprop_method_name((int)preset->method));
}

static status check(const struct invocation *invocation, struct work *work)
{
    int steps, grad_steps;
    TRY(option_int(invocation, "timesteps", 1, 1000, 4, &steps));
    TRY(option_int(invocation, "kept", 1, steps, min_int(steps, 3), &grad_steps));
    TRY(work_load_preset(invocation, invocation->arguments[0], NULL, 0, work));
    say(invocation, "reduced to batch 1, T = %d and K = %d, in double precision", steps, grad_steps);
    say_method(invocation, &work->preset);
    struct gradcheck_report report;
    TRY(work_name_preset(work, gradcheck_run(&work->preset, steps, grad_steps, &report)));
    print_report(invocation, &work->preset, &report);
    if (report.directions[0].analytic == 0 && report.directions[0].numeric == 0)
        say(invocation, "warning: the gradient is 0, so that little was checked; --kept %d takes in one step more",
            grad_steps + 1);
    if (report.worst <= tolerance) return status_ok();
    return status_error(STATUS_FAILED, "the gradient is wrong: relative error %.2e, allowed %.0e", report.worst,
                        tolerance);
}

status command_gradcheck(const struct invocation *invocation)
{
    struct work work = {0};
    status result = check(invocation, &work);
    work_close(&work);
    return result;
}
