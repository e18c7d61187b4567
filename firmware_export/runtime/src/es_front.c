/* Convolutions and pools over time, which run before the recurrent layers, and the layers behind them (SPEC.md, sections
 * 6 and 7). Plain C for every part; operands are multiplied by the dot products of the kernel. */
#include "es_front.h"
#include "es_activation.h"
#include "es_operands.h"
#include "es_pool.h"
#include "es_rows.h"

/* One of the inputs that an output sees: the latest, or one that came `age` inputs before. */
static const int16_t *input_at(const es_front_t *front, const int16_t *ring, uint16_t number, unsigned age)
{
    const unsigned latest = ((unsigned)number - 1u) % front->slots;
    const unsigned slot = latest >= age ? latest - age : latest + front->slots - age;
    return front->pad != NULL && age >= number ? front->pad : ring + (size_t)slot * front->in_words;
}

/* weights [pairs, 4, 2], features [2 * pairs], accumulators [4] */
static const ES_ROM int16_t *add_features(const ES_ROM int16_t *weights, const int16_t *features, unsigned pairs,
                                          int32_t *accumulators)
{
    for (; pairs > 0u; pairs--) {
        unsigned row;
        for (row = 0; row < ES_BLOCK_ROWS; row++) {
            accumulators[row] +=
                (int32_t)ES_ROM_INT16(weights) * features[0] + (int32_t)ES_ROM_INT16(weights + 1) * features[1];
            weights += 2;
        }
        features += 2;
    }
    return weights;
}

/* Computes the results of a block, floor(accumulator * multiplier / 2^16), and returns the weights of the next one. */
static const ES_ROM int16_t *conv_results(const es_front_t *front, const ES_ROM es_block_t *block,
                                          const ES_ROM int16_t *weights, const int16_t *ring, uint16_t number,
                                          int of_features, int32_t *results)
{
    unsigned tap;
    unsigned row;
    for (row = 0; row < ES_BLOCK_ROWS; row++) {
        results[row] = ES_ROM_INT32(&block->bias[row]);
    }
    for (tap = 0; tap < front->taps; tap++) {
        const unsigned age = (front->taps - 1u - tap) * front->dilation;
        const int16_t *const input = input_at(front, ring, number, age);
        if (of_features != 0) {
            weights = add_features(weights, input, front->in_words / 2u, results);
        } else {
            weights = es_rows4_narrow(weights, input, (uint16_t)(front->in_words / ES_QUAD), results);
        }
    }
    for (row = 0; row < ES_BLOCK_ROWS; row++) {
        results[row] = es_mulw(results[row], ES_ROM_INT16(&block->multiplier[row]));
    }
    return weights;
}

/* Defines the step of a convolution. A macro, so that no compiler calls the activation through a pointer. */
#define CONV_STEP(name, of_features, activation)                                                              \
    void name(const es_front_t *front, const int16_t *ring, uint16_t number, int16_t *output)                 \
    {                                                                                                         \
        const ES_ROM int16_t *weights = front->weights;                                                       \
        const ES_ROM es_block_t *block = front->blocks;                                                       \
        unsigned unit = 0;                                                                                    \
        while (unit < front->out_words) {                                                                     \
            int32_t results[ES_BLOCK_ROWS];                                                                   \
            unsigned row;                                                                                     \
            weights = conv_results(front, block, weights, ring, number, of_features, results);                \
            block++;                                                                                          \
            for (row = 0; row < ES_BLOCK_ROWS; row++) {                                                       \
                output[unit] =                                                                                \
                    unit < front->units ? es_operand((activation)(results[row]), unit) : (int16_t)0;          \
                unit++;                                                                                       \
            }                                                                                                 \
        }                                                                                                     \
    }

CONV_STEP(es_conv_features_relu_step, 1, es_activation_relu)
CONV_STEP(es_conv_features_tanh_step, 1, es_activation_tanh)
CONV_STEP(es_conv_features_none_step, 1, es_activation_none)
CONV_STEP(es_conv_relu_step, 0, es_activation_relu)
CONV_STEP(es_conv_tanh_step, 0, es_activation_tanh)
CONV_STEP(es_conv_none_step, 0, es_activation_none)

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

    if (below != NULL) {
        const int16_t *const operands = run_layers(context, below);
        es_pool_sum(context, operands, means);
        es_pool_largest(context->pools + means, operands, largest, step == 1u);
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

/* Runs everything between the features and the head's input, or the dense layers. */
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
