/* The integer primitives of SPEC.md, section 2. All rounding and saturation happens here, each in one way. */
#ifndef ES_FIXED_H
#define ES_FIXED_H

#include <stdint.h>

/* floor(a / 2^n), n 0 .. 31. In C99 the right shift of a negative number is implementation-defined. This shifts only
 * non-negative numbers, and gcc and clang compile it to one arithmetic shift. */
static inline int32_t es_shift_right(int32_t a, unsigned n)
{
    return a < 0 ? ~(~a >> n) : a >> n;
}

/* All ones if a is negative, else 0. Used to select without a branch, so that the time of a step does not depend on
 * the choice. */
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

/* The number whose two's complement is `bits`, without an implementation-defined conversion. */
static inline int32_t es_signed32(uint32_t bits)
{
    const uint32_t others = ~bits & 0x7FFFFFFFu;
    return (bits & 0x80000000u) != 0u ? -(int32_t)others - 1 : (int32_t)bits;
}

/* floor(a / 2^n + 1/2): halves round up. |a| + 2^(n-1) must fit 32 bits. */
static inline int32_t es_round_shift(int32_t a, unsigned n)
{
    const uint32_t half = ((uint32_t)1 << n) >> 1;
    return es_shift_right(a + (int32_t)half, n);
}

/* floor(a m / 2^16) for any a and m, without a 64-bit product: a = 2^16 high + low, and each of the two products
 * fits 32 bits, as |high| <= 2^15 and low < 2^16. One instruction if the part has it. */
static inline int32_t es_mulw(int32_t a, int16_t m)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t product;
    __asm__("smulwb %0, %1, %2" : "=r"(product) : "r"(a), "r"((int32_t)m));
    return product;
#else
    const int32_t high = es_shift_right(a, 16);
    const uint32_t low = (uint32_t)a & 0xFFFFu;
    return high * m + es_shift_right((int32_t)low * m, 16);
#endif
}

/* The nearest value that fits 16 bits, as 32 bits. Uses one instruction if the part has it: compilers turn the C into
 * branches, and the time of a step would then depend on the data. */
static inline int32_t es_saturate(int32_t a)
{
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__)
    __asm__("ssat %0, #16, %1" : "=r"(a) : "r"(a));
    return a;
#else
    return a < INT16_MIN ? INT16_MIN : a > INT16_MAX ? INT16_MAX : a;
#endif
}

static inline int16_t es_saturate16(int32_t a)
{
    return (int16_t)es_saturate(a);
}

#endif
