/* The jobs that need a model, done: `plan` and `sample`. And pictures as messages. */
#ifndef ALIGNPROP_SERVER_MODEL_JOB_WORK_H
#define ALIGNPROP_SERVER_MODEL_JOB_WORK_H

#include "engine/server/model_jobs.h"
#include "engine/server/picture_maker.h"
#include "engine/tuning/tuner.h"

/* What jobs are done with. */
struct work_means {
    struct server *server;
    struct backend *backend;
    struct picture_maker *maker;
    struct tuner *tuner;         /* of the run that is on; NULL: none */
    const struct preset *preset; /* of that run; NULL: none */
    const char *device;
};

/* Does the job and answers it. */
void work_on(const struct work_means *means, struct model_job *job);

/* Plans a preset that was not planned before, for the lists that show what it needs; true when there is a new plan. */
bool plan_ahead(const struct work_means *means, const char *preset_path);

/* The picture frame of a tuner's picture; borrows its pixels. */
struct server_picture picture_message(const struct tuner_picture *picture, const struct preset *preset);

#endif
