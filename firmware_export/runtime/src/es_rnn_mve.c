/* es_rnn.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 4
#include "es_mve.h"

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int32_t sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    int16_t *hidden = scratch;
    unsigned quad;

    for (quad = 0; quad < layer->own_quads; quad += ES_MVE_BATCH) {
        const unsigned left = layer->own_quads - quad;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        const es_block_t *block = layer->blocks + quad;
        unsigned done;
        es_mve_sums(layer, below, state, quad, count, sums);
#pragma GCC unroll 1
        for (done = 0; done < count; done++) {
            const int32x4_t multipliers = vshlq_n_s32(vldrhq_s32(block->multiplier), 16);
            const int32x4_t y = vmulhq_s32(vldrwq_s32(sums + ES_BLOCK_ROWS * done), multipliers);
            vstrhq_s32(hidden, vshrq_n_s32(es_mve_tanh(y), 16));
            block++;
            hidden += ES_QUAD;
        }
    }
    es_mve_replace(layer, scratch, state);
}
#endif
