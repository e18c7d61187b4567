/* The results of blocks of es_rows.h for x86 hosts with AVX2: those of convolutions and dense layers. They compute the same
 * integers. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_AVX2 && ES_OWN_RESULTS
#include "es_avx2.h"

#define AT_ONCE 4u /* blocks */

/* Adds the two halves of the sums of a block, even and odd groups, and scales them: results [4] */
static inline void store_results(__m256i sums, const es_block_t *block, int32_t *results)
{
    const __m256i both = _mm256_add_epi32(sums, _mm256_permute4x64_epi64(sums, 0x4E));
    const __m256i multipliers = _mm256_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)(const void *)block->multiplier));
    _mm_storeu_si128((__m128i *)(void *)results, _mm256_castsi256_si128(es_avx2_mulw_positive(both, multipliers)));
}

/* Defines the results of some blocks at once. blocks: constant. excess: added to each sum */
#define SOME_RESULTS(name, add)                                                                               \
    ES_AVX2_INLINE void name(const es_block_t *block, unsigned blocks, const int16_t *weights, uint32_t stride, \
                             const es_seen_t *seen, __m256i excess, int32_t *results)                         \
    {                                                                                                         \
        const unsigned first = seen->first_groups;                                                            \
        __m256i sums[AT_ONCE];                                                                                \
        unsigned n;                                                                                           \
        for (n = 0; n < blocks; n++) {                                                                        \
            sums[n] = _mm256_add_epi32(excess, _mm256_zextsi128_si256(es_avx2_load_half(block[n].bias)));     \
        }                                                                                                     \
        (add)(sums, blocks, weights, stride, ES_BLOCK_ROWS, seen->first, first);                              \
        (add)(sums, blocks, weights + 8u * first, stride, ES_BLOCK_ROWS, seen->second, seen->second_groups);  \
        for (n = 0; n < blocks; n++) {                                                                        \
            store_results(sums[n], block + n, results + ES_BLOCK_ROWS * n);                                   \
        }                                                                                                     \
    }

SOME_RESULTS(some_wide, es_avx2_add_pairs)
SOME_RESULTS(some_narrow, es_avx2_add_quads)

/* Defines the results of any number of blocks. */
#define RESULTS4(name, some, excess_of)                                                                       \
    const int16_t *name(const es_block_t *block, const int16_t *weights, const es_seen_t *seen, unsigned blocks, \
                        int32_t *results)                                                                     \
    {                                                                                                         \
        const uint32_t stride = 8u * ((uint32_t)seen->first_groups + seen->second_groups);                    \
        const __m256i excess = (excess_of)(seen);                                                             \
        for (; blocks >= AT_ONCE; blocks -= AT_ONCE) {                                                        \
            (some)(block, AT_ONCE, weights, stride, seen, excess, results);                                   \
            weights += (size_t)AT_ONCE * stride;                                                              \
            block += AT_ONCE;                                                                                 \
            results += AT_ONCE * ES_BLOCK_ROWS;                                                               \
        }                                                                                                     \
        for (; blocks > 0u; blocks--) {                                                                       \
            (some)(block, 1u, weights, stride, seen, excess, results);                                        \
            weights += stride;                                                                                \
            block++;                                                                                          \
            results += ES_BLOCK_ROWS;                                                                         \
        }                                                                                                     \
        return weights;                                                                                       \
    }

static inline __m256i no_excess(const es_seen_t *seen)
{
    (void)seen;
    return _mm256_setzero_si256();
}

static inline __m256i excess_of_quads(const es_seen_t *seen)
{
    return _mm256_add_epi32(es_avx2_excess(seen->first, seen->first_groups),
                            es_avx2_excess(seen->second, seen->second_groups));
}

RESULTS4(es_rows4_wide_results, some_wide, no_excess)
RESULTS4(es_rows4_narrow_results, some_narrow, excess_of_quads)
#endif
