/* es_fastgrnn.c for x86 hosts with AVX2. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_AVX2
#include "es_avx2.h"
#include "es_cells.h"

/* Steps the units of some blocks from `quad` on, as es_rnn_avx2.c does. */
ES_AVX2_INLINE void some_units(const es_layer_t *layer, unsigned quad, unsigned blocks, const int16_t *below,
                               int16_t *state, int16_t *scratch, __m256i excess)
{
    const uint32_t offsets = 8u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const uint32_t stride = offsets + ES_FASTGRNN_OFFSET_WORDS;
    const int16_t *const weights = layer->weights + ES_FASTGRNN_HEAD_WORDS + (size_t)quad * stride;
    const es_block_t *const block = layer->blocks + quad;
    const __m256i zeta = _mm256_set1_epi32(es_fastgrnn_zeta(layer));
    const __m256i nu = _mm256_set1_epi32(es_fastgrnn_nu(layer));
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    __m256i sums[ES_AVX2_UNITS];
    unsigned n;

    es_avx2_layer_sums(sums, blocks, layer, block, weights, stride, below, state, excess);
#pragma GCC unroll 4
    for (n = 0; n < blocks; n += 2u) {
        const unsigned other = blocks > 1u ? n + 1u : n; /* of a block that is alone, the upper half is of no use */
        const __m256i results = es_avx2_scaled(sums[n], sums[other], block + n, block + other);
        const __m128i offset = es_avx2_load_half(weights + n * stride + offsets);
        const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(offset),
                                                     es_avx2_load_half(weights + other * stride + offsets), 1);
        const __m256i keep = es_avx2_sigmoid(_mm256_add_epi32(_mm256_srai_epi32(results, 1), both));
        /* zeta (1 - z) + nu, Q30, below 2^31 */
        const __m256i rest = _mm256_sub_epi32(_mm256_set1_epi32(1 << 15), keep);
        const __m256i take = _mm256_add_epi32(_mm256_mullo_epi32(zeta, rest), nu);
        int16_t *const at = hidden + ES_QUAD * (quad + n);
        const __m256i old = blocks > 1u ? es_avx2_widen(at) : es_avx2_widen_quad(at);
        const __m256i kept = _mm256_srai_epi32(_mm256_madd_epi16(keep, old), 1); /* Q29, as the next */
        const __m256i added = es_avx2_mulw(take, es_avx2_tanh(results, 0));
        const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(kept, added), _mm256_set1_epi32(1 << 13));
        const __m256i h = es_avx2_saturated(_mm256_srai_epi32(sum, 14));
        if (blocks > 1u) {
            es_avx2_store(at, h);
            es_avx2_store(scratch + ES_QUAD * (quad + n), es_avx2_operand(h));
        } else {
            es_avx2_store_quad(at, h);
            es_avx2_store_quad(scratch + ES_QUAD * quad, es_avx2_operand(h));
        }
    }
}

void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    ES_AVX2_STEP_BLOCKS(some_units, layer, below, state, scratch);
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        hidden[unit] = 0;
    }
}
#endif
