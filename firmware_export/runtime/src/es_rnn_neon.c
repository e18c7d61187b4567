/* es_rnn.c for Arm processors with NEON. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_NEON
#include "es_neon.h"
#include "es_rows.h"

/* A block is a quad of units. Those beyond the last are computed too, and not taken over. */
void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const int16_t *weights = layer->weights;
    unsigned quad;

    for (quad = 0; quad < layer->own_quads; quad++) {
        int32_t results[ES_BLOCK_ROWS];
        weights = es_rows4_block(layer, layer->blocks + quad, weights, below, state, results);
        vst1_s16(scratch + ES_QUAD * quad, es_neon_operands(vmovn_s32(es_neon_tanh(vld1q_s32(results)))));
    }
    es_neon_replace(state, scratch, layer->hidden_size);
}
#endif
