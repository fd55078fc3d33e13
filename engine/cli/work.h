/* What commands that compute begin with: a preset with its model found, and a device. */
#ifndef ALIGNPROP_CLI_WORK_H
#define ALIGNPROP_CLI_WORK_H

#include "engine/cli/command.h"
#include "engine/model/library.h"
#include "engine/model/model.h"
#include "engine/model/remarks.h"
#include "engine/preset/preset.h"
#include "engine/run/run_folder.h"
#include "kernels/backend.h"

struct work {
    struct preset preset;
    bool has_preset;
    struct model_library library;
    struct model_facts facts; /* of the preset's model; its schedule's values are not kept (alpha_bar is NULL) */
    struct remarks remarks;   /* what opening that model noticed and went on from */
    struct backend *backend;
    char device[32]; /* "cpu", "cuda:0" */
    int threads;     /* of the CPU engine */
};

/* Lists the models, with --model-path. */
status work_open_library(const struct invocation *invocation, struct work *work);

/* Loads the preset with --set and `extra` settings (extra_count of them), prints its warnings, finds its model and
 * those of its rewards, and gives it the model's size where it leaves that open. */
status work_load_preset(const struct invocation *invocation, const char *name, const char *const *extra,
                        int extra_count, struct work *work);
/* The same for a preset that is loaded already. */
status work_resolve(const struct invocation *invocation, struct work *work);
/* Warns where the preset's model does not read all of a prompt: of the preset's (NULL prompts), or of `count` given on
 * the command line. */
status work_warn_of_cut_prompts(const struct invocation *invocation, const struct work *work,
                                const char *const *prompts, int count);
/* Both without the models of the rewards. */
status work_load_preset_to_sample(const struct invocation *invocation, const char *name, struct work *work);
status work_find_model(const struct invocation *invocation, struct work *work);

/* Whether the preset can be tuned, as tuner_check says it, naming its file. */
status work_check_tuning(const struct work *work);
/* The same result, naming the preset's file where the input is wrong. */
status work_name_preset(const struct work *work, status result);

/* Reads the facts of a model, and what opening it noticed. */
status work_read_facts(const char *model_path, struct model_facts *facts, struct remarks *remarks);
/* Each line as a warning. */
void work_say_remarks(const struct invocation *invocation, const struct remarks *remarks);

/* Opens --device with --threads; `device` and `threads` hold where these were not given ("auto" and 0: free choice).
 * Says what opening the model noticed. */
status work_open_device(const struct invocation *invocation, const char *device, int threads, struct work *work);

/* What "auto" opens: "cuda:0" where a usable GPU is there, else "cpu". */
const char *work_default_device(void);

void work_close(struct work *work);

/* Warns where the weights of the work's diffusion model are not those the run began with: its adapter was made for
 * these. */
void work_warn_of_other_weights(const struct invocation *invocation, const struct run_folder *folder,
                                const struct work *work);

/* Opens the run that "RUN" or "RUN@STEP" means; step -1: not given. Where a run has the whole argument as its name, an
 * @ in it is the name's. STATUS_USAGE for a step that is no number. */
status open_run_step(const char *argument, struct run_folder *folder, int *step);

#endif
