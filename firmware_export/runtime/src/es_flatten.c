/* Rows that see the operands of all steps of a window, of the first dense layer or of the head (SPEC.md, section 8). Only
 * the sums of their results are kept, step by step. */
#include "edge_seq.h"
#include "es_activation.h"
#include "es_rows.h"

void es_flatten_add(es_context_t *context, const int16_t *operands, uint16_t step)
{
    const es_model_t *const model = context->model;
    const es_layer_t *const last = &model->layers[es_num_layers(model) - 1u];
    const ES_ROM es_block_t *block = model->head_blocks;
    const ES_ROM int16_t *weights = model->head_weights;
    size_t before = step;
    int32_t *sum = context->pools;
    const int32_t *const end = sum + model->pool_words;

    if (model->chain->num_dense != 0u) {
        block = model->chain->dense[0].blocks;
        weights = model->chain->dense[0].weights;
    }
    /* A quad has two words for each of pool_words rows. */
    before--;
    weights += before * 2u * model->pool_words * last->own_quads;
    while (sum != end) {
        int32_t results[ES_BLOCK_ROWS];
        es_rows4_begin(block, results);
        weights = es_rows4_narrow(weights, operands, last->own_quads, results);
        es_rows4_end(block, results);
        sum[0] += results[0];
        sum[1] += results[1];
        sum[2] += results[2];
        sum[3] += results[3];
        sum += ES_BLOCK_ROWS;
        block++;
    }
}

/* Defines what makes the operands of a dense layer of its sums. A macro, so that no compiler calls the activation through
 * a pointer. */
#define FLATTEN_SHOW(name, activate)                                                                          \
    const int16_t *name(es_context_t *context)                                                                \
    {                                                                                                         \
        const es_model_t *const model = context->model;                                                       \
        int16_t *const output = context->scratch;                                                             \
        unsigned unit;                                                                                        \
        (activate)(context->pools, model->pool_words, output);                                                \
        for (unit = model->chain->dense[0].hidden_size; unit < model->pool_words; unit++) {                   \
            output[unit] = 0;                                                                                 \
        }                                                                                                     \
        return output;                                                                                        \
    }

FLATTEN_SHOW(es_flatten_relu, es_activate_relu)
FLATTEN_SHOW(es_flatten_tanh, es_activate_tanh)
FLATTEN_SHOW(es_flatten_none, es_activate_none)

const int16_t *es_flatten_head(es_context_t *context)
{
    (void)context;
    return NULL;
}

const int16_t *es_pool_flatten(es_context_t *context, const int16_t *operands, int label_due)
{
    const es_chain_t *const chain = context->model->chain;
    chain->flatten_add(context, operands, context->step_in_window);
    return label_due != 0 ? chain->flatten_show(context) : NULL;
}
