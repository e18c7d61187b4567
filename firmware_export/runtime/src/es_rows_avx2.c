/* The dot products of four rows of es_rows.c for x86 hosts with AVX2: those of convolutions, dense layers and the head. They
 * compute the same integers. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_AVX2
#include "es_avx2.h"

/* The sums of a block in four lanes: those of even groups and of odd ones, added. */
static inline __m128i halves_added(__m256i sums)
{
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

const int16_t *es_rows4_wide(const int16_t *weights, const int16_t *features, uint16_t pairs, int32_t *accumulators)
{
    __m256i sums = _mm256_zextsi128_si256(es_avx2_load_half(accumulators));
    es_avx2_add_pairs(&sums, 1, weights, 0, ES_BLOCK_ROWS, features, pairs);
    _mm_storeu_si128((__m128i *)(void *)accumulators, halves_added(sums));
    return weights + 8u * pairs;
}

const int16_t *es_rows4_narrow(const int16_t *weights, const int16_t *operands, uint16_t quads, int32_t *accumulators)
{
    __m256i sums = _mm256_add_epi32(es_avx2_excess(operands, quads),
                                    _mm256_zextsi128_si256(es_avx2_load_half(accumulators)));
    es_avx2_add_quads(&sums, 1, weights, 0, ES_BLOCK_ROWS, operands, quads);
    _mm_storeu_si128((__m128i *)(void *)accumulators, halves_added(sums));
    return weights + 8u * quads;
}

#if ES_OWN_RESULTS
#define AT_ONCE 4u /* blocks */

/* Defines the results of some blocks at once. blocks: constant, 1 or even. excess: added to each sum */
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
        for (n = 0; n + 2u <= blocks; n += 2u) {                                                              \
            const __m256i two = es_avx2_scaled(sums[n], sums[n + 1u], block + n, block + n + 1u);             \
            _mm256_storeu_si256((__m256i *)(void *)(results + ES_BLOCK_ROWS * n), two);                       \
        }                                                                                                     \
        if (n < blocks) {                                                                                     \
            const __m256i twice = es_avx2_scaled(sums[n], sums[n], block + n, block + n);                     \
            _mm_storeu_si128((__m128i *)(void *)(results + ES_BLOCK_ROWS * n), _mm256_castsi256_si128(twice)); \
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
#endif
