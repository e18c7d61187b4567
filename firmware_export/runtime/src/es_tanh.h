/* The activation table, shared by tanh and sigmoid (SPEC.md, section 5). */
#ifndef ES_TANH_H
#define ES_TANH_H

#include <stdint.h>

#include "es_fixed.h"
#include "es_kernel.h"
#include "es_port.h"

#define ES_ARGUMENT_MAX ((int32_t)0xFFFFF)   /* 20 bits, Q16, -8 to 8 */
#define ES_ARGUMENT_ZERO ((int32_t)0x80000) /* stands for x = 0 */
#define ES_ARGUMENT_FRAC_BITS 16u

#define ES_TABLE_WORDS 256u

/* base * 2^16 + slope: base -32767 .. 32767, slope 0 .. 32767; and the CRC-32 of its words, low byte first */
extern const ES_ROM int32_t es_tanh_table[ES_TABLE_WORDS];
extern const ES_ROM uint32_t es_tanh_crc;

/* The same table in the form that the Thumb-2 and Helium kernels use; see es_tanh_dsp.c. */
extern const ES_ROM int32_t es_tanh_dsp_table[ES_TABLE_WORDS];
extern const ES_ROM uint32_t es_tanh_dsp_crc;

/* The one of the two that is compiled. */
#if !ES_DSP_TABLE
#define ES_TABLE_IN_USE es_tanh_table
#define ES_TABLE_IN_USE_CRC es_tanh_crc
#else
#define ES_TABLE_IN_USE es_tanh_dsp_table
#define ES_TABLE_IN_USE_CRC es_tanh_dsp_crc
#endif

/* Saturates to the range of the table's argument, 0 .. 2^20 - 1. */
static inline int32_t es_argument(int32_t a)
{
    return a < 0 ? 0 : a > ES_ARGUMENT_MAX ? ES_ARGUMENT_MAX : a;
}

/* tanh((argument - 2^19) / 2^16), Q15, -32767 .. 32767; argument 0 .. 2^20 - 1. base + floor(slope (f + 1) / 2^16)
 * = floor((word + slope f) / 2^16); the sum stays below 2^31, as the result fits. In the
 * table of the DSP kernels, f is the low half of the argument as a signed number, modulo 2^32. */
static inline int16_t es_tanh(int32_t argument)
{
#if !ES_DSP_TABLE
    const int32_t word = ES_ROM_INT32(&es_tanh_table[es_shift_right(argument, 12)]);
    const uint32_t slope = (uint32_t)word & 0xFFFFu;
    return (int16_t)es_shift_right(word + (int32_t)slope * (argument & 0xFFF), 16);
#else
    const uint32_t word = (uint32_t)ES_ROM_INT32(&es_tanh_dsp_table[es_shift_right(argument, 12)]);
    const uint32_t low = (((uint32_t)argument & 0xFFFFu) ^ 0x8000u) - 0x8000u;
    return (int16_t)es_shift_right(es_signed32(word + (word & 0xFFFFu) * low), 16);
#endif
}

/* sigmoid, Q15, 0 .. 32767, as (1 + tanh(x / 2)) / 2. The row's multiplier has already halved the argument. */
static inline int16_t es_sigmoid(int32_t argument)
{
    return (int16_t)(es_shift_right(es_tanh(argument), 1) + 16384);
}

#endif
