/* Pooling, the input of the head: the last operands, or their mean since the window began (SPEC.md, section 8). */
#include "edge_seq.h"
#include "es_fixed.h"

const int16_t *es_pool_last(es_context_t *context, const int16_t *operands, int label_due)
{
    (void)context;
    (void)label_due;
    return operands;
}

/* floor(log2 count), count at least 1 */
static unsigned floor_log2(uint16_t count)
{
    unsigned bits = 0;
    while (count > 1u) {
        count = (uint16_t)(count >> 1);
        bits++;
    }
    return bits;
}

/* rshift(mulw(4 S, R), floor(log2 t)); |4 S| <= 4 T 2^15 < 2^31 as T <= 16383 */
const int16_t *es_pool_mean(es_context_t *context, const int16_t *operands, int label_due)
{
    const es_model_t *const model = context->model;
    const uint16_t count = context->step_in_window;
    unsigned unit;

    for (unit = 0; unit < model->pool_words; unit++) {
        context->pool_sum[unit] += operands[unit];
    }
    if (label_due != 0) {
        const unsigned index = model->num_reciprocals > 1u ? (unsigned)count - 1u : 0u;
        const int16_t reciprocal = ES_ROM_INT16(&model->pool_reciprocals[index]);
        const unsigned shift = floor_log2(count);
        for (unit = 0; unit < model->pool_words; unit++) {
            const int32_t scaled = es_mulw(context->pool_sum[unit] * 4, reciprocal);
            context->scratch[unit] = (int16_t)es_round_shift(scaled, shift);
        }
    }
    return context->scratch;
}
