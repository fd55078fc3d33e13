/* The best held-out reward so far, and at which step it was. */
#include "engine/base/memory.h"
#include "engine/run/session_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void session_measure(struct session *session, int step, const double *rewards)
{
    session_forget_after(session, step - 1);
    session->measured =
        memory_grow(session->measured, session->measured_count, &session->measured_capacity, sizeof *session->measured);
    struct measured_step *measured = &session->measured[session->measured_count++];
    *measured = (struct measured_step){.step = step};
    memcpy(measured->reward, rewards, (size_t)session->preset->reward_count * sizeof *rewards);
    session_find_best(session);
}

void session_forget_after(struct session *session, int step)
{
    while (session->measured_count > 0 && session->measured[session->measured_count - 1].step > step) {
        session->measured_count--;
    }
    session_find_best(session);
}

void session_find_best(struct session *session)
{
    session->best_step = -1;
    session->best_total = NAN;
    for (int i = 0; i < session->measured_count; i++) {
        double total = 0;
        for (int r = 0; r < session->preset->reward_count; r++) {
            total += session->settings.weights[r] * session->measured[i].reward[r];
        }
        if (!isfinite(total) || (session->best_step >= 0 && total <= session->best_total)) continue;
        session->best_step = session->measured[i].step;
        session->best_total = total;
    }
}
