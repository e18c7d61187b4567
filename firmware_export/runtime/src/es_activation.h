/* Activations of dense layers and convolutions: from a row's result to a value in Q15 (SPEC.md, section 8). */
#ifndef ES_ACTIVATION_H
#define ES_ACTIVATION_H

#include "edge_seq.h"
#include "es_fixed.h"
#include "es_kernel.h"
#include "es_operands.h"
#include "es_tanh.h"

/* Each of these activates a result, or four or eight of them in a vector. ES_ACTIVATE defines what stores the operands of `units`
 * results, a multiple of four. Macros, so that no compiler calls the activation through a pointer. */
#if ES_KERNEL == ES_KERNEL_MVE
#include <arm_mve.h>

static inline int32x4_t es_activation_relu(int32x4_t results)
{
    return vmaxq_s32(vminq_s32(results, vdupq_n_s32(INT16_MAX)), vdupq_n_s32(0));
}

/* The low half of a word of this table is a slope, 0 .. 32767; see es_tanh(). */
static inline int32x4_t es_activation_tanh(int32x4_t results)
{
    const int32x4_t argument = vmaxq_s32(vminq_s32(results, vdupq_n_s32(ES_ARGUMENT_MAX)), vdupq_n_s32(0));
    const uint32x4_t index = vreinterpretq_u32_s32(vshrq_n_s32(argument, 12));
    const int32x4_t word = vldrwq_gather_shifted_offset_s32(es_tanh_dsp_table, index);
    const int32x4_t product = vmullbq_int_s16(vreinterpretq_s16_s32(word), vreinterpretq_s16_s32(argument));
    return vshrq_n_s32(vaddq_s32(word, product), 16);
}

static inline int32x4_t es_activation_none(int32x4_t results)
{
    return vmaxq_s32(vminq_s32(results, vdupq_n_s32(INT16_MAX)), vdupq_n_s32(INT16_MIN));
}

#define ES_ACTIVATE(name, activation)                                                                         \
    static inline void name(const int32_t *results, unsigned units, int16_t *operands)                        \
    {                                                                                                         \
        const int32x4_t shifts = {0, 0, -8, -8};                                                              \
        const int16_t *const end = operands + units;                                                          \
        for (; operands != end; operands += ES_QUAD) {                                                        \
            vstrhq_s32(operands, vrshlq_s32((activation)(vldrwq_s32(results)), shifts));                      \
            results += ES_QUAD;                                                                               \
        }                                                                                                     \
    }
#elif ES_KERNEL == ES_KERNEL_NEON
#include "es_neon.h"

static inline int16x4_t es_activation_relu(int32x4_t results)
{
    return vmax_s16(vqmovn_s32(results), vdup_n_s16(0));
}

static inline int16x4_t es_activation_tanh(int32x4_t results)
{
    return vmovn_s32(es_neon_tanh(results));
}

static inline int16x4_t es_activation_none(int32x4_t results)
{
    return vqmovn_s32(results);
}

#define ES_ACTIVATE(name, activation)                                                                         \
    static inline void name(const int32_t *results, unsigned units, int16_t *operands)                        \
    {                                                                                                         \
        const int16_t *const end = operands + units;                                                          \
        for (; operands != end; operands += ES_QUAD) {                                                        \
            vst1_s16(operands, es_neon_operands((activation)(vld1q_s32(results))));                           \
            results += ES_QUAD;                                                                               \
        }                                                                                                     \
    }
#elif ES_KERNEL == ES_KERNEL_AVX2
#include "es_avx2.h"

static inline __m256i es_activation_relu(__m256i results)
{
    return _mm256_max_epi32(_mm256_min_epi32(results, _mm256_set1_epi32(INT16_MAX)), _mm256_setzero_si256());
}

static inline __m256i es_activation_tanh(__m256i results)
{
    return es_avx2_tanh(results, 0);
}

static inline __m256i es_activation_none(__m256i results)
{
    return es_avx2_saturated(results);
}

#define ES_ACTIVATE(name, activation)                                                                         \
    static inline void name(const int32_t *results, unsigned units, int16_t *operands)                        \
    {                                                                                                         \
        for (; units >= 2u * ES_QUAD; units -= 2u * ES_QUAD) {                                                \
            const __m256i eight = _mm256_loadu_si256((const __m256i *)(const void *)results);                 \
            es_avx2_store(operands, es_avx2_operand((activation)(eight)));                                    \
            operands += 2u * ES_QUAD;                                                                         \
            results += 2u * ES_QUAD;                                                                          \
        }                                                                                                     \
        if (units > 0u) {                                                                                     \
            const __m256i four = _mm256_zextsi128_si256(es_avx2_load_half(results));                          \
            es_avx2_store_quad(operands, es_avx2_operand((activation)(four)));                                \
        }                                                                                                     \
    }
#else
static inline int32_t es_activation_relu(int32_t result)
{
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__)
    __asm__("usat %0, #15, %1" : "=r"(result) : "r"(result));
    return result;
#else
    return result < 0 ? 0 : result > INT16_MAX ? INT16_MAX : result;
#endif
}

static inline int32_t es_activation_tanh(int32_t result)
{
    return es_tanh(es_argument(result));
}

static inline int32_t es_activation_none(int32_t result)
{
    return es_saturate(result);
}

#define ES_ACTIVATE(name, activation)                                                                         \
    static inline void name(const int32_t *results, unsigned units, int16_t *operands)                        \
    {                                                                                                         \
        const int16_t *const end = operands + units;                                                          \
        for (; operands != end; operands += ES_QUAD) {                                                        \
            es_operands_store(operands, (activation)(results[0]), (activation)(results[1]),                   \
                              (activation)(results[2]), (activation)(results[3]));                            \
            results += ES_QUAD;                                                                               \
        }                                                                                                     \
    }
#endif

ES_ACTIVATE(es_activate_relu, es_activation_relu)
ES_ACTIVATE(es_activate_tanh, es_activation_tanh)
ES_ACTIVATE(es_activate_none, es_activation_none)

#endif
