/* A temporary folder, a small preset, and a session run under a script of requests. */
#ifndef ALIGNPROP_TESTS_RUN_FIXTURE_H
#define ALIGNPROP_TESTS_RUN_FIXTURE_H

#include "engine/run/session.h"
#include "tests/unit/run/fake_tuner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One request that arrives once `after_step` steps are done. */
struct scripted_request {
    int after_step;
    struct session_request request;
    bool sent;
};

struct script {
    struct scripted_request *requests;
    int count;
    int kill_after_step;      /* the process ends there as by kill -9; 0: never */
    int interrupt_after_step; /* Ctrl-C there; 0: never */
    bool within_steps;        /* requests arrive while a step is being made */
    void (*mishap)(int step); /* what happens outside when a step's line is told; NULL: nothing */
    volatile sig_atomic_t interrupts;
    bool gave_one, in_step;
    /* what was seen */
    int last_step, metrics_lines;
    enum session_phase last_phase;
    status last_answer;
    int answered_step;
};

int make_fixture(void **state);
int remove_fixture(void **state);

/* The fixture's folder, and a path in it. */
const char *fixture_path(const char *name);

/* 12 steps, checkpoints every 3 (all kept), samples every 4, rewards "a" (weight 1) and "b" (weight 0.5). */
void fixture_preset(struct preset *preset, const char *const *settings, int count);

/* Creates or (where the folder is a run already) resumes the run `name` and runs the session. `script` may be NULL. */
status fixture_run(const char *name, const struct preset *preset, struct script *script);

/* The run's tensors of lora.safetensors are the same bytes. */
void assert_same_adapter(const char *left, const char *right);

#endif
