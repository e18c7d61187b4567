/* Operands: hidden values in the format that rows multiply. In a quad, the first two units are fine (Q15), the
 * other two coarse (Q7). */
#ifndef ES_OPERANDS_H
#define ES_OPERANDS_H

#include <stdint.h>

#include "es_fixed.h"

static inline int es_is_coarse(unsigned unit)
{
    return (unit & 2u) != 0u;
}

/* Operand of a hidden value in Q15. For a coarse unit it is -128 .. 128. */
static inline int16_t es_operand(int16_t hidden, unsigned unit)
{
    return es_is_coarse(unit) ? (int16_t)es_round_shift(hidden, 8) : hidden;
}

/* Stores the operands of a quad of hidden values. */
static inline void es_operands_store(int16_t *operands, int16_t fine0, int16_t fine1, int16_t coarse0, int16_t coarse1)
{
    operands[0] = fine0;
    operands[1] = fine1;
    operands[2] = es_operand(coarse0, 2u);
    operands[3] = es_operand(coarse1, 3u);
}

/* Replaces the old operands by the new ones, once all rows have read the old ones. */
static inline void es_operands_replace(int16_t *operands, const int16_t *scratch, uint16_t hidden_size)
{
    uint16_t unit;
    for (unit = 0; unit < hidden_size; unit++) {
        operands[unit] = scratch[unit];
    }
}

#endif
