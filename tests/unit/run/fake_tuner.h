/* What a test can order of the fake tuner. */
#ifndef ALIGNPROP_TESTS_FAKE_TUNER_H
#define ALIGNPROP_TESTS_FAKE_TUNER_H

#include "engine/tuning/tuner.h"

struct fake_tuner_orders {
    int skip_step;    /* this step is not finite; 0: none */
    int give_up_from; /* no step from here on is finite */
    int lose_device;  /* this step fails halfway, as on a device that is lost; 0: none */
    int evaluations;  /* counts them */
    double bonus;     /* added to held-out rewards */
};
extern struct fake_tuner_orders fake_tuner_orders;

#endif
