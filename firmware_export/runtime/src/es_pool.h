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

/* Adds operands [units] to sums, which are the first pool. */
static inline void es_pool_sum(int32_t *sums, const int16_t *operands, unsigned units)
{
    unsigned unit;
    for (unit = 0; unit < units; unit++) {
        sums[unit] += operands[unit];
    }
}

/* Writes the means [units] of `count` operands to the scratch, count at least 1: rshift(mulw(4 S, R), floor(log2 t));
 * |4 S| <= 4 T 2^15 < 2^31 as T <= 16383 */
static inline void es_pool_means(es_context_t *context, uint16_t count, unsigned units)
{
    const es_model_t *const model = context->model;
    const unsigned index = model->num_reciprocals > 1u ? (unsigned)count - 1u : 0u;
    const int16_t reciprocal = ES_ROM_INT16(&model->pool_reciprocals[index]);
    const unsigned shift = es_floor_log2(count);
    unsigned unit;
    for (unit = 0; unit < units; unit++) {
        const int32_t scaled = es_mulw(context->pools[unit] * 4, reciprocal);
        context->scratch[unit] = (int16_t)es_round_shift(scaled, shift);
    }
}

/* Keeps the larger of pool and operand for each of `units` units; the operand itself if it is the window's first. There
 * is no branch on the data, so that the time of a step does not depend on it. */
static inline void es_pool_largest(int32_t *pool, const int16_t *operands, unsigned units, int first)
{
    unsigned unit;
    for (unit = 0; unit < units; unit++) {
        const int32_t ahead = operands[unit] - pool[unit]; /* both are 16-bit numbers */
        const uint32_t kept = first != 0 ? 0u : es_negative(ahead);
        pool[unit] = operands[unit] - es_signed32((uint32_t)ahead & kept);
    }
}

/* Writes a pool [units] of 16-bit numbers to `pooled`. */
static inline void es_pool_show(const int32_t *pool, int16_t *pooled, unsigned units)
{
    unsigned unit;
    for (unit = 0; unit < units; unit++) {
        pooled[unit] = (int16_t)pool[unit];
    }
}

#endif
