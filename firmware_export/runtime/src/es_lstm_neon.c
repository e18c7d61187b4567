/* es_lstm.c for Arm processors with NEON. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_NEON
#include "es_cells.h"
#include "es_neon.h"

/* Computes the results of the rows of four units, gate by gate. results [4] */
ES_NEON_INLINE void gate_results(const es_layer_t *layer, unsigned unit, const int16_t *below, const int16_t *own,
                                 int32x4_t *results)
{
    const size_t stride = 8u * ((size_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const int16_t *const weights = layer->weights + unit * stride;
    const es_block_t *const blocks = layer->blocks + unit;
    int32x4_t sums[ES_NEON_UNITS];
    unsigned n;

#pragma GCC unroll 4
    for (n = 0; n < ES_NEON_UNITS; n++) {
        sums[n] = vld1q_s32(blocks[n].bias);
    }
    es_neon_add_pairs(sums, weights, stride, 4, below, layer->wide_pairs);
    es_neon_add_quads(sums, weights + 8u * layer->wide_pairs, stride, 4, below, layer->below_quads);
    es_neon_add_quads(sums, weights + (stride - 8u * layer->own_quads), stride, 4, own, layer->own_quads);
#pragma GCC unroll 4
    for (n = 0; n < ES_NEON_UNITS; n++) {
        sums[n] = es_neon_scaled(sums[n], &blocks[n]);
    }
    es_neon_transpose(sums, results);
}

/* A shift left by a negative number shifts right, towards minus infinity. */
void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const int frac_bits = layer->cell_frac_bits;
    const int32_t halves[ES_QUAD] = {0, 0, 1 << 22, 1 << 22};
    const int32_t shifts[ES_QUAD] = {-15, -15, -23, -23};
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = 0; unit + ES_NEON_UNITS <= layer->hidden_size; unit += ES_NEON_UNITS) {
        int32x4_t rows[ES_BLOCK_ROWS]; /* input, forget, cell, output gate */
        int32x4_t c, t;
        int16x4_t kept;

        gate_results(layer, unit, below, state, rows);
        t = vmulq_s32(es_neon_sigmoid(rows[0]), es_neon_tanh(rows[2]));
        t = vshlq_s32(t, vdupq_n_s32(frac_bits - 15));
        c = vmlaq_s32(t, es_neon_sigmoid(rows[1]), vmovl_s16(vld1_s16(cell + unit)));
        kept = vqrshrn_n_s32(c, 15);
        vst1_s16(cell + unit, kept);
        c = vshlq_s32(vmovl_s16(kept), vdupq_n_s32((int)ES_ARGUMENT_FRAC_BITS - frac_bits));
        t = es_neon_tanh(vaddq_s32(c, vdupq_n_s32(ES_ARGUMENT_ZERO)));
        t = vmlaq_s32(vld1q_s32(halves), es_neon_sigmoid(rows[3]), t);
        vst1_s16(scratch + unit, vmovn_s32(vshlq_s32(t, vld1q_s32(shifts))));
    }
    es_lstm_units(layer, below, state, scratch, unit);
    es_neon_replace(state, scratch, layer->hidden_size);
}
#endif
