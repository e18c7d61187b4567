/* Convolutions and pools over time, which run before the recurrent layers, and the layers behind them (SPEC.md, sections
 * 6 and 7). Plain C for every part; the results of rows are those of the kernel (es_rows.h). */
#include "es_front.h"

#include "es_activation.h"
#include "es_pool.h"
#include "es_rows.h"

#if ES_UNITS_AT_ONCE
#include <string.h>
#endif

/* Defines the results of a convolution tap by tap, for taps that see inputs which do not lie side by side: with dilation,
 * and at the first inputs of a window that begins with a pad. `add` adds the dot products of groups of `words` numbers. */
#define TAP_RESULTS(name, add, words)                                                                         \
    static const ES_ROM int16_t *name(const es_front_t *front, const int16_t *ring, uint16_t number, unsigned latest, \
                                      const ES_ROM es_block_t *block, const ES_ROM int16_t *weights, unsigned blocks, \
                                      int32_t *results)                                                       \
    {                                                                                                         \
        const uint16_t groups = (uint16_t)(front->in_words / (words));                                        \
        for (; blocks > 0u; blocks--) {                                                                       \
            unsigned tap = front->taps;                                                                       \
            es_rows4_begin(block, results);                                                                   \
            while (tap > 0u) {                                                                                \
                unsigned age;                                                                                 \
                unsigned slot;                                                                                \
                tap--;                                                                                        \
                age = tap * front->dilation;                                                                  \
                slot = latest >= age ? latest - age : latest + front->slots - age;                            \
                weights = (add)(weights,                                                                      \
                                front->pad != NULL && age >= number ? front->pad                              \
                                                                    : ring + (size_t)slot * front->in_words,  \
                                groups, results);                                                             \
            }                                                                                                 \
            es_rows4_end(block, results);                                                                     \
            block++;                                                                                          \
            results += ES_BLOCK_ROWS;                                                                         \
        }                                                                                                     \
        return weights;                                                                                       \
    }

TAP_RESULTS(wide_by_taps, es_rows4_wide, 2u)
TAP_RESULTS(narrow_by_taps, es_rows4_narrow, ES_QUAD)

/* True if what an output sees lies in the ring side by side, or in two pieces where the ring ends between them; then
 * `seen` is written. words: of a group */
static inline int side_by_side(const es_front_t *front, const int16_t *ring, uint16_t number, unsigned latest,
                               unsigned words, es_seen_t *seen)
{
    const unsigned groups = front->in_words / words;
    const unsigned oldest = front->taps - 1u; /* its age */
    unsigned before = 0; /* taps in the first piece, at the end of the ring */

    if (front->dilation != 1u || (front->pad != NULL && oldest >= number)) {
        return 0;
    }
    seen->second = ring;
    if (latest < oldest) {
        before = oldest - latest;
        seen->first = ring + ((size_t)front->slots - before) * front->in_words;
    } else {
        seen->first = ring + ((size_t)latest - oldest) * front->in_words;
        before = front->taps;
    }
    seen->first_groups = (uint16_t)(before * groups);
    seen->second_groups = (uint16_t)((front->taps - before) * groups);
    return 1;
}

/* Defines the step of a convolution. A macro, so that no compiler calls the activation or the dot products through a
 * pointer. words: of a group */
#define CONV_STEP(name, results_of, by_taps, words, activate)                                                 \
    void name(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest, int16_t *output) \
    {                                                                                                         \
        const ES_ROM int16_t *weights = front->weights;                                                       \
        const ES_ROM es_block_t *block = front->blocks;                                                       \
        es_seen_t seen;                                                                                       \
        const int at_once = side_by_side(front, ring, number, latest, (words), &seen);                        \
        unsigned unit;                                                                                        \
        for (unit = 0; unit < front->out_words; unit += ES_BLOCK_ROWS * ES_RESULTS_BLOCKS) {                  \
            int32_t results[ES_BLOCK_ROWS * ES_RESULTS_BLOCKS];                                               \
            const unsigned blocks = es_blocks_at_once(front->out_words - unit);                               \
            if (at_once != 0) {                                                                               \
                weights = (results_of)(block, weights, &seen, blocks, results);                               \
            } else {                                                                                          \
                weights = (by_taps)(front, ring, number, latest, block, weights, blocks, results);            \
            }                                                                                                 \
            (activate)(results, ES_BLOCK_ROWS * blocks, output + unit);                                       \
            block += blocks;                                                                                  \
        }                                                                                                     \
        for (unit = front->units; unit < front->out_words; unit++) {                                          \
            output[unit] = 0;                                                                                 \
        }                                                                                                     \
    }

CONV_STEP(es_conv_features_relu_step, es_rows4_wide_results, wide_by_taps, 2u, es_activate_relu)
CONV_STEP(es_conv_features_tanh_step, es_rows4_wide_results, wide_by_taps, 2u, es_activate_tanh)
CONV_STEP(es_conv_features_none_step, es_rows4_wide_results, wide_by_taps, 2u, es_activate_none)
CONV_STEP(es_conv_relu_step, es_rows4_narrow_results, narrow_by_taps, ES_QUAD, es_activate_relu)
CONV_STEP(es_conv_tanh_step, es_rows4_narrow_results, narrow_by_taps, ES_QUAD, es_activate_tanh)
CONV_STEP(es_conv_none_step, es_rows4_narrow_results, narrow_by_taps, ES_QUAD, es_activate_none)

/* The ring holds exactly the inputs that an output sees, so their order does not matter. */
void es_time_mean_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest, int16_t *output)
{
    const unsigned shift = es_floor_log2(front->slots);
    unsigned unit;
    (void)number;
    (void)latest;
    for (unit = 0; unit < front->out_words; unit++) {
        int32_t sum = 0;
        unsigned slot;
        for (slot = 0; slot < front->slots; slot++) {
            sum += ring[(size_t)slot * front->in_words + unit];
        }
        output[unit] = (int16_t)es_round_shift(es_mulw(sum * 4, (int16_t)front->reciprocal), shift);
    }
}

void es_time_max_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest, int16_t *output)
{
    unsigned unit;
    (void)number;
    (void)latest;
    for (unit = 0; unit < front->out_words; unit++) {
        int32_t largest = ring[unit];
        unsigned slot;
        for (slot = 1; slot < front->slots; slot++) {
            es_pool_largest(&largest, &ring[(size_t)slot * front->in_words + unit], 1, 0);
        }
        output[unit] = (int16_t)largest;
    }
}

/* Stores an input of an even number of words, aligned to words, or zeros for NULL. */
static inline void store_input(int16_t *slot, const int16_t *input, unsigned words)
{
    if (input != NULL) {
#if defined(__thumb__) && defined(__GNUC__)
        const int16_t *const end = slot + words - words % ES_QUAD;
        if (words >= ES_QUAD) {
            __asm__ volatile(
                ".syntax unified\n1:\n\tldm %[input]!, {r2, r3}\n\tstm %[slot]!, {r2, r3}\n\tcmp %[slot], %[end]\n\tbne 1b"
                : [input] "+l"(input), [slot] "+l"(slot)
                : [end] "l"(end)
                : "r2", "r3", "cc", "memory");
        }
        words %= ES_QUAD;
#elif ES_UNITS_AT_ONCE /* with a store of that many bytes, which not every compiler makes of the loop below */
        for (; words >= ES_QUAD; words -= ES_QUAD) {
            memcpy(slot, input, ES_QUAD * sizeof *slot);
            slot += ES_QUAD;
            input += ES_QUAD;
        }
#endif
        for (; words > 0u; words -= 2u) {
            const int16_t first = input[0];
            const int16_t second = input[1];
            slot[0] = first;
            slot[1] = second;
            slot += 2;
            input += 2;
        }
    } else {
        for (; words > 0u; words--) {
            *slot = 0;
            slot++;
        }
    }
}

/* Gives the front layer `first` its input `number` of the window, zeros for NULL, and its output to those after it.
 * Returns the input of the first recurrent layer and writes the number of its step, or NULL if it does not run. */
static const int16_t *run_front(es_context_t *context, unsigned first, const int16_t *input, uint16_t *number)
{
    const es_chain_t *const chain = context->model->chain;
    const es_front_t *front = chain->front;
    const es_front_t *const begin = front + first;
    const es_front_t *const end = front + chain->num_front;
    const int16_t *below = input;
    int16_t *state = context->states;
    uint16_t inputs = *number;

    for (; front != end; front++) {
        int16_t *const ring = state;
        int16_t *const output = ring + (size_t)front->slots * front->in_words;
        state = output + front->out_words;
        if (front >= begin) {
            const uint16_t latest = (uint16_t)((inputs - 1u) % front->slots);
            uint16_t outputs;
            store_input(ring + (size_t)latest * front->in_words, below, front->in_words);
            outputs = es_front_output_at(front, inputs);
            if (outputs == 0u) {
                return NULL;
            }
            front->step(front, ring, inputs, latest, output);
            inputs = outputs;
            below = output;
        }
    }
    *number = inputs;
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
