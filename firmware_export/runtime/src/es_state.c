/* Saved states. All numbers are little-endian:
 *   8 bytes   first bytes of the model's hash
 *   2 bytes   step in window          2 bytes   1 if preprocessing has seen a sample, else 0
 *   4 bytes   for each word of preprocessing's memory, then of the pools, then of the decision stage
 *   2 bytes   for each word of the layers' states
 *   4 bytes   CRC-32 of all bytes before */
#include "es_both.h"
#include "es_crc.h"
#include "es_decision.h"
#include "es_fixed.h"
#include "es_front.h"
#include "es_operands.h"

#define HASH_PREFIX 8u
#define HEADER_BYTES 12u
#define CRC_BYTES 4u

/* Least and largest operands. */
#define FINE_LEAST ((int32_t)-32768)
#define FINE_LARGEST ((int32_t)32767)
#define COARSE_LIMIT ((int32_t)128)
/* Largest sum of the results of rows that see all steps. The range proof adds what the other steps can give. */
#define SUM_LIMIT ((int32_t)0x40000000)

static uint8_t *put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value & 0xFFu);
    at[1] = (uint8_t)(value >> 8);
    return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    return put16(put16(at, (uint16_t)(value & 0xFFFFu)), (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | ((uint16_t)at[1] << 8));
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) | ((uint32_t)get16(at + 2) << 16);
}

static int32_t get_signed32(const uint8_t *at)
{
    return es_signed32(get32(at));
}

static int16_t get_signed16(const uint8_t *at)
{
    const uint16_t shifted = (uint16_t)(get16(at) ^ 0x8000u);
    return (int16_t)((int32_t)shifted - (int32_t)0x8000);
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ES_CRC_START;
    while (size > 0u) {
        crc = es_crc_byte(crc, *bytes);
        bytes++;
        size--;
    }
    return es_crc_end(crc);
}

size_t es_state_bytes(const es_model_t *model)
{
    return ES_STATE_BYTES((size_t)model->memory_words + model->pool_words + model->decision_words, model->state_words);
}

uint32_t es_state_crc(const es_context_t *context)
{
    uint32_t crc = ES_CRC_START;
    unsigned word;
    for (word = 0; word < context->model->state_words; word++) {
        uint8_t bytes[2];
        (void)put16(bytes, (uint16_t)context->states[word]);
        crc = es_crc_byte(es_crc_byte(crc, bytes[0]), bytes[1]);
    }
    return es_crc_end(crc);
}

es_status_t es_state_save(const es_context_t *context, uint8_t *bytes, size_t size)
{
    const es_model_t *model;
    uint8_t *at = bytes;
    unsigned index;

    if (context == NULL || bytes == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    model = context->model;
    if (size < es_state_bytes(model)) {
        return ES_ERROR_SIZE;
    }
    for (index = 0; index < HASH_PREFIX; index++) {
        *at = model->hash[index];
        at++;
    }
    at = put16(at, context->step_in_window);
    at = put16(at, (uint16_t)context->primed);
    for (index = 0; index < model->memory_words; index++) {
        at = put32(at, (uint32_t)context->memory[index]);
    }
    for (index = 0; index < model->pool_words; index++) {
        at = put32(at, (uint32_t)context->pools[index]);
    }
    for (index = 0; index < model->decision_words; index++) {
        at = put32(at, (uint32_t)context->logits[(size_t)model->num_classes + index]);
    }
    for (index = 0; index < model->state_words; index++) {
        at = put16(at, (uint16_t)context->states[index]);
    }
    (void)put32(at, crc_of(bytes, es_state_bytes(model) - CRC_BYTES));
    return ES_OK;
}

static int within(int32_t value, int32_t limit)
{
    return -limit <= value && value <= limit;
}

/* Checks an operand, or a sum of `count` operands, against the bounds that the model's range proof relies on. */
static int operand_within(int32_t value, unsigned unit, int32_t count)
{
    const int coarse = es_is_coarse(unit) ? 1 : 0;
    const int32_t least = coarse != 0 ? -COARSE_LIMIT : FINE_LEAST;
    const int32_t largest = coarse != 0 ? COARSE_LIMIT : FINE_LARGEST;
    return count * least <= value && value <= count * largest;
}

/* Checks `count` vectors of `words` words of two bytes each: padding must be zero, and coarse operands in range. */
static int vectors_valid(const uint8_t *at, size_t count, unsigned words, unsigned units, int are_operands)
{
    size_t index;
    for (index = 0; index < count * words; index++) {
        const unsigned unit = (unsigned)(index % words);
        const int16_t value = get_signed16(at + 2u * index);
        if (unit >= units && value != 0) {
            return 0;
        }
        if (unit < units && are_operands != 0 && !operand_within(value, unit, 1)) {
            return 0;
        }
    }
    return 1;
}

/* True if a layer runs at a window's end only. */
static int runs_at_end(const es_model_t *model, unsigned index)
{
    return model->chain != NULL && model->chain->both != NULL && index >= model->chain->both->streamed ? 1 : 0;
}

/* Units and words of what a layer sees: of the layer before it, or of the last front layer. */
static unsigned units_below(const es_model_t *model, unsigned index)
{
    if (index == 0u) {
        return model->chain->front[model->chain->num_front - 1u].units;
    }
    return model->layers[index - 1u].hidden_size;
}

static unsigned words_below(const es_model_t *model, unsigned index)
{
    if (index == 0u) {
        return model->chain->front[model->chain->num_front - 1u].out_words;
    }
    return ES_QUAD * (unsigned)model->layers[index - 1u].own_quads;
}

/* 2 above a bidirectional layer, else 1. */
static unsigned parts_below(const es_model_t *model, const es_layer_t *layer, unsigned index)
{
    return ES_QUAD * (unsigned)layer->below_quads / words_below(model, index);
}

/* Checks the inputs that bidirectional layers keep, [kept_words] of two bytes each. The first ones may be features. */
static int kept_valid(const es_model_t *model, const uint8_t *states)
{
    const es_both_t *const both = model->chain != NULL ? model->chain->both : NULL;
    const uint8_t *at = states;
    unsigned index;
    for (index = 1; both != NULL && index < es_num_layers(model); index++) {
        const es_layer_t *const layer = &model->layers[index];
        const int is_backward = es_runs_backward(model, index);
        if (index < both->streamed || (is_backward != 0 && index != both->streamed)) {
            continue; /* keeps nothing, or what the layer before it keeps */
        }
        if (layer->below_quads == 0u) {
            if (!vectors_valid(at, both->steps, model->feature_words, es_num_features(model), 0)) {
                return 0;
            }
            at += 2u * (size_t)both->steps * model->feature_words;
        } else {
            const unsigned first = index - (unsigned)is_backward; /* of the layers that see the kept inputs */
            const size_t vectors = (size_t)both->steps * parts_below(model, layer, first);
            if (!vectors_valid(at, vectors, words_below(model, first), units_below(model, first), 1)) {
                return 0;
            }
            at += 2u * (size_t)both->steps * ES_QUAD * layer->below_quads;
        }
    }
    return 1;
}

/* Checks the states of the front layers, [front_words] of two bytes each. The ring of the first holds features. */
static int front_valid(const es_model_t *model, const uint8_t *states)
{
    const uint8_t *at = states;
    unsigned index;
    for (index = 0; model->chain != NULL && index < model->chain->num_front; index++) {
        const es_front_t *const front = &model->chain->front[index];
        if (!vectors_valid(at, front->slots, front->in_words, front->inputs, index != 0u ? 1 : 0)) {
            return 0;
        }
        at += 2u * (size_t)front->slots * front->in_words;
        if (!vectors_valid(at, 1, front->out_words, front->units, 1)) {
            return 0;
        }
        at += 2u * front->out_words;
    }
    return 1;
}

/* Checks the states, [state_words] of two bytes each: coarse operands must be in range, padding must be zero. */
static int layers_valid(const es_model_t *model, const uint8_t *at)
{
    unsigned index;
    for (index = 0; index < es_num_layers(model); index++) {
        const es_layer_t *const layer = &model->layers[index];
        const unsigned operands = ES_QUAD * layer->own_quads;
        unsigned word;
        for (word = 0; word < layer->state_words; word++) {
            const int16_t value = get_signed16(at);
            at += 2;
            if (word % operands >= layer->hidden_size && value != 0) {
                return 0;
            }
            if (word < operands && !operand_within(value, word, 1)) {
                return 0;
            }
        }
    }
    return 1;
}

/* Checks a word of the pools after so many samples: sums first, if there is a mean, then the largest operands. Those of a
 * layer that runs at the window's end are 0 before it. */
static int pool_valid(const es_model_t *model, unsigned index, int32_t value, uint16_t samples)
{
    const unsigned num = es_num_layers(model);
    const es_layer_t *const last = &model->layers[num - 1u];
    const unsigned words = ES_QUAD * last->own_quads;
    const unsigned unit = index % words;
    const unsigned parts = 1u + (unsigned)es_runs_backward(model, num - 1u);
    const unsigned units = parts * words;
    const unsigned of_layer = num - parts + index / words % parts;
    uint16_t step = es_front_steps(model, samples);
    if (runs_at_end(model, of_layer) != 0 && samples != model->window_length) {
        step = 0;
    }
    if (model->chain != NULL && model->chain->flatten_show != NULL) {
        const uint16_t rows = model->chain->num_dense != 0u ? model->chain->dense[0].hidden_size : model->num_classes;
        return within(value, index < rows && step != 0u ? SUM_LIMIT : 0);
    }
    if (unit >= last->hidden_size) {
        return value == 0;
    }
    if (index < units && model->num_reciprocals != 0u) {
        return operand_within(value, unit, step);
    }
    return operand_within(value, unit, step != 0u ? 1 : 0);
}

/* Checks the decision stage, [decision_words] of four bytes each: scores, decided and pending code, run, primed
 * flag and, with a distance, its excess. */
static int decision_valid(const es_model_t *model, const uint8_t *at)
{
    unsigned index;
    int32_t highest;
    for (index = 0; index < model->decision_words; index++) {
        const int32_t value = get_signed32(at);
        at += 4;
        if (index < model->num_classes) {
            if (value > 0 || value < -ES_SCORE_LIMIT) {
                return 0;
            }
            continue;
        }
        if (index - model->num_classes == ES_DECISION_EXCESS) {
            return within(value, ES_DISTANCE_LIMIT); /* the last word */
        }
        switch (index - model->num_classes) {
        case ES_DECISION_RUN:
            highest = (int32_t)model->decision->min_labels - 1;
            break;
        case ES_DECISION_PRIMED:
            highest = 1;
            break;
        default:
            highest = (int32_t)model->num_classes;
            break;
        }
        if (value < 0 || value > highest) {
            return 0;
        }
    }
    return 1;
}

static int state_valid(const es_model_t *model, const uint8_t *bytes)
{
    const uint8_t *at = bytes + HEADER_BYTES;
    const uint16_t step = get16(bytes + HASH_PREFIX);
    const size_t size = es_state_bytes(model);
    unsigned index;

    if (get32(bytes + size - CRC_BYTES) != crc_of(bytes, size - CRC_BYTES)) {
        return 0;
    }
    for (index = 0; index < HASH_PREFIX; index++) {
        if (bytes[index] != model->hash[index]) {
            return 0;
        }
    }
    if (step > model->window_length || get16(bytes + HASH_PREFIX + 2u) > 1u) {
        return 0;
    }
    for (index = 0; index < model->memory_words; index++) {
        const int32_t value = get_signed32(at);
        const int32_t limit = es_power2(model->memory_bits);
        if (value < -limit || value >= limit) {
            return 0;
        }
        at += 4;
    }
    for (index = 0; index < model->pool_words; index++) {
        if (!pool_valid(model, index, get_signed32(at), step)) {
            return 0;
        }
        at += 4;
    }
    if (!decision_valid(model, at)) {
        return 0;
    }
    at += 4u * model->decision_words;
    if (!front_valid(model, at)) {
        return 0;
    }
    if (model->chain == NULL) {
        return layers_valid(model, at);
    }
    at += 2u * model->chain->front_words;
    if (!kept_valid(model, at)) {
        return 0;
    }
    return layers_valid(model, at + (model->chain->both != NULL ? 2u * (size_t)model->chain->both->kept_words : 0u));
}

es_status_t es_state_restore(es_context_t *context, const uint8_t *bytes, size_t size)
{
    const es_model_t *model;
    const uint8_t *at;
    unsigned index;

    if (context == NULL || bytes == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    model = context->model;
    if (size < es_state_bytes(model)) {
        return ES_ERROR_SIZE;
    }
    if (!state_valid(model, bytes)) {
        return ES_ERROR_STATE;
    }
    es_reset(context);
    context->step_in_window = get16(bytes + HASH_PREFIX);
    context->primed = (int32_t)get16(bytes + HASH_PREFIX + 2u);
    at = bytes + HEADER_BYTES;
    for (index = 0; index < model->memory_words; index++) {
        context->memory[index] = get_signed32(at);
        at += 4;
    }
    for (index = 0; index < model->pool_words; index++) {
        context->pools[index] = get_signed32(at);
        at += 4;
    }
    for (index = 0; index < model->decision_words; index++) {
        context->logits[(size_t)model->num_classes + index] = get_signed32(at);
        at += 4;
    }
    for (index = 0; index < model->state_words; index++) {
        context->states[index] = get_signed16(at);
        at += 2;
    }
    return ES_OK;
}
