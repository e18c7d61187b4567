/* Pooling that takes the largest operand of each unit since the window began, alone or beside the mean (SPEC.md,
 * section 8). */
#include "es_pool.h"

const int16_t *es_pool_max(es_context_t *context, const int16_t *operands, int label_due)
{
    const unsigned units = context->model->pool_words;
    es_pool_largest(context->pools, operands, units, context->step_in_window == 1u);
    if (label_due != 0) {
        es_pool_show(context->pools, context->scratch, units);
    }
    return context->scratch;
}

/* The means, then the largest operands. */
const int16_t *es_pool_mean_max(es_context_t *context, const int16_t *operands, int label_due)
{
    const unsigned units = context->model->pool_words / 2u;
    es_pool_sum(context->pools, operands, units);
    es_pool_largest(context->pools + units, operands, units, context->step_in_window == 1u);
    if (label_due != 0) {
        es_pool_means(context, context->step_in_window, units);
        es_pool_show(context->pools + units, context->scratch + units, units);
    }
    return context->scratch;
}
