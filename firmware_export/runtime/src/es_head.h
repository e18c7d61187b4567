/* Pooling and head (SPEC.md, section 8). */
#ifndef ES_HEAD_H
#define ES_HEAD_H

#include "edge_seq.h"

/* Computes logits and label from the pooled operands [4 * head_quads], and writes them to the context. */
void es_head_step(es_context_t *context, const int16_t *pooled);

/* Input of the head at the latest label: the output of the last dense layer, else the pooled operands, else the last
 * layer's operands. [4 * head_quads] */
static inline const int16_t *es_head_sees(const es_context_t *context)
{
    const es_model_t *const model = context->model;
    const unsigned operands_at = (unsigned)model->state_words - model->layers[es_num_layers(model) - 1u].state_words;
    if (model->chain != NULL && model->chain->num_dense != 0u) {
        const unsigned at = (unsigned)model->pool_words + model->chain->dense_words;
        return context->scratch + at - (size_t)ES_QUAD * model->head_quads;
    }
    if (model->pool_words != 0u || (model->chain != NULL && model->chain->both != NULL)) {
        return context->scratch;
    }
    return context->states + operands_at;
}

#endif
