/* es_lstm.c for RV32 with multiplication. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_RISCV
#include "es_riscv.h"

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const es_riscv_tanh_t tanh = es_riscv_tanh_begin();
    const int16_t *const pairs_end = below + 2u * layer->wide_pairs;
    const int16_t *const quads_end = pairs_end + ES_QUAD * layer->below_quads;
    int16_t *const cell_begin = state + ES_QUAD * layer->own_quads;
    const int16_t *const cell_end = cell_begin + layer->hidden_size;
    const unsigned product_shift = 15u - layer->cell_frac_bits;
    const unsigned argument_shift = ES_ARGUMENT_FRAC_BITS - layer->cell_frac_bits;
    const int16_t *weights = layer->weights;
    const es_block_t *block = layer->blocks;
    int16_t *cell = cell_begin;
    int16_t *hidden = scratch;

    for (; cell != cell_end; cell++) {
        const es_riscv_sums_t sums = es_riscv_sums4(block, weights, below, pairs_end, quads_end, state, cell_begin);
        const int32_t input = es_riscv_sigmoid(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s0, block->multiplier[0])));
        const int32_t forget = es_riscv_sigmoid(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s1, block->multiplier[1])));
        const int32_t candidate = es_riscv_value(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s2, block->multiplier[2])));
        const int32_t output = es_riscv_sigmoid(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s3, block->multiplier[3])));
        const int32_t added = es_shift_right(input * candidate, product_shift);
        const int32_t squashed = es_saturate16(es_round_shift(forget * *cell + added, 15));
        *cell = (int16_t)squashed;
        *hidden = (int16_t)es_shift_right(
            output * es_riscv_value(es_riscv_tanh(&tanh, squashed * es_power2(argument_shift) + ES_ARGUMENT_ZERO)), 15);
        weights = sums.weights;
        block++;
        hidden++;
    }
    es_riscv_operands(state, scratch, layer);
}
#endif
