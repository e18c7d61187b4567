/* es_rnn.c for RV32 with multiplication. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_RISCV
#include "es_riscv.h"

/* A block is a quad of units. Those beyond the last are computed too, and not taken over. */
void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const es_riscv_tanh_t tanh = es_riscv_tanh_begin();
    const int16_t *const pairs_end = below + 2u * layer->wide_pairs;
    const int16_t *const quads_end = pairs_end + ES_QUAD * layer->below_quads;
    int16_t *const own_end = state + ES_QUAD * layer->own_quads;
    const int16_t *const hidden_end = scratch + ES_QUAD * layer->own_quads;
    const int16_t *weights = layer->weights;
    const es_block_t *block = layer->blocks;
    int16_t *hidden = scratch;

    for (; hidden != hidden_end; hidden += ES_QUAD) {
        const es_riscv_sums_t sums = es_riscv_sums4(block, weights, below, pairs_end, quads_end, state, own_end);
        hidden[0] = (int16_t)es_riscv_value(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s0, block->multiplier[0])));
        hidden[1] = (int16_t)es_riscv_value(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s1, block->multiplier[1])));
        hidden[2] = (int16_t)es_riscv_value(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s2, block->multiplier[2])));
        hidden[3] = (int16_t)es_riscv_value(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s3, block->multiplier[3])));
        weights = sums.weights;
        block++;
    }
    es_riscv_operands(state, scratch, layer);
}
#endif
