/* es_gru.c for x86 hosts with AVX2. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_AVX2
#include "es_avx2.h"
#include "es_cells.h"

/* Computes the results of eight units: reset gate, update gate, new gate's input part and hidden part. excess:
 * es_avx2_excess of the operands of the layer below and of the own operands. results [4] */
static inline void gate_results(const es_layer_t *layer, unsigned unit, const int16_t *below, const int16_t *own,
                                const __m256i *excess, __m256i *results)
{
    const uint32_t stride = es_gru_unit_words(layer);
    const int16_t *const weights = layer->weights + (size_t)unit * stride;
    const es_block_t *const blocks = layer->blocks + unit;
    const __m256i zero = _mm256_set1_epi32(-1); /* makes a shuffle write zero bytes */
    /* Rows of the input move from lanes 0 - 2 (odd groups: 1 - 3) to lanes 0 - 2; rows of the state to 0, 1 and 3. */
    const __m256i lanes = _mm256_setr_epi32(0x03020100, 0x07060504, 0x0B0A0908, 0x0F0E0D0C, /* unchanged */
                                            0x07060504, 0x0B0A0908, 0x0F0E0D0C, 0x0F0E0D0C);
    const __m256i input_lanes = _mm256_blend_epi32(lanes, zero, 0x88);
    const __m256i state_lanes = _mm256_blend_epi32(_mm256_shuffle_epi32(lanes, 0xA4), zero, 0x44);
    es_avx2_sums_t sums;
    __m256i inputs[ES_AVX2_UNITS];
    unsigned n;

    for (n = 0; n < ES_AVX2_UNITS; n++) {
        sums.of[n] = excess[0];
    }
    es_avx2_add_pairs(sums.of, ES_AVX2_UNITS, weights, stride, 3, below, layer->wide_pairs);
    if (layer->wide_alone != 0u) {
        const __m256i last = _mm256_set1_epi32((uint16_t)below[2u * layer->wide_pairs]); /* beside a zero */
        for (n = 0; n < ES_AVX2_UNITS; n++) {
            const int16_t *const at = weights + n * stride + 6u * layer->wide_pairs;
            const __m128i three = _mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at));
            sums.of[n] = es_avx2_dot(sums.of[n], _mm256_zextsi128_si256(three), last);
        }
    }
    es_avx2_add_quads(sums.of, ES_AVX2_UNITS, weights + (stride - 6u * ((uint32_t)layer->below_quads + layer->own_quads)), stride, 3,
                      below, layer->below_quads);
    for (n = 0; n < ES_AVX2_UNITS; n++) {
        const __m256i bias = _mm256_zextsi128_si256(es_avx2_load_half(blocks[n].bias));
        inputs[n] = _mm256_add_epi32(bias, _mm256_shuffle_epi8(sums.of[n], input_lanes));
        sums.of[n] = excess[1];
    }
    es_avx2_add_quads(sums.of, ES_AVX2_UNITS, weights + (stride - 6u * layer->own_quads), stride, 3, own, layer->own_quads);
    for (n = 0; n < ES_AVX2_UNITS; n++) {
        sums.of[n] = _mm256_add_epi32(inputs[n], _mm256_shuffle_epi8(sums.of[n], state_lanes));
    }
    es_avx2_results(&sums, blocks, results);
}

/* A product of a number in 0 .. 32767 and a signed 16-bit one is a dual multiply-add whose other product is 0. */
void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const __m256i operand_half = _mm256_setr_epi32(0, 0, 128, 128, 0, 0, 128, 128);
    const __m256i operand_shift = _mm256_setr_epi32(0, 0, 8, 8, 0, 0, 8, 8);
    const __m256i excess[2] = {es_avx2_excess(below, layer->below_quads), es_avx2_excess(state, layer->own_quads)};
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = 0; unit + ES_AVX2_UNITS <= layer->hidden_size; unit += ES_AVX2_UNITS) {
        __m256i rows[ES_BLOCK_ROWS];
        __m256i n, keep, take, h;

        gate_results(layer, unit, below, state, excess, rows);
        n = _mm256_add_epi32(_mm256_add_epi32(rows[2], _mm256_srai_epi32(rows[3], 1)),
                             es_avx2_mulw(rows[3], es_avx2_tanh(rows[0], 0)));
        n = es_avx2_tanh(n, 0);
        keep = es_avx2_sigmoid(rows[1]);
        take = _mm256_sub_epi32(_mm256_set1_epi32(32767), keep);
        h = _mm256_add_epi32(_mm256_madd_epi16(keep, es_avx2_widen(hidden + unit)), _mm256_madd_epi16(take, n));
        h = _mm256_srai_epi32(_mm256_add_epi32(h, _mm256_set1_epi32(1 << 14)), 15);
        es_avx2_store(hidden + unit, h);
        es_avx2_store(scratch + unit, _mm256_srav_epi32(_mm256_add_epi32(h, operand_half), operand_shift));
    }
    es_gru_units(layer, below, state, scratch, unit);
    es_avx2_replace(state, scratch, layer->hidden_size);
}
#endif
