/* Pooling, the input of the head: the last operands, or their mean since the window began (SPEC.md, section 8). The
 * largest of them is in es_pool_max.c. */
#include "es_pool.h"

const int16_t *es_pool_last(es_context_t *context, const int16_t *operands, int label_due)
{
    (void)context;
    (void)label_due;
    return operands;
}

const int16_t *es_pool_mean(es_context_t *context, const int16_t *operands, int label_due)
{
    const es_model_t *const model = context->model;
    es_pool_sum(context->pools, operands, model->pool_words);
    if (label_due != 0) {
        es_pool_means(context, context->step_in_window, model->pool_words);
    }
    return context->scratch;
}
