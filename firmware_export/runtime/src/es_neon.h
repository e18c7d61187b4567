/* Shared by the kernels for Arm processors with NEON: the sums of blocks of four rows, and the gates of four units. A
 * vector of sums is one block, a lane is a row: a load that separates even and odd words brings the words of one column
 * of all rows side by side, and they are multiplied by one operand. See KERNELS.md. */
#ifndef ES_NEON_H
#define ES_NEON_H

#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_NEON
#include <arm_neon.h>

#include "edge_seq.h"
#include "es_tanh.h"

#define ES_NEON_INLINE static inline __attribute__((always_inline))
#define ES_NEON_UNITS 4u /* blocks at once; loops over them are unrolled, so that -O2 keeps the sums in registers */

/* sum + words * operand in each lane. The words are the lower or the upper half of a vector, the operand is a lane, 0 -
 * 3, of the same half of another. */
#define ES_NEON_ADD_LOW(sum, words, operands, lane) \
    vmlal_lane_s16(sum, vget_low_s16(words), vget_low_s16(operands), lane)
#if defined(__aarch64__)
#define ES_NEON_ADD_HIGH(sum, words, operands, lane) vmlal_high_laneq_s16(sum, words, operands, 4 + (lane))
#else
#define ES_NEON_ADD_HIGH(sum, words, operands, lane) \
    vmlal_lane_s16(sum, vget_high_s16(words), vget_high_s16(operands), lane)
#endif

/* The words of the first and of the second column in each row of one group: weights [rows, 2]. With three rows, lane 3
 * is of no use. Nothing behind the group is read. */
ES_NEON_INLINE int16x4x2_t es_neon_group(const int16_t *at, unsigned rows)
{
    if (rows == 4) {
        return vld2_s16(at);
    } else {
        const int32x2_t last = vreinterpret_s32_s16(vld1_s16(at + 2)); /* rows 1 and 2 */
        return vuzp_s16(vld1_s16(at), vreinterpret_s16_s32(vrev64_s32(last)));
    }
}

/* The same of two groups that follow each other, one in each half: weights [2, rows, 2]. */
ES_NEON_INLINE int16x8x2_t es_neon_groups(const int16_t *at, unsigned rows)
{
    if (rows == 4) {
        return vld2q_s16(at);
    } else {
        const int32x4_t last = vreinterpretq_s32_s16(vld1q_s16(at + 4)); /* row 2 of the first, then the second group */
        return vuzpq_s16(vld1q_s16(at), vreinterpretq_s16_s32(vextq_s32(last, last, 1)));
    }
}

/* The weight of a fine column, the low byte with its sign, in each lane. */
ES_NEON_INLINE int16x8_t es_neon_fine(int16x8_t words)
{
    return vshrq_n_s16(vshlq_n_s16(words, 8), 8);
}

/* Adds a pair of wide columns: weights [rows, 2]. */
ES_NEON_INLINE int32x4_t es_neon_add_pair(int32x4_t sum, const int16_t *weights, unsigned rows, const int16_t *features)
{
    const int16x4x2_t words = es_neon_group(weights, rows);
    return vmlal_n_s16(vmlal_n_s16(sum, words.val[0], features[0]), words.val[1], features[1]);
}

/* Adds a quad: weights [rows, 2]. */
ES_NEON_INLINE int32x4_t es_neon_add_quad(int32x4_t sum, const int16_t *weights, unsigned rows, int16x4_t operands)
{
    const int16x4x2_t words = es_neon_group(weights, rows);
    const int16x8_t both = vcombine_s16(words.val[0], words.val[1]);
    const int16x8_t fine = es_neon_fine(both);
    sum = vmlal_lane_s16(sum, vget_low_s16(fine), operands, 0);
    sum = vmlal_lane_s16(sum, vget_high_s16(fine), operands, 1);
    sum = vmlal_lane_s16(sum, words.val[0], operands, 2);
    return vmlal_lane_s16(sum, words.val[1], operands, 3);
}

/* Adds two quads: weights [2, rows, 2]. */
ES_NEON_INLINE int32x4_t es_neon_add_two_quads(int32x4_t sum, const int16_t *weights, unsigned rows, int16x8_t operands)
{
    const int16x8x2_t words = es_neon_groups(weights, rows);
    const int16x8_t first = es_neon_fine(words.val[0]);
    const int16x8_t second = es_neon_fine(words.val[1]);
    sum = ES_NEON_ADD_LOW(sum, first, operands, 0);
    sum = ES_NEON_ADD_LOW(sum, second, operands, 1);
    sum = ES_NEON_ADD_LOW(sum, words.val[0], operands, 2);
    sum = ES_NEON_ADD_LOW(sum, words.val[1], operands, 3);
    sum = ES_NEON_ADD_HIGH(sum, first, operands, 0);
    sum = ES_NEON_ADD_HIGH(sum, second, operands, 1);
    sum = ES_NEON_ADD_HIGH(sum, words.val[0], operands, 2);
    return ES_NEON_ADD_HIGH(sum, words.val[1], operands, 3);
}

/* Adds wide columns of four blocks: weights [.., pairs, rows, 2], blocks `stride` words apart, sums [4]; rows: 3, 4 */
ES_NEON_INLINE void es_neon_add_pairs(int32x4_t *sums, const int16_t *weights, size_t stride, unsigned rows,
                                      const int16_t *features, unsigned pairs)
{
    unsigned n;
    for (; pairs > 0u; pairs--) {
#pragma GCC unroll 4
        for (n = 0; n < ES_NEON_UNITS; n++) {
            sums[n] = es_neon_add_pair(sums[n], weights + n * stride, rows, features);
        }
        weights += 2u * rows;
        features += 2;
    }
}

/* Adds narrow columns of four blocks, sums [4]: weights [.., quads, rows, 2], blocks `stride` words apart. */
ES_NEON_INLINE void es_neon_add_quads(int32x4_t *sums, const int16_t *weights, size_t stride, unsigned rows,
                                      const int16_t *operands, unsigned quads)
{
    unsigned n;
    for (; quads > 1u; quads -= 2u) {
        const int16x8_t words = vld1q_s16(operands);
#pragma GCC unroll 4
        for (n = 0; n < ES_NEON_UNITS; n++) {
            sums[n] = es_neon_add_two_quads(sums[n], weights + n * stride, rows, words);
        }
        weights += 4u * rows;
        operands += 2u * ES_QUAD;
    }
    if (quads > 0u) {
        const int16x4_t words = vld1_s16(operands);
#pragma GCC unroll 4
        for (n = 0; n < ES_NEON_UNITS; n++) {
            sums[n] = es_neon_add_quad(sums[n], weights + n * stride, rows, words);
        }
    }
}

/* es_mulw in each lane. The instruction gives floor(2 a b / 2^32) and saturates only if both numbers are -2^31, which
 * 2^15 m is not for any m of 16 bits. */
ES_NEON_INLINE int32x4_t es_neon_mulw(int32x4_t a, int32x4_t m)
{
    return vqdmulhq_s32(a, vshlq_n_s32(m, 15));
}

/* Scales the sums of a block. */
ES_NEON_INLINE int32x4_t es_neon_scaled(int32x4_t sums, const es_block_t *block)
{
    return vqdmulhq_s32(sums, vshll_n_s16(vld1_s16(block->multiplier), 15));
}

/* Makes of four blocks' rows the rows of four blocks: results [4]. */
ES_NEON_INLINE void es_neon_transpose(const int32x4_t *blocks, int32x4_t *results)
{
    const int32x4x2_t a = vtrnq_s32(blocks[0], blocks[1]);
    const int32x4x2_t b = vtrnq_s32(blocks[2], blocks[3]);
    results[0] = vcombine_s32(vget_low_s32(a.val[0]), vget_low_s32(b.val[0]));
    results[1] = vcombine_s32(vget_low_s32(a.val[1]), vget_low_s32(b.val[1]));
    results[2] = vcombine_s32(vget_high_s32(a.val[0]), vget_high_s32(b.val[0]));
    results[3] = vcombine_s32(vget_high_s32(a.val[1]), vget_high_s32(b.val[1]));
}

/* Loads words of the activation table one by one. */
ES_NEON_INLINE int32x4_t es_neon_words(uint32x4_t index)
{
    const int32_t *const table = es_tanh_table;
    int32x4_t words = vld1q_dup_s32(table + vgetq_lane_u32(index, 0));
    words = vld1q_lane_s32(table + vgetq_lane_u32(index, 1), words, 1);
    words = vld1q_lane_s32(table + vgetq_lane_u32(index, 2), words, 2);
    return vld1q_lane_s32(table + vgetq_lane_u32(index, 3), words, 3);
}

/* es_tanh(es_argument(a)) 2^16 in each lane, plus a fraction */
ES_NEON_INLINE int32x4_t es_neon_tanh_raised(int32x4_t a)
{
    const int32x4_t argument = vminq_s32(vmaxq_s32(a, vdupq_n_s32(0)), vdupq_n_s32(ES_ARGUMENT_MAX));
    const int32x4_t word = es_neon_words(vshrq_n_u32(vreinterpretq_u32_s32(argument), 12));
    const int32x4_t slope = vandq_s32(word, vdupq_n_s32(0xFFFF));
    return vmlaq_s32(word, slope, vandq_s32(argument, vdupq_n_s32(0xFFF)));
}

/* es_tanh(es_argument(a)) in each lane */
ES_NEON_INLINE int32x4_t es_neon_tanh(int32x4_t a)
{
    return vshrq_n_s32(es_neon_tanh_raised(a), 16);
}

/* es_sigmoid(es_argument(a)) in each lane */
ES_NEON_INLINE int32x4_t es_neon_sigmoid(int32x4_t a)
{
    return vaddq_s32(vshrq_n_s32(es_neon_tanh_raised(a), 17), vdupq_n_s32(16384));
}

/* es_operand of the hidden values of a quad. The instruction shifts left, so -8 shifts right and rounds. */
ES_NEON_INLINE int16x4_t es_neon_operands(int16x4_t hidden)
{
    const int16_t shifts[ES_QUAD] = {0, 0, -8, -8};
    return vrshl_s16(hidden, vld1_s16(shifts));
}

/* es_operands_replace, a quad at a time */
ES_NEON_INLINE void es_neon_replace(int16_t *operands, const int16_t *scratch, unsigned hidden_size)
{
    unsigned unit;
    for (unit = 0; unit + ES_QUAD <= hidden_size; unit += ES_QUAD) {
        vst1_s16(operands + unit, vld1_s16(scratch + unit));
    }
    for (; unit < hidden_size; unit++) {
        operands[unit] = scratch[unit];
    }
}

#endif
#endif
