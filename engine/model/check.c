/* Opens what a path holds by its kind, builds its graphs and looks for every tensor, collecting all problems. */
#include "engine/model/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/adapter_set.h"
#include "engine/model/aesthetic_head.h"
#include "engine/model/clip_model.h"
#include "engine/model/internal.h"
#include "engine/model/model_kind.h"
#include "engine/model/owlvit_model.h"
#include "engine/model/recognise.h"

static void add_problem(struct model_report *report, const status *problem)
{
    if (report->problem_count < MODEL_REPORT_PROBLEMS)
        snprintf(report->problems[report->problem_count], sizeof report->problems[0], "%s", problem->message);
    report->problem_count++;
}

/* A status that is a finding, not a failure of the check; true for a success. */
static bool good(struct model_report *report, status result)
{
    if (result.code != STATUS_OK) add_problem(report, &result);
    return result.code == STATUS_OK;
}

static void name_kind(struct model_report *report, const char *kind, const char *summary)
{
    snprintf(report->kind_description, sizeof report->kind_description, "%s", kind);
    snprintf(report->summary, sizeof report->summary, "%s", summary);
}

/* Reading says whether it is there, of the right shape and finite. */
static status check_tensor(struct model_report *report, const struct tensor *tensor, struct weight_source weights)
{
    int64_t count = shape_elements(&tensor->shape);
    float *values = malloc((size_t)count * sizeof values[0]);
    if (!values) return status_error(STATUS_NO_MEMORY, "no memory to read tensor %s", tensor->name);
    report->tensors++;
    report->parameters += count;
    good(report, weight_source_read(weights, tensor->name, &tensor->shape, values));
    free(values);
    return status_ok();
}

/* Reads every constant of the graph and destroys it. */
static status check_graph(struct model_report *report, const char *path, struct graph *graph,
                          struct weight_source weights)
{
    status result = status_ok();
    bool built = good(report, status_context(graph_state(graph), "%s", path));
    for (tensor_id id = 0; built && id < graph_tensor_count(graph) && result.code == STATUS_OK; id++) {
        const struct tensor *tensor = graph_tensor(graph, id);
        if (tensor->role == TENSOR_CONSTANT && tensor->storage == id) result = check_tensor(report, tensor, weights);
    }
    graph_destroy(graph);
    return result;
}

static status check_part(struct model_report *report, struct model *model, enum model_part part)
{
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    model_build_small_part(model, part, graph);
    return check_graph(report, model->facts.path, graph, part_weights_source(&model->parts[part]));
}

static status check_diffusion(struct model_report *report, const char *path)
{
    struct model *model;
    if (!good(report, model_open_without_weights(path, &model))) return status_ok();
    const struct model_facts *facts = &model->facts;
    snprintf(report->summary, sizeof report->summary, "%s %s, %dx%d pictures, %s prediction", facts->architecture,
             model_kind_description(MODEL_KIND_DIFFUSION), facts->default_size.width, facts->default_size.height,
             facts->schedule.prediction == PREDICTION_V ? "v" : "epsilon");
    status result = status_ok();
    for (int part = 0; part < MODEL_PART_COUNT && result.code == STATUS_OK; part++)
        result = check_part(report, model, (enum model_part)part);
    if (result.code == STATUS_OK && report->problem_count == 0) result = model_remark_leftovers(model);
    report->remarks = model->remarks;
    model_close(model);
    return result;
}

static status check_clip(struct model_report *report, const char *path)
{
    struct clip_model *model;
    if (!good(report, clip_model_open(path, &model))) return status_ok();
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    const int64_t one = 1, side = 64, context = clip_model_context(model);
    tensor_id pictures = graph_input(graph, "pictures", SHAPE4(one, side, side, (int64_t)3), ELEMENT_F32);
    clip_model_build_pictures(model, graph, pictures, "");
    clip_model_build_texts(model, graph, graph_input(graph, "ids", SHAPE2(one, context), ELEMENT_I32),
                           graph_input(graph, "ends", SHAPE2(one, one), ELEMENT_I32), "");
    status result = check_graph(report, path, graph, clip_model_weights(model));
    report->remarks = *clip_model_remarks(model);
    clip_model_close(model);
    return result;
}

static status check_detector(struct model_report *report, const char *path)
{
    struct owlvit_model *model;
    if (!good(report, owlvit_model_open(path, &model))) return status_ok();
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    const int64_t one = 1, side = 64, context = owlvit_model_context(model);
    owlvit_model_build_texts(model, graph, graph_input(graph, "ids", SHAPE2(one, context), ELEMENT_I32),
                             graph_input(graph, "ends", SHAPE2(one, one), ELEMENT_I32), "");
    tensor_id pictures = graph_input(graph, "pictures", SHAPE4(one, side, side, (int64_t)3), ELEMENT_F32);
    tensor_id features = owlvit_model_build_features(model, graph, pictures, "");
    owlvit_model_build_detections(
        model, graph, features,
        graph_input(graph, "queries", SHAPE3(one, one, owlvit_model_projection(model)), ELEMENT_F32), "");
    status result = check_graph(report, path, graph, owlvit_model_weights(model));
    report->remarks = *owlvit_model_remarks(model);
    owlvit_model_close(model);
    return result;
}

static status check_aesthetic(struct model_report *report, const char *path)
{
    struct aesthetic_head head;
    if (!good(report, aesthetic_head_open(path, &head))) return status_ok();
    report->parameters = head.width + 1;
    snprintf(report->summary, sizeof report->summary, "%s on embeddings of %lld numbers",
             model_kind_description(MODEL_KIND_AESTHETIC), (long long)head.width);
    aesthetic_head_clear(&head);
    return status_ok();
}

/* ---- what is no whole model ---- */

static status check_entry(struct model_report *report, const struct safetensors_entry *entry)
{
    float *values = malloc((size_t)entry->elements * sizeof values[0] + 1);
    if (!values) return status_error(STATUS_NO_MEMORY, "no memory to read tensor %s", entry->name);
    report->tensors++;
    report->parameters += entry->elements;
    good(report, status_context(safetensors_convert(entry, values), "%s", safetensors_path(entry->file)));
    free(values);
    return status_ok();
}

/* Every tensor of a file whose layout is another's affair. */
static status check_all_tensors(struct model_report *report, const char *path)
{
    struct tensor_files *files;
    if (!good(report, tensor_files_open(path, &files))) return status_ok();
    status result = status_ok();
    for (size_t i = 0; i < tensor_files_count(files) && result.code == STATUS_OK; i++)
        result = check_entry(report, tensor_files_entry_at(files, i));
    tensor_files_close(files);
    return result;
}

static status check_recognised(struct model_report *report, const char *path, const struct recognised *recognised)
{
    char summary[sizeof report->summary];
    snprintf(summary, sizeof summary, "%s; %s", recognised->description, recognised->advice);
    name_kind(report, recognised->kind, recognised->usable ? summary : recognised->description);
    if (!recognised->usable) good(report, recognised_refused(path, recognised));
    return recognised->usable && !path_is_directory(path) ? check_all_tensors(report, path) : status_ok();
}

/* An adapter is no model, but it is what many such files are. */
static status check_adapter(struct model_report *report, const char *path)
{
    struct adapter_set set;
    report->recognised = true;
    snprintf(report->kind_description, sizeof report->kind_description, "LoRA adapter");
    snprintf(report->summary, sizeof report->summary, "LoRA adapter");
    if (!good(report, adapter_file_read(path, &set))) return status_ok();
    adapter_set_describe(&set, report->summary, sizeof report->summary);
    report->tensors = 2 * (int64_t)set.count;
    for (int i = 0; i < set.count; i++)
        report->parameters += shape_elements(&set.modules[i].down_shape) + shape_elements(&set.modules[i].up_shape);
    adapter_set_clear(&set);
    return status_ok();
}

status model_check(const char *path, struct model_report *report)
{
    static status (*const checks[MODEL_KIND_COUNT])(struct model_report *, const char *) = {
        [MODEL_KIND_DIFFUSION] = check_diffusion,
        [MODEL_KIND_CLIP] = check_clip,
        [MODEL_KIND_DETECTOR] = check_detector,
        [MODEL_KIND_AESTHETIC] = check_aesthetic,
    };
    struct recognised recognised;
    *report = (struct model_report){.kind = MODEL_KIND_DIFFUSION, .kind_description = "unknown"};
    report->problems = memory_take(MODEL_REPORT_PROBLEMS, sizeof report->problems[0]);
    if (adapter_is_at(path)) return check_adapter(report, path);
    report->recognised = model_kind_of(path, &report->kind);
    if (report->recognised) {
        name_kind(report, model_kind_description(report->kind), model_kind_description(report->kind));
        return checks[report->kind](report, path);
    }
    if (model_recognise(path, &recognised)) return check_recognised(report, path, &recognised);
    /* What is not recognised is opened as a text-to-image model, whose messages say what is missing. */
    snprintf(report->summary, sizeof report->summary, "not recognised as a model");
    return check_diffusion(report, path);
}

void model_report_clear(struct model_report *report)
{
    free(report->problems);
    report->problems = NULL;
}
