/* es_gru.c for RV32 with multiplication. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_RISCV
#include "es_cells.h"
#include "es_riscv.h"

void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const es_riscv_tanh_t tanh = es_riscv_tanh_begin();
    const int16_t *const pairs_end = below + 2u * layer->wide_pairs;
    const int16_t *const quads_end = pairs_end + ES_QUAD * layer->below_quads;
    int16_t *const hidden_begin = state + ES_QUAD * layer->own_quads;
    const int16_t *const hidden_end = hidden_begin + layer->hidden_size;
    const es_block_t *block = layer->blocks;
    int16_t *hidden = hidden_begin;
    es_riscv_sums_t sums;
    (void)scratch;

    sums.weights = layer->weights;
    for (; hidden != hidden_end; hidden++) {
        int32_t new_hidden;
        int32_t reset;
        int32_t candidate;
        int32_t keep;

        sums.s0 = block->bias[0];
        sums.s1 = block->bias[1];
        sums.s2 = block->bias[2];
        ES_RISCV_ADD(ES_RISCV_PAIRS3, &sums, below, pairs_end, [s2] "+r"(sums.s2));
        if (layer->wide_alone != 0u) {
            const int32_t last = *pairs_end;
            sums.s0 += sums.weights[0] * last;
            sums.s1 += sums.weights[1] * last;
            sums.s2 += sums.weights[2] * last;
            sums.weights += ES_GRU_ALONE_WORDS;
        } else {
            ES_RISCV_ADD(ES_RISCV_QUADS3, &sums, pairs_end, quads_end, [s2] "+r"(sums.s2));
        }
        sums.s3 = block->bias[3];
        ES_RISCV_ADD(ES_RISCV_QUADS3, &sums, state, hidden_begin, [s2] "+r"(sums.s3));

        /* r = (1 + tanh) / 2, so r n_h is half of n_h plus half of n_h times tanh; mulw by a Q15 value also halves */
        reset = es_riscv_tanh(&tanh, es_riscv_mulw(sums.s0, block->multiplier[0]));
        new_hidden = es_riscv_mulw(sums.s3, block->multiplier[3]);
        candidate = es_riscv_mulw(sums.s2, block->multiplier[2]) + es_shift_right(new_hidden, 1) +
                    es_riscv_mulw(new_hidden, (int16_t)es_riscv_value(reset));
        candidate = es_riscv_value(es_riscv_tanh(&tanh, candidate));
        keep = es_riscv_sigmoid(es_riscv_tanh(&tanh, es_riscv_mulw(sums.s1, block->multiplier[1])));
        *hidden = (int16_t)es_round_shift(keep * *hidden + (32767 - keep) * candidate, 15);
        block++;
    }
    es_riscv_operands(state, hidden_begin, layer);
}
#endif
