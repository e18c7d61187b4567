/* es_fastgrnn.c for Arm processors with NEON. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_NEON
#include "es_cells.h"
#include "es_neon.h"
#include "es_rows.h"

/* A block is a quad of units. Those beyond the last are computed too, and not taken over. */
void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const int16_t *weights = layer->weights + ES_FASTGRNN_HEAD_WORDS;
    const int32x4_t zeta = vdupq_n_s32(es_fastgrnn_zeta(layer));
    const int32x4_t nu = vdupq_n_s32(es_fastgrnn_nu(layer));
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    unsigned quad;
    unsigned unit;

    for (quad = 0; quad < layer->own_quads; quad++) {
        int16_t *const at = hidden + ES_QUAD * quad;
        int32_t results[ES_BLOCK_ROWS];
        int32x4_t result, keep, take, kept;
        int16x4_t h;

        weights = es_rows4_block(layer, layer->blocks + quad, weights, below, state, results);
        result = vld1q_s32(results);
        keep = es_neon_sigmoid(vaddq_s32(vshrq_n_s32(result, 1), vreinterpretq_s32_s16(vld1q_s16(weights))));
        take = vmlaq_s32(nu, zeta, vsubq_s32(vdupq_n_s32(1 << 15), keep)); /* zeta (1 - z) + nu, Q30, below 2^31 */
        kept = vshrq_n_s32(vmulq_s32(keep, vmovl_s16(vld1_s16(at))), 1);
        h = vqrshrn_n_s32(vaddq_s32(kept, es_neon_mulw(take, es_neon_tanh(result))), 14);
        vst1_s16(at, h);
        vst1_s16(scratch + ES_QUAD * quad, es_neon_operands(h));
        weights += ES_FASTGRNN_OFFSET_WORDS;
    }
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        hidden[unit] = 0;
    }
    es_neon_replace(state, scratch, layer->hidden_size);
}
#endif
