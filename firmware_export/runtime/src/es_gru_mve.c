/* es_gru.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 3
#include "es_mve.h"

/* Updates gates and states of `groups` groups of four units, or of one group of fewer `units`. sums [4 groups, 4];
 * hidden [4 groups]. */
static __attribute__((noinline)) void update_groups(const es_block_t *block, const int32_t *sums, int16_t *hidden,
                                                    unsigned units, unsigned groups)
{
    const uint32x4_t offsets = es_mve_block_offsets(units);

#pragma GCC unroll 1
    for (; groups > 0u; groups--) {
        const es_mve_results_t y = es_mve_results(block, offsets, sums);
        int32x4_t h;
        int32x4_t n;
        int32x4_t u;

        n = ES_MVE_MULW_HIGH(y.row[3], es_mve_tanh(y.row[0]));
        n = vaddq_s32(vaddq_s32(n, y.row[2]), vshrq_n_s32(y.row[3], 1));
        n = es_mve_tanh(n);
        u = es_mve_sigmoid(y.row[1]);
        h = vmulq_s32(vshrq_n_s32(u, 16), vldrhq_s32(hidden));
        u = vsubq_s32(vdupq_n_s32(INT32_MAX), u); /* 32767 - u in the upper halves */
        h = vaddq_s32(h, es_mve_product(u, n));
        vstrhq_s32(hidden, vrshrq_n_s32(h, 15));
        block += ES_MVE_LANES;
        sums += ES_MVE_LANES * ES_BLOCK_ROWS;
        hidden += ES_MVE_LANES;
    }
}

void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    int32_t sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    unsigned unit;

    (void)scratch;
    for (unit = 0; unit < layer->hidden_size; unit += ES_MVE_BATCH) {
        const unsigned left = layer->hidden_size - unit;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        const unsigned rest = count % ES_MVE_LANES;
        const unsigned last = unit + count - rest;
        es_mve_sums(layer, below, state, unit, count, sums);
        update_groups(layer->blocks + unit, sums, hidden + unit, ES_MVE_LANES, count / ES_MVE_LANES);
        if (rest > 0u) {
            update_groups(layer->blocks + last, sums + ES_BLOCK_ROWS * (count - rest), hidden + last, rest, 1u);
        }
    }
    es_mve_replace(layer, hidden, state);
}
#endif
