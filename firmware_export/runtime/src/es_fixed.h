/* The integer primitives of SPEC.md, section 2. Each rounds or saturates in one way, and only here. */
#ifndef ES_FIXED_H
#define ES_FIXED_H

#include <stdint.h>

/* floor(a / 2^n), n 0 .. 31. C99 leaves the right shift of a negative number to the compiler; this shifts none, and
 * gcc and clang make one arithmetic shift of it. */
static inline int32_t es_shift_right(int32_t a, unsigned n)
{
    return a < 0 ? ~(~a >> n) : a >> n;
}

/* All ones if a is negative, else 0: a choice without a branch, so that a step takes as long whatever is chosen. */
static inline uint32_t es_negative(int32_t a)
{
    return (uint32_t)0 - ((uint32_t)a >> 31);
}

/* 2^n, n 0 .. 30 */
static inline int32_t es_power2(unsigned n)
{
    const uint32_t bit = (uint32_t)1 << n;
    return (int32_t)bit;
}

/* The number whose two's complement is `bits`, without a conversion that C99 leaves to the compiler. */
static inline int32_t es_signed32(uint32_t bits)
{
    const uint32_t others = ~bits & 0x7FFFFFFFu;
    return (bits & 0x80000000u) != 0u ? -(int32_t)others - 1 : (int32_t)bits;
}

/* floor(a / 2^n + 1/2): halves go up. |a| + 2^(n-1) must fit 32 bits. */
static inline int32_t es_round_shift(int32_t a, unsigned n)
{
    const uint32_t half = ((uint32_t)1 << n) >> 1;
    return es_shift_right(a + (int32_t)half, n);
}

/* floor(a m / 2^16) for any a and m without a long product: a = 2^16 high + low, and each of the two products fits 32
 * bits, as |high| <= 2^15 and low < 2^16. */
static inline int32_t es_mulw(int32_t a, int16_t m)
{
    const int32_t high = es_shift_right(a, 16);
    const uint32_t low = (uint32_t)a & 0xFFFFu;
    return high * m + es_shift_right((int32_t)low * m, 16);
}

/* The nearest value that 16 bits hold. In one instruction where the part has it, as compilers make branches of the C:
 * then how long a step takes would depend on the data. */
static inline int16_t es_saturate16(int32_t a)
{
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__)
    __asm__("ssat %0, #16, %1" : "=r"(a) : "r"(a));
    return (int16_t)a;
#else
    return (int16_t)(a < INT16_MIN ? INT16_MIN : a > INT16_MAX ? INT16_MAX : a);
#endif
}

#endif
