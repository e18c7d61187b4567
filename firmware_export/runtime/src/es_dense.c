/* Dense layers between pooling and head (SPEC.md, section 8). A block is four rows, a row is a unit. Every function
 * computes the operands of the units, state [4 * own_quads], from the operands below. */
#include "edge_seq.h"
#include "es_activation.h"
#include "es_rows.h"

/* Defines the step of a dense layer. A macro, so that no compiler calls the activation through a pointer. */
#define DENSE_STEP(name, activate)                                                                            \
    void name(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)                \
    {                                                                                                         \
        const ES_ROM int16_t *weights = layer->weights;                                                       \
        const ES_ROM es_block_t *block = layer->blocks;                                                       \
        const es_seen_t seen = {below, below, layer->below_quads, 0};                                         \
        const unsigned units = ES_QUAD * layer->own_quads;                                                    \
        unsigned unit;                                                                                        \
        (void)scratch;                                                                                        \
        for (unit = 0; unit < units; unit += ES_BLOCK_ROWS * ES_RESULTS_BLOCKS) {                             \
            int32_t results[ES_BLOCK_ROWS * ES_RESULTS_BLOCKS];                                               \
            const unsigned blocks = es_blocks_at_once(units - unit);                                          \
            weights = es_rows4_narrow_results(block, weights, &seen, blocks, results);                        \
            (activate)(results, ES_BLOCK_ROWS * blocks, state + unit);                                        \
            block += blocks;                                                                                  \
        }                                                                                                     \
        for (unit = layer->hidden_size; unit < units; unit++) {                                               \
            state[unit] = 0;                                                                                  \
        }                                                                                                     \
    }

DENSE_STEP(es_dense_relu_step, es_activate_relu)
DENSE_STEP(es_dense_tanh_step, es_activate_tanh)
DENSE_STEP(es_dense_none_step, es_activate_none)

/* Their outputs lie behind the pooled operands. */
const int16_t *es_pool_dense(es_context_t *context, const int16_t *operands, int label_due)
{
    const es_chain_t *const chain = context->model->chain;
    const int16_t *seen = chain->pool(context, operands, label_due);
    int16_t *output = context->scratch + context->model->pool_words;
    const es_layer_t *layer = chain->dense;

    if (chain->flatten_show != NULL) {
        layer++; /* the pool gives the operands of the first */
    }
    if (label_due != 0) {
        for (; layer < chain->dense + chain->num_dense; layer++) {
            layer->step(layer, seen, output, NULL);
            seen = output;
            output += ES_QUAD * layer->own_quads;
        }
    }
    return seen;
}
