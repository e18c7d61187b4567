/* The dot products of four rows of es_rows.c for Arm processors with NEON: those of all layers but GRU and LSTM. They
 * compute the same integers. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_NEON
#include "es_neon.h"

ES_NEON_INLINE int32x4_t quads_added(int32x4_t sum, const int16_t *weights, const int16_t *operands, unsigned quads)
{
    for (; quads > 1u; quads -= 2u) {
        sum = es_neon_add_two_quads(sum, weights, ES_BLOCK_ROWS, vld1q_s16(operands));
        weights += 4u * ES_BLOCK_ROWS;
        operands += 2u * ES_QUAD;
    }
    if (quads > 0u) {
        sum = es_neon_add_quad(sum, weights, ES_BLOCK_ROWS, vld1_s16(operands));
    }
    return sum;
}

ES_NEON_INLINE int32x4_t pairs_added(int32x4_t sum, const int16_t *weights, const int16_t *features, unsigned pairs)
{
    for (; pairs > 0u; pairs--) {
        sum = es_neon_add_pair(sum, weights, ES_BLOCK_ROWS, features);
        weights += 2u * ES_BLOCK_ROWS;
        features += 2;
    }
    return sum;
}

const int16_t *es_rows4_wide(const int16_t *weights, const int16_t *features, uint16_t pairs, int32_t *accumulators)
{
    vst1q_s32(accumulators, pairs_added(vld1q_s32(accumulators), weights, features, pairs));
    return weights + 8u * pairs;
}

const int16_t *es_rows4_narrow(const int16_t *weights, const int16_t *operands, uint16_t quads, int32_t *accumulators)
{
    vst1q_s32(accumulators, quads_added(vld1q_s32(accumulators), weights, operands, quads));
    return weights + 8u * quads;
}

const int16_t *es_rows4_block(const es_layer_t *layer, const es_block_t *block, const int16_t *weights,
                              const int16_t *below, const int16_t *own, int32_t *results)
{
    const int16_t *const narrow = weights + 8u * layer->wide_pairs;
    const int16_t *const state = narrow + 8u * layer->below_quads;
    int32x4_t sum = pairs_added(vld1q_s32(block->bias), weights, below, layer->wide_pairs);

    sum = quads_added(sum, narrow, below, layer->below_quads);
    sum = quads_added(sum, state, own, layer->own_quads);
    vst1q_s32(results, es_neon_scaled(sum, block));
    return state + 8u * layer->own_quads;
}

#if ES_OWN_RESULTS
/* Adds two pairs: weights [2, 4, 2]. */
ES_NEON_INLINE int32x4_t two_pairs_added(int32x4_t sum, const int16_t *weights, int16x4_t features)
{
    const int16x8x2_t words = es_neon_groups(weights, ES_BLOCK_ROWS);
    sum = vmlal_lane_s16(sum, vget_low_s16(words.val[0]), features, 0);
    sum = vmlal_lane_s16(sum, vget_low_s16(words.val[1]), features, 1);
    sum = vmlal_lane_s16(sum, vget_high_s16(words.val[0]), features, 2);
    return vmlal_lane_s16(sum, vget_high_s16(words.val[1]), features, 3);
}

/* es_neon_add_pairs for many pairs, two at once. A cell has few, and this would take more instructions there. */
ES_NEON_INLINE void add_many_pairs(int32x4_t *sums, const int16_t *weights, size_t stride, unsigned rows,
                                   const int16_t *features, unsigned pairs)
{
    unsigned n;
    for (; pairs > 1u; pairs -= 2u) {
        const int16x4_t words = vld1_s16(features);
#pragma GCC unroll 4
        for (n = 0; n < ES_NEON_UNITS; n++) {
            sums[n] = two_pairs_added(sums[n], weights + n * stride, words);
        }
        weights += 4u * rows;
        features += 4;
    }
    es_neon_add_pairs(sums, weights, stride, rows, features, pairs);
}

/* Defines the results of blocks: of four at once, and of those that are left one by one. */
#define RESULTS4(name, add_to_four, added)                                                                            \
    const int16_t *name(const es_block_t *block, const int16_t *weights, const es_seen_t *seen, unsigned blocks,      \
                        int32_t *results)                                                                             \
    {                                                                                                                 \
        const unsigned first = seen->first_groups;                                                                    \
        const size_t stride = 8u * (size_t)(first + seen->second_groups);                                             \
        for (; blocks >= ES_NEON_UNITS; blocks -= ES_NEON_UNITS) {                                                    \
            int32x4_t sums[ES_NEON_UNITS] = {vld1q_s32(block[0].bias), vld1q_s32(block[1].bias),                      \
                                             vld1q_s32(block[2].bias), vld1q_s32(block[3].bias)};                     \
            (add_to_four)(sums, weights, stride, ES_BLOCK_ROWS, seen->first, first);                                  \
            (add_to_four)(sums, weights + 8u * first, stride, ES_BLOCK_ROWS, seen->second, seen->second_groups);      \
            vst1q_s32(results, es_neon_scaled(sums[0], block));                                                       \
            vst1q_s32(results + ES_BLOCK_ROWS, es_neon_scaled(sums[1], block + 1));                                   \
            vst1q_s32(results + 2u * ES_BLOCK_ROWS, es_neon_scaled(sums[2], block + 2));                              \
            vst1q_s32(results + 3u * ES_BLOCK_ROWS, es_neon_scaled(sums[3], block + 3));                              \
            weights += ES_NEON_UNITS * stride;                                                                        \
            block += ES_NEON_UNITS;                                                                                   \
            results += ES_NEON_UNITS * ES_BLOCK_ROWS;                                                                 \
        }                                                                                                             \
        for (; blocks > 0u; blocks--) {                                                                               \
            int32x4_t sum = (added)(vld1q_s32(block->bias), weights, seen->first, first);                             \
            sum = (added)(sum, weights + 8u * first, seen->second, seen->second_groups);                              \
            vst1q_s32(results, es_neon_scaled(sum, block));                                                           \
            weights += stride;                                                                                        \
            block++;                                                                                                  \
            results += ES_BLOCK_ROWS;                                                                                 \
        }                                                                                                             \
        return weights;                                                                                               \
    }

RESULTS4(es_rows4_wide_results, add_many_pairs, pairs_added)
RESULTS4(es_rows4_narrow_results, es_neon_add_quads, quads_added)
#endif
#endif
