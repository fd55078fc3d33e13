/* Runs a text tower over texts that are new and keeps their embeddings. */
#include "engine/reward/text_encoder.h"

#include "engine/base/memory.h"
#include "engine/reward/host_program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

status text_tower_check(const struct text_tower *tower)
{
    struct graph *graph = graph_create(ELEMENT_F32, ELEMENT_F32);
    tensor_id ids = graph_input(graph, "ids", SHAPE2(1, tower->context), ELEMENT_I32);
    tower->build(tower->model, graph, ids, graph_input(graph, "end", SHAPE2(1, 1), ELEMENT_I32));
    status result = graph_state(graph);
    if (result.code == STATUS_OK) result = weight_source_check(tower->weights, graph);
    graph_destroy(graph);
    return result;
}

/* ---- one tower on a backend ---- */

struct encoder {
    const struct text_tower *tower;
    struct graph *graph;
    struct host_program *program;
    tensor_id ids, end, embedding;
    int32_t *token_ids;
    double *token_values, *result;
};

static void encoder_clear(struct encoder *encoder)
{
    host_program_destroy(encoder->program);
    graph_destroy(encoder->graph);
    free(encoder->token_ids);
    free(encoder->token_values);
    free(encoder->result);
}

static status encoder_open(struct encoder *encoder, struct backend *backend)
{
    const struct text_tower *tower = encoder->tower;
    encoder->token_ids = memory_take((size_t)tower->context, sizeof *encoder->token_ids);
    encoder->token_values = memory_take((size_t)tower->context, sizeof *encoder->token_values);
    encoder->result = memory_take((size_t)tower->width, sizeof *encoder->result);
    encoder->graph = graph_create(backend->interface->compute_type, backend->interface->accumulation_type);
    struct graph *graph = encoder->graph;
    encoder->ids = graph_input(graph, "ids", SHAPE2(1, tower->context), ELEMENT_I32);
    encoder->end = graph_input(graph, "end", SHAPE2(1, 1), ELEMENT_I32);
    tensor_id embedding = tower->build(tower->model, graph, encoder->ids, encoder->end);
    encoder->embedding =
        graph_output(graph, graph_convert(graph, embedding, graph_accumulation_type(graph)), "embedding");
    TRY(program_rewrite(backend, graph));
    TRY(graph_state(graph));
    return host_program_create(backend, graph, tower->weights, &encoder->program);
}

static status normalize(const double *from, int64_t width, const char *text, float *to)
{
    double squares = 0.0;
    for (int64_t i = 0; i < width; i++) squares += from[i] * from[i];
    if (!(squares > 0.0) || !isfinite(squares))
        return status_error(STATUS_BAD_INPUT,
                            "the embedding of \"%.100s\" is zero or not finite: the weights are wrong", text);
    for (int64_t i = 0; i < width; i++) to[i] = (float)(from[i] / sqrt(squares));
    return status_ok();
}

static status encode(struct encoder *encoder, const char *text, float *values)
{
    const struct text_tower *tower = encoder->tower;
    int32_t end;
    TRY(tower->tokenize(tower->model, text, encoder->token_ids, &end));
    for (int i = 0; i < tower->context; i++) encoder->token_values[i] = encoder->token_ids[i];
    double end_value = end;
    TRY(host_program_write(encoder->program, encoder->ids, encoder->token_values));
    TRY(host_program_write(encoder->program, encoder->end, &end_value));
    TRY(host_program_forward(encoder->program));
    TRY(host_program_read(encoder->program, encoder->embedding, encoder->result));
    return normalize(encoder->result, tower->width, text, values);
}

/* ---- known texts ---- */

void text_embeddings_clear(struct text_embeddings *known)
{
    for (int i = 0; i < known->count; i++) free(known->texts[i]);
    free(known->texts);
    free(known->values);
    *known = (struct text_embeddings){0};
}

const float *text_embeddings_find(const struct text_embeddings *known, const struct text_tower *tower, const char *text)
{
    for (int i = 0; i < known->count; i++)
        if (strcmp(known->texts[i], text) == 0) return known->values + (int64_t)i * tower->width;
    return NULL;
}

static status add_text(struct text_embeddings *known, struct encoder *encoder, const char *text)
{
    size_t width = (size_t)encoder->tower->width, next = (size_t)known->count + 1;
    known->texts = memory_resize(known->texts, next, sizeof *known->texts);
    known->values = memory_resize(known->values, next * width, sizeof *known->values);
    TRY(encode(encoder, text, known->values + (size_t)known->count * width));
    known->texts[known->count++] = memory_copy_text(text);
    return status_ok();
}

status text_embeddings_add(struct text_embeddings *known, const struct text_tower *tower, struct backend *backend,
                           const char *const *texts, int count)
{
    struct encoder encoder = {.tower = tower};
    status result = status_ok();
    for (int i = 0; i < count && result.code == STATUS_OK; i++) {
        if (text_embeddings_find(known, tower, texts[i]) != NULL) continue;
        if (encoder.program == NULL) result = encoder_open(&encoder, backend);
        if (result.code == STATUS_OK) result = add_text(known, &encoder, texts[i]);
    }
    encoder_clear(&encoder);
    return result;
}
