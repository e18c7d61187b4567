/* es_lstm.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 4
#include "es_mve.h"

/* Updates gates and states of `groups` groups of four units, or of one group of fewer `units`. sums [4 groups, 4];
 * cell, hidden [4 groups]. In lanes beyond the units the sums are 0, so input and output gate are 0 and the cell
 * state stays 0. */
static __attribute__((noinline)) void update_groups(const es_block_t *block, const int32_t *sums, int16_t *cell,
                                                    int16_t *hidden, int32_t frac_bits, unsigned units, unsigned groups)
{
    const uint32x4_t offsets = es_mve_block_offsets(units);
    const int32_t product_shift = frac_bits - 15;
    const int32_t argument_shift = (int32_t)ES_ARGUMENT_FRAC_BITS - frac_bits;

#pragma GCC unroll 1
    for (; groups > 0u; groups--) {
        const es_mve_results_t y = es_mve_results(block, offsets, sums);
        int32x4_t c;
        int32x4_t t;

        t = es_mve_product(es_mve_sigmoid(y.row[0]), es_mve_tanh(y.row[2]));
        t = vshlq_r_s32(t, product_shift);
        c = vmulq_s32(vshrq_n_s32(es_mve_sigmoid(y.row[1]), 16), vldrhq_s32(cell));
        c = vrshrq_n_s32(vaddq_s32(c, t), 15);
        c = vshrq_n_s32(vqshlq_n_s32(c, 16), 16); /* saturates */
        vstrhq_s32(cell, c);
        t = vaddq_n_s32(vshlq_r_s32(c, argument_shift), ES_ARGUMENT_ZERO);
        t = es_mve_product(es_mve_sigmoid(y.row[3]), es_mve_tanh(t));
        vstrhq_s32(hidden, vshrq_n_s32(t, 15));
        block += ES_MVE_LANES;
        sums += ES_MVE_LANES * ES_BLOCK_ROWS;
        cell += ES_MVE_LANES;
        hidden += ES_MVE_LANES;
    }
}

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    const int32_t frac_bits = layer->cell_frac_bits;
    int32_t sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    unsigned unit;

    for (unit = 0; unit < layer->hidden_size; unit += ES_MVE_BATCH) {
        const unsigned left = layer->hidden_size - unit;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        const unsigned rest = count % ES_MVE_LANES;
        const unsigned last = unit + count - rest;
        es_mve_sums(layer, below, state, unit, count, sums);
        update_groups(layer->blocks + unit, sums, cell + unit, scratch + unit, frac_bits, ES_MVE_LANES,
                      count / ES_MVE_LANES);
        if (rest > 0u) {
            update_groups(layer->blocks + last, sums + ES_BLOCK_ROWS * (count - rest), cell + last, scratch + last,
                          frac_bits, rest, 1u);
        }
    }
    es_mve_replace(layer, scratch, state);
}
#endif
