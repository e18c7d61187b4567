/* es_gru.c for Arm processors with NEON. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_NEON
#include "es_cells.h"
#include "es_neon.h"

/* Computes the results of four units: reset gate, update gate, new gate's input part and hidden part. results [4] */
ES_NEON_INLINE void gate_results(const es_layer_t *layer, unsigned unit, const int16_t *below, const int16_t *own,
                                 int32x4_t *results)
{
    const size_t stride = es_gru_unit_words(layer);
    const size_t narrow = 6u * ((size_t)layer->below_quads + layer->own_quads);
    const int16_t *const weights = layer->weights + unit * stride;
    const es_block_t *const blocks = layer->blocks + unit;
    int32x4_t sums[ES_NEON_UNITS];
    int32x2_t inputs[ES_NEON_UNITS]; /* the third row that sees the input, and a lane of no use */
    unsigned n;

#pragma GCC unroll 4
    for (n = 0; n < ES_NEON_UNITS; n++) {
        sums[n] = vld1q_s32(blocks[n].bias);
    }
    es_neon_add_pairs(sums, weights, stride, 3, below, layer->wide_pairs);
    if (layer->wide_alone != 0u) {
        const int16_t last = below[2u * layer->wide_pairs];
#pragma GCC unroll 4
        for (n = 0; n < ES_NEON_UNITS; n++) {
            const int16_t *const at = weights + n * stride + 6u * layer->wide_pairs;
            sums[n] = vmlal_n_s16(sums[n], vld1_s16(at), last);
        }
    }
    es_neon_add_quads(sums, weights + (stride - narrow), stride, 3, below, layer->below_quads);
#pragma GCC unroll 4
    for (n = 0; n < ES_NEON_UNITS; n++) {
        inputs[n] = vget_high_s32(sums[n]);
        sums[n] = vld1q_lane_s32(&blocks[n].bias[3], sums[n], 2); /* the third row that sees the state is the fourth */
    }
    es_neon_add_quads(sums, weights + (stride - 6u * layer->own_quads), stride, 3, own, layer->own_quads);
#pragma GCC unroll 4
    for (n = 0; n < ES_NEON_UNITS; n++) {
        const int32x2_t last = vzip_s32(inputs[n], vget_high_s32(sums[n])).val[0];
        sums[n] = es_neon_scaled(vcombine_s32(vget_low_s32(sums[n]), last), &blocks[n]);
    }
    es_neon_transpose(sums, results);
}

void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = 0; unit + ES_NEON_UNITS <= layer->hidden_size; unit += ES_NEON_UNITS) {
        int32x4_t rows[ES_BLOCK_ROWS];
        int32x4_t n, keep, take, h;
        int16x4_t kept;

        gate_results(layer, unit, below, state, rows);
        n = vaddq_s32(vsraq_n_s32(rows[2], rows[3], 1), es_neon_mulw(rows[3], es_neon_tanh(rows[0])));
        n = es_neon_tanh(n);
        keep = es_neon_sigmoid(rows[1]);
        take = vsubq_s32(vdupq_n_s32(32767), keep);
        h = vmlaq_s32(vmulq_s32(take, n), keep, vmovl_s16(vld1_s16(hidden + unit)));
        kept = vrshrn_n_s32(h, 15);
        vst1_s16(hidden + unit, kept);
        vst1_s16(scratch + unit, es_neon_operands(kept));
    }
    es_gru_units(layer, below, state, scratch, unit);
    es_neon_replace(state, scratch, layer->hidden_size);
}
#endif
