/* One step of a model: preprocessing, layers, pooling, head, decision stage (SPEC.md, section 7). */
#include "edge_seq.h"
#include "es_decision.h"
#include "es_head.h"

size_t es_context_bytes(const es_model_t *model)
{
    return ES_CONTEXT_BYTES((size_t)model->memory_words + model->pool_words + model->num_classes + model->decision_words,
                            (size_t)model->feature_words + model->state_words + model->scratch_words);
}

static void clear_words32(int32_t *words, unsigned count)
{
    while (count > 0u) {
        count--;
        words[count] = 0;
    }
}

static void clear_words16(int16_t *words, unsigned count)
{
    while (count > 0u) {
        count--;
        words[count] = 0;
    }
}

/* Clears states, sums and counters as a reset does; the latest label stays. */
static void clear_states(es_context_t *context)
{
    const es_model_t *const model = context->model;
    clear_words32(context->memory, model->memory_words);
    clear_words32(context->pools, model->pool_words);
    clear_words16(context->states, model->state_words);
    context->primed = 0;
    context->step_in_window = 0;
}

static void begin_window(es_context_t *context)
{
    if (context->model->carry != 0u) {
        clear_words32(context->pools, context->model->pool_words);
        context->step_in_window = 0;
    } else {
        clear_states(context);
    }
}

es_status_t es_init(const es_model_t *model, void *memory, size_t bytes, es_context_t **context)
{
    const uintptr_t alignment = ES_CONTEXT_ALIGNMENT;
    es_context_t *made;

    if (context == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    *context = NULL;
    if (model == NULL || memory == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    if (model->abi != ES_ABI) {
        return ES_ERROR_MODEL;
    }
    if ((uintptr_t)memory % alignment != 0u) {
        return ES_ERROR_ALIGNMENT;
    }
    if (bytes < es_context_bytes(model)) {
        return ES_ERROR_SIZE;
    }
    made = (es_context_t *)memory;
    made->model = model;
    made->memory = (int32_t *)(void *)(made + 1);
    made->pools = made->memory + model->memory_words;
    made->logits = made->pools + model->pool_words;
    made->features = (int16_t *)(void *)(made->logits + model->num_classes + model->decision_words);
    made->states = made->features + model->feature_words;
    made->scratch = made->states + model->state_words;
    clear_words16(made->features, model->feature_words); /* nothing writes the padding afterwards */
    es_reset(made);
    *context = made;
    return ES_OK;
}

void es_reset(es_context_t *context)
{
    clear_states(context);
    clear_words32(context->logits, (unsigned)context->model->num_classes + context->model->decision_words);
    context->label = ES_NO_LABEL;
}

es_status_t es_step(es_context_t *context, const int16_t *counts)
{
    const es_model_t *const model = context->model;
    const es_layer_t *layer = model->layers;
    const es_layer_t *const end = layer + model->num_layers;
    const int16_t *below = context->features;
    int16_t *state = context->states;
    const int16_t *pooled;
    int label_due;

    if (context->step_in_window == model->window_length) {
        begin_window(context);
    }
    model->preprocess(context, counts);
    for (; layer < end; layer++) {
        layer->step(layer, below, state, context->scratch);
        below = state;
        state += layer->state_words;
    }
    context->step_in_window++;
    label_due = 1;
    if (model->label_every_step == 0u && context->step_in_window != model->window_length) {
        label_due = 0;
    }
    pooled = model->pool(context, below, label_due);
    if (label_due == 0) {
        return ES_OK;
    }
    es_head_step(context, pooled);
    if (model->decision != NULL) {
        model->decision->step(context);
    }
    return ES_LABEL_READY;
}

const int32_t *es_logits(const es_context_t *context)
{
    return context->logits;
}

uint16_t es_label(const es_context_t *context)
{
    return context->label;
}

uint16_t es_decision(const es_context_t *context)
{
    const es_model_t *const model = context->model;
    const int32_t *const state = context->logits + model->num_classes + model->num_classes;
    uint16_t decision = ES_UNKNOWN;
    if (model->decision_words == 0u) {
        decision = context->label;
    } else if (state[ES_DECISION_PRIMED] == 0) {
        decision = ES_NO_LABEL;
    } else if (state[ES_DECISION_DECIDED] > 0) {
        const int32_t class_index = state[ES_DECISION_DECIDED] - 1;
        decision = (uint16_t)class_index;
    } else {
        /* unknown */
    }
    return decision;
}

const char *es_label_text(const es_model_t *model, uint16_t label)
{
    return label < model->num_classes ? model->labels[label] : "";
}
