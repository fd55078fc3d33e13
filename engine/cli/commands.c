/* The table of commands: names, options, arguments and their help, for parsing, --help, man page and completions. */
#include "engine/cli/command.h"

/* Versions of clang-format differ about braces in a macro. */
/* clang-format off */
#define END {NULL, 0, NULL, NULL, COMPLETE_NOTHING, NULL}
/* clang-format on */

static const struct option tune_options[] = {
    {"run", 0, "DIR", "folder of the run; must not exist or be empty", COMPLETE_FOLDER, NULL},
    {"from", 0, "RUN[@STEP]", "begin with the adapter of that run's checkpoint", COMPLETE_RUN, NULL},
    {"steps", 0, "N", "optimiser steps, in place of the preset's", COMPLETE_NOTHING, NULL},
    {"seed", 0, "S", "seed, in place of the preset's", COMPLETE_NOTHING, NULL},
    {"detach", 0, NULL, "go on in the background and print the run's folder", COMPLETE_NOTHING, NULL},
    {"queue", 0, NULL, "wait until no other run works on the device", COMPLETE_NOTHING, NULL},
    END};

static const struct option resume_options[] = {
    {"steps", 0, "N", "the new total of optimiser steps", COMPLETE_NOTHING, NULL},
    {"other-weights", 0, NULL, "go on though a model's weights are not those the run began with", COMPLETE_NOTHING,
     NULL},
    {"detach", 0, NULL, "go on in the background", COMPLETE_NOTHING, NULL},
    {"queue", 0, NULL, "wait until no other run works on the device", COMPLETE_NOTHING, NULL},
    END};

static const struct option sample_options[] = {
    {"preset", 0, "PRESET", "model, sampler and held-out prompts of a preset", COMPLETE_PRESET, NULL},
    {"model", 0, "MODEL", "a model without adapter", COMPLETE_FILE, NULL},
    {"run", 0, "RUN[@STEP]", "a run's model and sampler with its adapter", COMPLETE_RUN, NULL},
    {"prompt", 'p', "TEXT", "what to show (repeatable)", COMPLETE_NOTHING, NULL},
    {"negative", 0, "TEXT", "what not to show", COMPLETE_NOTHING, NULL},
    {"count", 'n', "N", "pictures; by default one a prompt", COMPLETE_NOTHING, NULL},
    {"seed", 0, "S", "seed of the first picture", COMPLETE_NOTHING, NULL},
    {"steps", 0, "N", "denoising steps", COMPLETE_NOTHING, NULL},
    {"guidance", 0, "G", "how strongly the prompt leads; 1: no guidance", COMPLETE_NOTHING, NULL},
    {"sampler", 0, "NAME", "how noise becomes a picture", COMPLETE_SAMPLER, NULL},
    {"lora", 0, "FILE[:SCALE]", "adapter's file or folder, at SCALE (repeatable)", COMPLETE_FILE, NULL},
    {"size", 0, "WxH", "picture size in pixels", COMPLETE_NOTHING, NULL},
    {"output", 'o', "PATH", "FILE.png for one picture, else a folder; made where it is missing", COMPLETE_FILE, NULL},
    END};

static const struct option score_options[] = {
    {"reward", 'r', "NAME[:KEY=VALUE,...]", "what to score by (repeatable)", COMPLETE_NOTHING, NULL},
    {"prompt", 'p', "TEXT", "the prompt of all pictures", COMPLETE_NOTHING, NULL},
    {"model", 0, "MODEL", "the model whose reward models are taken; emoji by default", COMPLETE_FILE, NULL},
    END};

static const struct option show_options[] = {{"format", 0, "FORMAT", "how pictures reach the terminal",
                                              COMPLETE_NOTHING, "auto kitty sixel iterm2 symbols none"},
                                             {"width", 0, "CELLS", "width in character cells", COMPLETE_NOTHING, NULL},
                                             END};

static const struct option studio_options[] = {
    {"pictures", 0, "FORMAT", "how pictures reach the terminal", COMPLETE_NOTHING,
     "auto kitty sixel iterm2 symbols none"},
    {"no-mouse", 0, NULL, "leave the mouse to the terminal", COMPLETE_NOTHING, NULL},
    END};

static const struct option export_options[] = {
    {"format", 0, "FORMAT", "kohya (A1111, ComfyUI, diffusers) or peft", COMPLETE_NOTHING, "kohya peft"},
    {"scale", 0, "S", "strength to write into the file", COMPLETE_NOTHING, NULL},
    {"output", 'o', "FILE", "the .safetensors file to write: a new name or a regular file, none of a run's own",
     COMPLETE_FILE, NULL},
    END};

static const struct option bench_options[] = {
    {"steps", 0, "N", "optimiser steps to measure; 2 by default", COMPLETE_NOTHING, NULL},
    {"kernels", 0, NULL, "also a step's time by class of kernel, against what the machine can do", COMPLETE_NOTHING,
     NULL},
    END};

static const struct option gradcheck_options[] = {
    {"timesteps", 0, "T", "denoising steps of the reduced chain; 4 by default", COMPLETE_NOTHING, NULL},
    {"kept", 0, "K", "steps that carry gradient; 3 by default", COMPLETE_NOTHING, NULL},
    END};

static const struct option engine_options[] = {
    {"fd", 0, "N", "serve the one connection that is open as descriptor N", COMPLETE_NOTHING, NULL}, END};

const struct command commands[] = {
    {"tune", "PRESET", "tune a model toward the preset's rewards",
     "Shows progress on stderr; with --json prints one object a step. Ctrl-C finishes the step, saves and leaves with\n"
     "status 130; a second one gives up at once, losing nothing already saved.",
     1, 1, COMPLETE_PRESET, GROUP_JSON | GROUP_DEVICE | GROUP_SET | GROUP_MODELS, tune_options, command_tune},
    {"resume", "RUN", "go on with a run from its newest whole checkpoint",
     "Threads and device are as the run had them unless given. A preset or state that was changed, or a model with\n"
     "other weights than the run began with, ends it with status 3.",
     1, 1, COMPLETE_RUN, GROUP_JSON | GROUP_DEVICE | GROUP_MODELS, resume_options, command_resume},
    {"studio", "", "open the studio, as the program without a command does", NULL, 0, 0, COMPLETE_NOTHING, 0,
     studio_options, command_studio},
    {"attach", "[RUN]", "open the studio on a live engine", NULL, 0, 1, COMPLETE_RUN, 0, studio_options,
     command_attach},
    {"runs", "", "list runs, alive and finished", NULL, 0, 0, COMPLETE_NOTHING, GROUP_JSON, NULL, command_runs},
    {"stop", "RUN", "save and end a live run", NULL, 1, 1, COMPLETE_RUN, GROUP_JSON, NULL, command_stop},
    {"pause", "RUN", "pause a live run after the step in progress", NULL, 1, 1, COMPLETE_RUN, GROUP_JSON, NULL,
     command_pause},
    {"continue", "RUN", "go on with a paused run", NULL, 1, 1, COMPLETE_RUN, GROUP_JSON, NULL, command_continue},
    {"sample", "", "make pictures",
     "Writes PNG files (to the current folder without -o) and shows them inline where stdout is a terminal.", 0, 0,
     COMPLETE_NOTHING, GROUP_JSON | GROUP_DEVICE | GROUP_MODELS, sample_options, command_sample},
    {"score", "IMAGE...", "score pictures by rewards",
     "Example: alignprop score cat.png --reward count:object=cat,target=2 --prompt \"two cats\"\n"
     "PNG and JPEG files of up to 89478485 pixels are read as Pillow reads them: sample values are taken as sRGB,\n"
     "whatever gamma or profile the file names, 16 bits keep their upper byte, transparency is put on white by those\n"
     "values, CMYK is converted without a profile. EXIF orientation is applied. A picture that cannot be read or has\n"
     "no finite score is told of; the others are scored, and the exit status is that of the first failure.",
     1, -1, COMPLETE_FILE, GROUP_JSON | GROUP_DEVICE | GROUP_MODELS, score_options, command_score},
    {"show", "IMAGE...", "show PNG and JPEG pictures in the terminal",
     "They are read as by `alignprop score`. Within tmux, what is for the terminal is wrapped for it, which needs its\n"
     "option allow-passthrough. A terminal that takes text only (TERM=dumb) gets a line of it.",
     1, -1, COMPLETE_FILE, 0, show_options, command_show},
    {"export", "RUN[@STEP]", "write a run's adapter for other programs",
     "Reads back what it wrote and says how many of how many tensors match.", 1, 1, COMPLETE_RUN, GROUP_JSON,
     export_options, command_export},
    {"models", "[check PATH]", "list the models found, or say what a path holds and what is wrong with it", NULL, 0, 2,
     COMPLETE_FILE, GROUP_JSON | GROUP_MODELS, NULL, command_models},
    {"presets", "[list | show NAME | check FILE | path]", "list, show and check presets",
     "`show` prints every key with its value and where it came from. `check` makes the check that tuning begins with.\n"
     "Paths in a preset are relative to its file, those of --set to the current folder.",
     0, 2, COMPLETE_PRESET, GROUP_JSON | GROUP_SET | GROUP_MODELS, NULL, command_presets},
    {"plan", "PRESET", "memory and work of a preset on this device, before anything runs", NULL, 1, 1, COMPLETE_PRESET,
     GROUP_JSON | GROUP_DEVICE | GROUP_SET | GROUP_MODELS, NULL, command_plan},
    {"gradcheck", "PRESET", "check the chain's gradient against central differences",
     "In double precision, with batch 1, 4 denoising steps and 3 that carry gradient, whatever number the preset's\n"
     "method draws; of low-variance the mean over all its passes.",
     1, 1, COMPLETE_PRESET, GROUP_JSON | GROUP_SET | GROUP_MODELS, gradcheck_options, command_gradcheck},
    {"bench", "PRESET", "seconds and peak memory by phase",
     "Medians; of more than two steps without the first two, which load code and record.\n"
     "With --kernels the steps are made a second time, every operation waited for: calls, seconds, operations and "
     "bytes\n"
     "by class of kernel, and their floor at the rates of a large product and a large copy, measured then and there.",
     1, 1, COMPLETE_PRESET, GROUP_JSON | GROUP_DEVICE | GROUP_SET | GROUP_MODELS, bench_options, command_bench},
    {"doctor", "", "what this machine has: terminal, GPU, libraries, models, disk", NULL, 0, 0, COMPLETE_NOTHING,
     GROUP_JSON | GROUP_MODELS, NULL, command_doctor},
    {"engine", "", "an engine without a run, for a studio that has started nothing yet", NULL, 0, 0, COMPLETE_NOTHING,
     GROUP_DEVICE, engine_options, command_engine},
    {"generate", "man|bash|zsh|fish", "print the man page or a shell's completions", NULL, 1, 1, COMPLETE_NOTHING,
     GROUP_HIDDEN, NULL, command_generate},
    {NULL, NULL, NULL, NULL, 0, 0, COMPLETE_NOTHING, 0, NULL, NULL},
};
