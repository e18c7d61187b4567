/* Shared by the kernels for x86 hosts with AVX2: the sums of up to eight blocks of four rows, and the gates of eight
 * units. For a dual 16-bit multiply-add, a row's pair of words holds the weights of the coarse columns; after sign
 * extension of its low bytes, it holds those of the fine columns. One vector is four rows of two quads. See
 * KERNELS.md. */
#ifndef ES_AVX2_H
#define ES_AVX2_H

#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_AVX2
#include <immintrin.h>
#include <string.h>

#include "edge_seq.h"
#include "es_tanh.h"

#define ES_AVX2_UNITS 8u /* blocks at once */
#define ES_AVX2_INLINE static inline __attribute__((always_inline))

/* Partial sums. Those of a block are rows 0 - 3 for even groups, then rows 0 - 3 for odd groups. */
typedef struct {
    __m256i of[ES_AVX2_UNITS];
} es_avx2_sums_t;

static inline __m128i es_avx2_load_half(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* One pair of 16-bit numbers. A pointer to int32_t must not read them: the compiler may assume that it does not. */
static inline __m128i es_avx2_load_pair(const int16_t *at)
{
    int32_t pair;
    memcpy(&pair, at, sizeof pair);
    return _mm_cvtsi32_si128(pair);
}

/* sum + a0 b0 + a1 b1 in each of eight lanes; a and b are pairs of 16-bit numbers. */
static inline __m256i es_avx2_dot(__m256i sum, __m256i a, __m256i b)
{
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpwssd_epi32(sum, a, b);
#elif defined(__AVXVNNI__)
    return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

/* Loads the weights of two groups, or of one group and zeros. With three rows, those of an even group are lanes 0 -
 * 2 of their half, those of an odd group lanes 1 - 3. The remaining lane holds words of the other group; its sum is
 * ignored. */
static inline __m256i es_avx2_groups(const int16_t *at, int whole, unsigned rows)
{
    if (rows == 4) {
        return whole ? _mm256_loadu_si256((const __m256i *)(const void *)at)
                     : _mm256_zextsi128_si256(es_avx2_load_half(at));
    } else if (whole) {
        return _mm256_inserti128_si256(_mm256_castsi128_si256(es_avx2_load_half(at)), es_avx2_load_half(at + 4), 1);
    } else {
        const __m128i three = _mm_setr_epi32(-1, -1, -1, 0);
        return _mm256_zextsi128_si256(_mm_maskload_epi32((const int *)(const void *)at, three));
    }
}

/* Spreads the words `even` and `odd` of eight operands, or of four features, each over the four rows of a half. */
static inline __m256i es_avx2_spread(__m128i words, int even, int odd)
{
    const __m256i choice = _mm256_setr_epi32(even, even, even, even, odd, odd, odd, odd);
    return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(words), choice);
}

/* Adds wide columns of some blocks, sums [blocks]: weights [.., pairs, rows, 2], blocks `stride` words apart. blocks, rows
 * (3 or 4): constants. */
ES_AVX2_INLINE void es_avx2_add_pairs(__m256i *sums, unsigned blocks, const int16_t *weights, uint32_t stride,
                                      unsigned rows, const int16_t *features, unsigned pairs)
{
    for (; pairs > 0; pairs -= pairs > 1 ? 2 : 1) {
        const int whole = pairs > 1;
        const __m128i words = whole ? _mm_loadl_epi64((const __m128i *)(const void *)features)
                                    : es_avx2_load_pair(features);
        const __m256i x = es_avx2_spread(words, 0, 1);
        unsigned unit;
#pragma GCC unroll 8
        for (unit = 0; unit < blocks; unit++) {
            const int16_t *const at = weights + unit * stride;
            const __m256i w = es_avx2_groups(at, whole, rows);
            sums[unit] = es_avx2_dot(sums[unit], w, x);
        }
        weights += 4u * rows;
        features += 4;
    }
}

/* Loads the operands of two quads, or of one quad and zeros. */
static inline __m128i es_avx2_operands(const int16_t *at, int whole)
{
    return whole ? es_avx2_load_half(at) : _mm_loadl_epi64((const __m128i *)(const void *)at);
}

/* Correction for each sum. A fine weight b is used as b + 128, which takes logic operations only; a sign extension
 * would take two shifts, and fewer shifts run in parallel. This function returns -128 times the fine operands, to
 * be added to each sum. Sums may wrap meanwhile; the final sum is correct. */
static inline __m256i es_avx2_excess(const int16_t *operands, unsigned quads)
{
    __m256i excess = _mm256_setzero_si256();
    for (; quads > 0; quads -= quads > 1 ? 2 : 1) {
        const __m256i fine = es_avx2_spread(es_avx2_operands(operands, quads > 1), 0, 2);
        excess = es_avx2_dot(excess, fine, _mm256_set1_epi16(-128));
        operands += 8;
    }
    return excess;
}

/* Adds narrow columns: weights [.., quads, rows, 2]. The correction of es_avx2_excess must be added too. */
ES_AVX2_INLINE void es_avx2_add_quads(__m256i *sums, unsigned blocks, const int16_t *weights, uint32_t stride,
                                      unsigned rows, const int16_t *operands, unsigned quads)
{
    for (; quads > 0; quads -= quads > 1 ? 2 : 1) {
        const int whole = quads > 1;
        const __m128i words = es_avx2_operands(operands, whole);
        const __m256i fine = es_avx2_spread(words, 0, 2);
        const __m256i coarse = es_avx2_spread(words, 1, 3);
        unsigned unit;
#pragma GCC unroll 8
        for (unit = 0; unit < blocks; unit++) {
            const __m256i w = es_avx2_groups(weights + unit * stride, whole, rows);
            const __m256i raised =
                _mm256_and_si256(_mm256_xor_si256(w, _mm256_set1_epi16(0x80)), _mm256_set1_epi16(0xFF));
            sums[unit] = es_avx2_dot(es_avx2_dot(sums[unit], w, coarse), raised, fine);
        }
        weights += 4u * rows;
        operands += 8;
    }
}

/* es_mulw in each lane */
static inline __m256i es_avx2_mulw(__m256i a, __m256i m)
{
    const __m256i high = _mm256_mullo_epi32(_mm256_srai_epi32(a, 16), m);
    const __m256i low = _mm256_mullo_epi32(_mm256_and_si256(a, _mm256_set1_epi32(0xFFFF)), m);
    return _mm256_add_epi32(high, _mm256_srai_epi32(low, 16));
}

/* es_mulw for 0 <= m <= 32767: the upper half of m is 0, so two products of 16-bit halves are enough. */
static inline __m256i es_avx2_mulw_positive(__m256i a, __m256i m)
{
    return _mm256_add_epi32(_mm256_madd_epi16(_mm256_srli_epi32(a, 16), m), _mm256_mulhi_epu16(a, m));
}

/* Multipliers of two blocks, in the order of the sums. */
static inline __m256i es_avx2_multipliers(const es_block_t *a, const es_block_t *b)
{
    const __m256i first = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(const void *)a->multiplier));
    const __m128i second = _mm_loadl_epi64((const __m128i *)(const void *)b->multiplier);
    const __m256i both = _mm256_blend_epi32(first, _mm256_broadcastq_epi64(second), 0x30);
    return _mm256_unpacklo_epi16(both, _mm256_setzero_si256());
}

/* Results of the rows of two blocks, in the order of the rows: floor(sum * multiplier / 2^16) */
static inline __m256i es_avx2_scaled(__m256i a, __m256i b, const es_block_t *of_a, const es_block_t *of_b)
{
    const __m256i sums = _mm256_add_epi32(_mm256_blend_epi32(a, b, 0xF0), _mm256_permute2x128_si256(a, b, 0x21));
    return es_avx2_mulw_positive(sums, es_avx2_multipliers(of_a, of_b));
}

/* Turns the sums of four rows of eight blocks into results of eight blocks for each row: results [4] */
static inline void es_avx2_results(const es_avx2_sums_t *sums, const es_block_t *blocks, __m256i *results)
{
    __m256i pair[4]; /* blocks n and n + 4, rows in each half */
    __m256i low[2], high[2];
    unsigned n;
    for (n = 0; n < 4; n++) {
        pair[n] = es_avx2_scaled(sums->of[n], sums->of[n + 4], &blocks[n], &blocks[n + 4]);
    }
    for (n = 0; n < 2; n++) {
        low[n] = _mm256_unpacklo_epi32(pair[2 * n], pair[2 * n + 1]);
        high[n] = _mm256_unpackhi_epi32(pair[2 * n], pair[2 * n + 1]);
    }
    results[0] = _mm256_unpacklo_epi64(low[0], low[1]);
    results[1] = _mm256_unpackhi_epi64(low[0], low[1]);
    results[2] = _mm256_unpacklo_epi64(high[0], high[1]);
    results[3] = _mm256_unpackhi_epi64(high[0], high[1]);
}

/* Sums of some blocks of a layer whose four rows all see input and state, which begin at `block` and `weights`: sums
 * [blocks]. blocks: constant. stride: words from the weights of a block to the next. excess: es_avx2_excess of all
 * operands */
ES_AVX2_INLINE void es_avx2_layer_sums(__m256i *sums, unsigned blocks, const es_layer_t *layer, const es_block_t *block,
                                       const int16_t *weights, uint32_t stride, const int16_t *below,
                                       const int16_t *own, __m256i excess)
{
    const int16_t *const narrow = weights + 8u * layer->wide_pairs;
    unsigned n;
#pragma GCC unroll 8
    for (n = 0; n < blocks; n++) {
        sums[n] = _mm256_add_epi32(excess, _mm256_zextsi128_si256(es_avx2_load_half(block[n].bias)));
    }
    es_avx2_add_pairs(sums, blocks, weights, stride, ES_BLOCK_ROWS, below, layer->wide_pairs);
    es_avx2_add_quads(sums, blocks, narrow, stride, ES_BLOCK_ROWS, below, layer->below_quads);
    es_avx2_add_quads(sums, blocks, narrow + 8u * layer->below_quads, stride, ES_BLOCK_ROWS, own, layer->own_quads);
}

/* Loads words of the activation table one by one. */
static inline __m256i es_avx2_words(__m256i index)
{
    const int32_t *const t = es_tanh_table;
    const __m128i low = _mm256_castsi256_si128(index);
    const __m128i high = _mm256_extracti128_si256(index, 1);
    const uint64_t i01 = (uint64_t)_mm_cvtsi128_si64(low), i23 = (uint64_t)_mm_extract_epi64(low, 1);
    const uint64_t i45 = (uint64_t)_mm_cvtsi128_si64(high), i67 = (uint64_t)_mm_extract_epi64(high, 1);
    return _mm256_setr_epi32(t[(uint32_t)i01], t[i01 >> 32], t[(uint32_t)i23], t[i23 >> 32], t[(uint32_t)i45],
                             t[i45 >> 32], t[(uint32_t)i67], t[i67 >> 32]);
}

/* es_tanh(es_argument(a)) in each lane, shifted right by `more` */
static inline __m256i es_avx2_tanh(__m256i a, int more)
{
    const __m256i argument =
        _mm256_min_epi32(_mm256_max_epi32(a, _mm256_setzero_si256()), _mm256_set1_epi32(ES_ARGUMENT_MAX));
    const __m256i word = es_avx2_words(_mm256_srli_epi32(argument, 12));
    const __m256i slope = _mm256_and_si256(word, _mm256_set1_epi32(0xFFFF));
    const __m256i position = _mm256_and_si256(argument, _mm256_set1_epi32(0xFFF));
    return _mm256_srai_epi32(_mm256_add_epi32(word, _mm256_madd_epi16(slope, position)), 16 + more);
}

/* es_sigmoid(es_argument(a)) in each lane */
static inline __m256i es_avx2_sigmoid(__m256i a)
{
    return _mm256_add_epi32(es_avx2_tanh(a, 1), _mm256_set1_epi32(16384));
}

/* Load eight 16-bit values as 32-bit ones, and store them. */
static inline __m256i es_avx2_widen(const int16_t *at)
{
    return _mm256_cvtepi16_epi32(es_avx2_load_half(at));
}

static inline void es_avx2_store(int16_t *at, __m256i values)
{
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(values, values), 0x08); /* saturates */
    _mm_storeu_si128((__m128i *)(void *)at, _mm256_castsi256_si128(words));
}

/* The same of the first four of eight values. */
static inline __m256i es_avx2_widen_quad(const int16_t *at)
{
    return _mm256_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at));
}

static inline void es_avx2_store_quad(int16_t *at, __m256i values)
{
    const __m128i first = _mm256_castsi256_si128(values);
    _mm_storel_epi64((__m128i *)(void *)at, _mm_packs_epi32(first, first)); /* saturates */
}

/* es_saturate in each lane */
static inline __m256i es_avx2_saturated(__m256i values)
{
    return _mm256_min_epi32(_mm256_max_epi32(values, _mm256_set1_epi32(INT16_MIN)), _mm256_set1_epi32(INT16_MAX));
}

/* es_operand of eight hidden values in Q15 */
static inline __m256i es_avx2_operand(__m256i hidden)
{
    const __m256i half = _mm256_setr_epi32(0, 0, 1 << 7, 1 << 7, 0, 0, 1 << 7, 1 << 7);
    const __m256i shift = _mm256_setr_epi32(0, 0, 8, 8, 0, 0, 8, 8);
    return _mm256_srav_epi32(_mm256_add_epi32(hidden, half), shift);
}

/* es_operands_replace, eight at a time as they were stored: a load that spans two stores would wait for both. */
static inline void es_avx2_replace(int16_t *operands, const int16_t *scratch, unsigned hidden_size)
{
    unsigned unit;
    for (unit = 0; unit + ES_AVX2_UNITS <= hidden_size; unit += ES_AVX2_UNITS) {
        _mm_storeu_si128((__m128i *)(void *)(operands + unit), es_avx2_load_half(scratch + unit));
    }
    for (; unit < hidden_size; unit++) {
        operands[unit] = scratch[unit];
    }
}

/* Steps all units of a layer whose blocks are quads of units: some_units(layer, quad, blocks, .., excess) takes the blocks
 * from `quad` on, eight at once, then two, then one. Those beyond the last unit are computed too, and not taken over. */
#define ES_AVX2_STEP_BLOCKS(some_units, layer, below, state, scratch)                                         \
    do {                                                                                                      \
        const unsigned quads = (layer)->own_quads;                                                            \
        const __m256i excess = _mm256_add_epi32(es_avx2_excess(below, (layer)->below_quads),                  \
                                                es_avx2_excess(state, quads));                                \
        unsigned quad;                                                                                        \
        for (quad = 0; quad + ES_AVX2_UNITS <= quads; quad += ES_AVX2_UNITS) {                                \
            (some_units)(layer, quad, ES_AVX2_UNITS, below, state, scratch, excess);                          \
        }                                                                                                     \
        for (; quad + 2u <= quads; quad += 2u) {                                                              \
            (some_units)(layer, quad, 2u, below, state, scratch, excess);                                     \
        }                                                                                                     \
        if (quad < quads) {                                                                                   \
            (some_units)(layer, quad, 1u, below, state, scratch, excess);                                     \
        }                                                                                                     \
        es_avx2_replace(state, scratch, (layer)->hidden_size);                                                \
    } while (0)

#endif
#endif
