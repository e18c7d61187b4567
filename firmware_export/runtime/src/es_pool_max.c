/* Pooling that takes the largest operand of each unit since the window began, alone or beside the mean (SPEC.md,
 * section 8). */
#include "es_pool.h"

/* Keeps the larger of pool and operand for each of `units` units, the operand itself at the window's first sample, and
 * writes the result to `pooled` too. There is no branch on the data, so that the time of a step does not depend on it. */
static void keep_largest(int first, int32_t *pool, int16_t *pooled, const int16_t *operands, unsigned units)
{
    unsigned unit;
    for (unit = 0; unit < units; unit++) {
        const int32_t ahead = operands[unit] - pool[unit]; /* both are 16-bit numbers */
        const uint32_t kept = first != 0 ? 0u : es_negative(ahead);
        pool[unit] = operands[unit] - es_signed32((uint32_t)ahead & kept);
        pooled[unit] = (int16_t)pool[unit];
    }
}

const int16_t *es_pool_max(es_context_t *context, const int16_t *operands, int label_due)
{
    (void)label_due;
    keep_largest(context->step_in_window == 1u, context->pools, context->scratch, operands, context->model->pool_words);
    return context->scratch;
}

/* The means, then the largest operands. */
const int16_t *es_pool_mean_max(es_context_t *context, const int16_t *operands, int label_due)
{
    const unsigned units = context->model->pool_words / 2u;
    es_pool_add(context, operands, label_due, units);
    keep_largest(context->step_in_window == 1u, context->pools + units, context->scratch + units, operands, units);
    return context->scratch;
}
