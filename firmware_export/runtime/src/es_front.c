/* Convolutions and pools over time, which run before the recurrent layers, and the layers behind them (SPEC.md, sections
 * 6 and 7). Plain C for every part; operands are multiplied by the dot products of the kernel. */
#include "es_front.h"
#include "es_activation.h"
#include "es_operands.h"
#include "es_pool.h"
#include "es_rows.h"

/* Inputs that an output sees, one after another in memory, so that one dot product takes them. */
typedef struct {
    const int16_t *inputs;
    unsigned count;
} run_t;

/* The run that begins with the input of a tap. latest: slot of the latest input */
static inline run_t run_from(const es_front_t *front, const int16_t *ring, uint16_t number, unsigned latest, unsigned tap)
{
    const unsigned age = (front->taps - 1u - tap) * front->dilation;
    const unsigned slot = latest >= age ? latest - age : latest + front->slots - age;
    run_t run;
    run.inputs = ring + (size_t)slot * front->in_words;
    run.count = 1;
    if (front->pad != NULL && age >= number) {
        run.inputs = front->pad;
    } else if (front->dilation == 1u) {
        const unsigned to_end = front->slots - slot;
        const unsigned left = front->taps - tap;
        run.count = left < to_end ? left : to_end;
    } else {
        /* the next tap sees an input further on */
    }
    return run;
}

/* Defines the step of a convolution. `add` adds the dot products of groups of `words` numbers. A macro, so that no
 * compiler calls them or the activation through a pointer. */
#define CONV_STEP(name, add, words, activation)                                                               \
    void name(const es_front_t *front, const int16_t *ring, uint16_t number, int16_t *output)                 \
    {                                                                                                         \
        const ES_ROM int16_t *weights = front->weights;                                                       \
        const ES_ROM es_block_t *block = front->blocks;                                                       \
        const unsigned groups = front->in_words / (words);                                                    \
        const unsigned latest = ((unsigned)number - 1u) % front->slots;                                       \
        unsigned unit;                                                                                        \
        for (unit = 0; unit < front->out_words; unit += ES_QUAD) {                                            \
            int32_t results[ES_BLOCK_ROWS];                                                                   \
            unsigned tap = 0;                                                                                 \
            es_rows4_begin(block, results);                                                                   \
            while (tap < front->taps) {                                                                       \
                const run_t run = run_from(front, ring, number, latest, tap);                                 \
                weights = (add)(weights, run.inputs, (uint16_t)(run.count * groups), results);                \
                tap += run.count;                                                                             \
            }                                                                                                 \
            es_rows4_end(block, results);                                                                     \
            es_operands_store(output + unit, (activation)(results[0]), (activation)(results[1]),              \
                              (activation)(results[2]), (activation)(results[3]));                            \
            block++;                                                                                          \
        }                                                                                                     \
        for (unit = front->units; unit < front->out_words; unit++) {                                          \
            output[unit] = 0;                                                                                 \
        }                                                                                                     \
    }

CONV_STEP(es_conv_features_relu_step, es_rows4_wide, 2u, es_activation_relu)
CONV_STEP(es_conv_features_tanh_step, es_rows4_wide, 2u, es_activation_tanh)
CONV_STEP(es_conv_features_none_step, es_rows4_wide, 2u, es_activation_none)
CONV_STEP(es_conv_relu_step, es_rows4_narrow, ES_QUAD, es_activation_relu)
CONV_STEP(es_conv_tanh_step, es_rows4_narrow, ES_QUAD, es_activation_tanh)
CONV_STEP(es_conv_none_step, es_rows4_narrow, ES_QUAD, es_activation_none)

/* The ring holds exactly the inputs that an output sees, so their order does not matter. */
void es_time_mean_step(const es_front_t *front, const int16_t *ring, uint16_t number, int16_t *output)
{
    const unsigned shift = es_floor_log2(front->slots);
    unsigned unit;
    (void)number;
    for (unit = 0; unit < front->out_words; unit++) {
        int32_t sum = 0;
        unsigned slot;
        for (slot = 0; slot < front->slots; slot++) {
            sum += ring[(size_t)slot * front->in_words + unit];
        }
        output[unit] = (int16_t)es_round_shift(es_mulw(sum * 4, (int16_t)front->reciprocal), shift);
    }
}

void es_time_max_step(const es_front_t *front, const int16_t *ring, uint16_t number, int16_t *output)
{
    unsigned unit;
    (void)number;
    for (unit = 0; unit < front->out_words; unit++) {
        int32_t largest = ring[unit];
        unsigned slot;
        for (slot = 1; slot < front->slots; slot++) {
            es_pool_largest(&largest, &ring[(size_t)slot * front->in_words + unit], 1, 0);
        }
        output[unit] = (int16_t)largest;
    }
}

/* Gives the front layer `first` its input `number` of the window, zeros for NULL, and its output to those after it.
 * Returns the input of the first recurrent layer and writes the number of its step, or NULL if it does not run. */
static const int16_t *run_front(es_context_t *context, unsigned first, const int16_t *input, uint16_t *number)
{
    const es_chain_t *const chain = context->model->chain;
    const int16_t *below = input;
    int16_t *state = context->states;
    unsigned index;

    for (index = 0; index < chain->num_front; index++) {
        const es_front_t *const front = &chain->front[index];
        int16_t *const ring = state;
        int16_t *const output = ring + (size_t)front->slots * front->in_words;
        state = output + front->out_words;
        if (index >= first) {
            int16_t *const slot = ring + (size_t)((*number - 1u) % front->slots) * front->in_words;
            unsigned word;
            for (word = 0; word < front->in_words; word++) {
                slot[word] = below != NULL ? below[word] : (int16_t)0;
            }
            if (es_front_outputs(front, *number) == es_front_outputs(front, (uint16_t)(*number - 1u))) {
                return NULL;
            }
            front->step(front, ring, *number, output);
            *number = es_front_outputs(front, *number);
            below = output;
        }
    }
    return below;
}

/* Runs the recurrent layers, and returns the operands of the last one. */
static const int16_t *run_layers(es_context_t *context, const int16_t *input)
{
    const es_model_t *const model = context->model;
    const int16_t *below = input;
    int16_t *state = context->states + model->chain->front_words;
    unsigned index;
    for (index = 0; index < model->chain->num_behind; index++) {
        const es_layer_t *const layer = &model->layers[index];
        layer->step(layer, below, state, context->scratch);
        below = state;
        state += layer->state_words;
    }
    return below;
}

/* Gives a front layer an input, and runs what is above it. The pools are over steps. */
static void advance(es_context_t *context, unsigned first, const int16_t *input, uint16_t number, unsigned means)
{
    const unsigned largest = context->model->pool_words - means;
    uint16_t step = number;
    const int16_t *const below = run_front(context, first, input, &step);

    if (below != NULL && context->model->chain->both != NULL) {
        context->model->chain->both->step(context, below, step);
    } else if (below != NULL) {
        const int16_t *const operands = run_layers(context, below);
        if (context->model->chain->flatten_add != NULL) {
            context->model->chain->flatten_add(context, operands, step);
            return;
        }
        es_pool_sum(context->pools, operands, means);
        es_pool_largest(context->pools + means, operands, largest, step == 1u);
    } else {
        /* no step at this input */
    }
}

/* Gives the front layers the inputs behind the window, from the input up. */
static void flush(es_context_t *context, unsigned means)
{
    const es_chain_t *const chain = context->model->chain;
    uint16_t number = context->model->window_length;
    unsigned index;

    for (index = 0; index < chain->num_front; index++) {
        const es_front_t *const front = &chain->front[index];
        unsigned more;
        for (more = 0; more < front->after; more++) {
            number++;
            advance(context, index, front->pad, number, means);
        }
        number = es_front_outputs(front, number);
    }
}

/* Runs everything between the features and the head's input, or the dense layers. Without front layers each sample is a
 * step. */
const int16_t *es_pool_front(es_context_t *context, const int16_t *features, int label_due)
{
    const es_model_t *const model = context->model;
    const es_layer_t *const last = &model->layers[model->chain->num_behind - 1u];
    const unsigned units = ES_QUAD * last->own_quads;
    const unsigned means = model->num_reciprocals != 0u ? units : 0u; /* the sums come first */

    advance(context, 0, features, context->step_in_window, means);
    if (context->step_in_window == model->window_length) {
        flush(context, means);
    }
    if (model->chain->both != NULL) { /* a label is due at a window's end only */
        return label_due != 0 ? model->chain->both->end(context) : NULL;
    }
    if (model->chain->flatten_show != NULL) {
        return label_due != 0 ? model->chain->flatten_show(context) : NULL;
    }
    if (model->pool_words == 0u) {
        return context->states + model->state_words - last->state_words;
    }
    if (label_due != 0) {
        const uint16_t steps = es_front_steps(model, context->step_in_window);
        es_pool_show(context->pools, context->scratch, model->pool_words); /* zeros before the first step */
        if (means != 0u && steps != 0u) {
            es_pool_means(context, steps, means);
        }
    }
    return context->scratch;
}
