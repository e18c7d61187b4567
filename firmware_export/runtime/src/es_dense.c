/* Dense layers between pooling and head (SPEC.md, section 8). A block is four rows, a row is a unit. Every function
 * computes the operands of the units, state [4 * own_quads], from the operands below. */
#include "edge_seq.h"
#include "es_activation.h"
#include "es_operands.h"
#include "es_rows.h"

/* Computes the results of a block, floor(accumulator * multiplier / 2^16), and returns the weights of the next one. */
static const ES_ROM int16_t *dense_results(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                           const ES_ROM int16_t *weights, const int16_t *below, int32_t *results)
{
    unsigned row;
    for (row = 0; row < ES_BLOCK_ROWS; row++) {
        results[row] = ES_ROM_INT32(&block->bias[row]);
    }
    weights = es_rows4_narrow(weights, below, layer->below_quads, results);
    for (row = 0; row < ES_BLOCK_ROWS; row++) {
        results[row] = es_mulw(results[row], ES_ROM_INT16(&block->multiplier[row]));
    }
    return weights;
}

/* Defines the step of a dense layer. A macro, so that no compiler calls the activation through a pointer. */
#define DENSE_STEP(name, activation)                                                                          \
    void name(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)                \
    {                                                                                                         \
        const ES_ROM int16_t *weights = layer->weights;                                                       \
        const ES_ROM es_block_t *block = layer->blocks;                                                       \
        const unsigned units = ES_QUAD * layer->own_quads;                                                    \
        unsigned unit = 0;                                                                                    \
        (void)scratch;                                                                                        \
        while (unit < units) {                                                                                \
            int32_t results[ES_BLOCK_ROWS];                                                                   \
            unsigned row;                                                                                     \
            weights = dense_results(layer, block, weights, below, results);                                   \
            block++;                                                                                          \
            for (row = 0; row < ES_BLOCK_ROWS; row++) {                                                       \
                state[unit] =                                                                                 \
                    unit < layer->hidden_size ? es_operand((activation)(results[row]), unit) : (int16_t)0;    \
                unit++;                                                                                       \
            }                                                                                                 \
        }                                                                                                     \
    }

DENSE_STEP(es_dense_relu_step, es_activation_relu)
DENSE_STEP(es_dense_tanh_step, es_activation_tanh)
DENSE_STEP(es_dense_none_step, es_activation_none)

/* Their outputs lie behind the pooled operands. */
const int16_t *es_pool_dense(es_context_t *context, const int16_t *operands, int label_due)
{
    const es_chain_t *const chain = context->model->chain;
    const int16_t *seen = chain->pool(context, operands, label_due);
    int16_t *output = context->scratch + context->model->pool_words;
    const es_layer_t *layer;

    if (label_due != 0) {
        for (layer = chain->dense; layer < chain->dense + chain->num_dense; layer++) {
            layer->step(layer, seen, output, NULL);
            seen = output;
            output += ES_QUAD * layer->own_quads;
        }
    }
    return seen;
}
