/* es_lstm.c for x86 hosts with AVX2. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_AVX2
#include "es_avx2.h"
#include "es_cells.h"

/* Computes the results of the rows of eight units, gate by gate. excess: es_avx2_excess of all operands. results
 * [4] */
static inline void gate_results(const es_layer_t *layer, unsigned unit, const int16_t *below, const int16_t *own,
                                __m256i excess, __m256i *results)
{
    const uint32_t stride = 8u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const int16_t *const weights = layer->weights + (size_t)unit * stride;
    const es_block_t *const blocks = layer->blocks + unit;
    es_avx2_sums_t sums;

    es_avx2_layer_sums(sums.of, ES_AVX2_UNITS, layer, blocks, weights, stride, below, own, excess);
    es_avx2_results(&sums, blocks, results);
}

/* A product of a number in 0 .. 32767 and a signed 16-bit one is a dual multiply-add whose other product is 0. */
void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const int frac_bits = layer->cell_frac_bits;
    const __m256i operand_half = _mm256_setr_epi32(0, 0, 1 << 22, 1 << 22, 0, 0, 1 << 22, 1 << 22);
    const __m256i operand_shift = _mm256_setr_epi32(15, 15, 23, 23, 15, 15, 23, 23);
    const __m256i excess =
        _mm256_add_epi32(es_avx2_excess(below, layer->below_quads), es_avx2_excess(state, layer->own_quads));
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = 0; unit + ES_AVX2_UNITS <= layer->hidden_size; unit += ES_AVX2_UNITS) {
        __m256i rows[ES_BLOCK_ROWS]; /* input, forget, cell, output gate */
        __m256i c, t;

        gate_results(layer, unit, below, state, excess, rows);
        t = _mm256_madd_epi16(es_avx2_sigmoid(rows[0]), es_avx2_tanh(rows[2], 0));
        t = _mm256_sra_epi32(t, _mm_cvtsi32_si128(15 - frac_bits));
        c = _mm256_madd_epi16(es_avx2_sigmoid(rows[1]), es_avx2_widen(cell + unit));
        c = _mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(c, t), _mm256_set1_epi32(1 << 14)), 15);
        es_avx2_store(cell + unit, c);
        c = es_avx2_widen(cell + unit);
        t = _mm256_sll_epi32(c, _mm_cvtsi32_si128((int)ES_ARGUMENT_FRAC_BITS - frac_bits));
        t = es_avx2_tanh(_mm256_add_epi32(t, _mm256_set1_epi32(ES_ARGUMENT_ZERO)), 0);
        t = _mm256_madd_epi16(es_avx2_sigmoid(rows[3]), t);
        es_avx2_store(scratch + unit, _mm256_srav_epi32(_mm256_add_epi32(t, operand_half), operand_shift));
    }
    es_lstm_units(layer, below, state, scratch, unit);
    es_avx2_replace(state, scratch, layer->hidden_size);
}
#endif
