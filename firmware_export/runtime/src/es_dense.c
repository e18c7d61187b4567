/* Dense layers between pooling and head (SPEC.md, section 8). A block is four rows, a row is a unit. Every function
 * computes the operands of the units, state [4 * own_quads], from the operands below. */
#include "edge_seq.h"
#include "es_activation.h"
#include "es_operands.h"
#include "es_rows.h"

/* Defines the step of a dense layer. A macro, so that no compiler calls the activation through a pointer. */
#define DENSE_STEP(name, activation)                                                                          \
    void name(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)                \
    {                                                                                                         \
        const ES_ROM int16_t *weights = layer->weights;                                                       \
        const ES_ROM es_block_t *block = layer->blocks;                                                       \
        const unsigned units = ES_QUAD * layer->own_quads;                                                    \
        unsigned unit;                                                                                        \
        (void)scratch;                                                                                        \
        for (unit = 0; unit < units; unit += ES_QUAD) {                                                       \
            int32_t results[ES_BLOCK_ROWS];                                                                   \
            es_rows4_begin(block, results);                                                                   \
            weights = es_rows4_narrow(weights, below, layer->below_quads, results);                           \
            es_rows4_end(block, results);                                                                     \
            es_operands_store(state + unit, (activation)(results[0]), (activation)(results[1]),               \
                              (activation)(results[2]), (activation)(results[3]));                            \
            block++;                                                                                          \
        }                                                                                                     \
        for (unit = layer->hidden_size; unit < units; unit++) {                                               \
            state[unit] = 0;                                                                                  \
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
