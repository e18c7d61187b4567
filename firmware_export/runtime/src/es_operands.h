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

/* Stores the operands of a quad of hidden values in Q15, which fit 16 bits. operands: aligned to words. */
static inline void es_operands_store(int16_t *operands, int32_t fine0, int32_t fine1, int32_t coarse0, int32_t coarse1)
{
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__)
    /* Bits 8 to 23 of a coarse value plus a half are what is stored. */
    coarse0 += 0x80;
    coarse1 += 0x80;
    __asm__ volatile(
        "pkhbt %[fine0], %[fine0], %[fine1], lsl #16\n\tasr %[coarse0], %[coarse0], #8\n\t"
        "pkhbt %[coarse0], %[coarse0], %[coarse1], lsl #8\n\tstrd %[fine0], %[coarse0], [%[operands]]\n\t"
        : [fine0] "+r"(fine0), [coarse0] "+r"(coarse0)
        : [fine1] "r"(fine1), [coarse1] "r"(coarse1), [operands] "r"(operands)
        : "memory");
#else
    operands[0] = (int16_t)fine0;
    operands[1] = (int16_t)fine1;
    operands[2] = (int16_t)es_round_shift(coarse0, 8);
    operands[3] = (int16_t)es_round_shift(coarse1, 8);
#endif
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
