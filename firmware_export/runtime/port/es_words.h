/* The values of a step that are compared, as int32 words: features, states in the order of memory, pooled operands,
 * outputs of dense layers, logits and label; with a decision stage its scores, the excess of its distance (if it has one) and the decision
 * (K: unknown). If no label is due, pooled operands, logits, scores and excess are 0, label and decision are -1. In
 * a build with ES_TRACE, four pre-activations per unit follow, layer by layer, gate by gate. Include this in only
 * one file of a program. */
#ifndef ES_WORDS_H
#define ES_WORDS_H

#include "edge_seq.h"
#include "es_decision.h"
#include "es_trace.h"

#define ES_WORDS_GATES 4u

static size_t es_words_plain(const es_model_t *model)
{
    /* All words of the stage's memory except four, and the decision. */
    const size_t decided = model->decision_words != 0u ? (size_t)model->decision_words - ES_DECISION_EXCESS + 1u : 0u;
    return (size_t)es_num_features(model) + model->state_words + es_read_out_words(model) + model->num_classes + 1u +
           decided;
}

#ifdef ES_TRACE
/* Destination of the current step's gates, and their model. Global, as the hook gets neither as a parameter. */
static int32_t *es_words_gates;
static const es_model_t *es_words_model;

void es_trace_gate(const es_layer_t *layer, unsigned gate, unsigned unit, int32_t value)
{
    const es_layer_t *other;
    size_t word = 0;
    for (other = es_words_model->layers; other < layer; other++) {
        word += (size_t)ES_WORDS_GATES * other->hidden_size;
    }
    es_words_gates[word + (size_t)gate * layer->hidden_size + unit] = value;
}

static size_t es_words_traced(const es_model_t *model)
{
    size_t words = 0;
    unsigned index;
    for (index = 0; index < es_num_layers(model); index++) {
        words += (size_t)ES_WORDS_GATES * model->layers[index].hidden_size;
    }
    return words;
}
#else
static size_t es_words_traced(const es_model_t *model)
{
    (void)model;
    return 0;
}
#endif

/* Number of words of a step. */
static size_t es_words_count(const es_model_t *model)
{
    return es_words_plain(model) + es_words_traced(model);
}

/* Call before each step. row: destination of its words, int32 [es_words_count]. */
static void es_words_begin(const es_model_t *model, int32_t *row)
{
#ifdef ES_TRACE
    size_t word;
    es_words_model = model;
    es_words_gates = row + es_words_plain(model);
    for (word = 0; word < es_words_traced(model); word++) {
        es_words_gates[word] = 0; /* of layers that do not run at this sample */
    }
#else
    (void)model;
    (void)row;
#endif
}

static int32_t *es_words_put16(int32_t *row, const int16_t *words, size_t count, int shown)
{
    for (; count > 0; count--) {
        *row++ = shown ? *words : 0;
        words++;
    }
    return row;
}

static void es_words_put_decision(const es_context_t *context, int label_due, int32_t *row)
{
    const unsigned num_classes = context->model->num_classes;
    const uint16_t decision = es_decision(context);
    unsigned index;
    for (index = 0; index < num_classes; index++) {
        *row++ = label_due ? context->logits[num_classes + index] : 0;
    }
    if (context->model->decision->distance != NULL) {
        *row++ = label_due ? context->logits[2u * num_classes + ES_DECISION_EXCESS] : 0;
    }
    *row = label_due ? (int32_t)(decision == ES_UNKNOWN ? num_classes : decision) : -1;
}

/* Call after each step, with the same row. */
static void es_words_put(const es_context_t *context, int label_due, int32_t *row)
{
    const es_model_t *const model = context->model;
    unsigned index;
    row = es_words_put16(row, context->features, es_num_features(model), 1);
    row = es_words_put16(row, context->states, model->state_words, 1);
    row = es_words_put16(row, context->scratch, es_read_out_words(model), label_due);
    for (index = 0; index < model->num_classes; index++) {
        *row++ = label_due ? es_logits(context)[index] : 0;
    }
    *row++ = label_due ? (int32_t)es_label(context) : -1;
    if (context->model->decision_words != 0u) {
        es_words_put_decision(context, label_due, row);
    }
}

#endif
