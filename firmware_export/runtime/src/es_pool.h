/* The mean of operands since a window began, for the readouts that have it. */
#ifndef ES_POOL_H
#define ES_POOL_H

#include "edge_seq.h"
#include "es_fixed.h"

/* floor(log2 count), count at least 1 */
static inline unsigned es_floor_log2(uint16_t count)
{
    unsigned bits = 0;
    while (count > 1u) {
        count = (uint16_t)(count / 2u);
        bits++;
    }
    return bits;
}

/* Adds operands [units] to the sums, which are the first pool, and if a label is due writes their means to the scratch:
 * rshift(mulw(4 S, R), floor(log2 t)); |4 S| <= 4 T 2^15 < 2^31 as T <= 16383 */
static inline void es_pool_add(es_context_t *context, const int16_t *operands, int label_due, unsigned units)
{
    const es_model_t *const model = context->model;
    const uint16_t count = context->step_in_window;
    unsigned unit;

    for (unit = 0; unit < units; unit++) {
        context->pools[unit] += operands[unit];
    }
    if (label_due != 0) {
        const unsigned index = model->num_reciprocals > 1u ? (unsigned)count - 1u : 0u;
        const int16_t reciprocal = ES_ROM_INT16(&model->pool_reciprocals[index]);
        const unsigned shift = es_floor_log2(count);
        for (unit = 0; unit < units; unit++) {
            const int32_t scaled = es_mulw(context->pools[unit] * 4, reciprocal);
            context->scratch[unit] = (int16_t)es_round_shift(scaled, shift);
        }
    }
}

#endif
