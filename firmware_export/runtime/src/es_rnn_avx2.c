/* es_rnn.c for x86 hosts with AVX2. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_AVX2
#include "es_avx2.h"

/* Steps the units of some blocks from `quad` on. blocks: constant, 1 or even. excess: es_avx2_excess of all operands */
ES_AVX2_INLINE void some_units(const es_layer_t *layer, unsigned quad, unsigned blocks, const int16_t *below,
                               const int16_t *own, int16_t *scratch, __m256i excess)
{
    const uint32_t stride = 8u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const es_block_t *const block = layer->blocks + quad;
    __m256i sums[ES_AVX2_UNITS];
    unsigned n;

    es_avx2_layer_sums(sums, blocks, layer, block, layer->weights + (size_t)quad * stride, stride, below, own, excess);
#pragma GCC unroll 4
    for (n = 0; n < blocks; n += 2u) {
        const unsigned other = blocks > 1u ? n + 1u : n; /* of a block that is alone, the upper half is of no use */
        const __m256i results = es_avx2_scaled(sums[n], sums[other], block + n, block + other);
        const __m256i operands = es_avx2_operand(es_avx2_tanh(results, 0));
        if (blocks > 1u) {
            es_avx2_store(scratch + ES_QUAD * (quad + n), operands);
        } else {
            es_avx2_store_quad(scratch + ES_QUAD * quad, operands);
        }
    }
}

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    ES_AVX2_STEP_BLOCKS(some_units, layer, below, state, scratch);
}
#endif
