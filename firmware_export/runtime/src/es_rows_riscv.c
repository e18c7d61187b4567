/* The dot products of es_rows.c for RV32 with multiplication: those of a FastGRNN, of dense layers, convolutions and the
 * head. They compute the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_RISCV
#include "es_riscv.h"
#include "es_rows.h"

/* Defines a function of es_rows.h. A group has `words` operands. */
#define ROWS4(name, code, words)                                                                 \
    const int16_t *name(const int16_t *weights, const int16_t *operands, uint16_t groups, int32_t *accumulators) \
    {                                                                                            \
        es_riscv_sums_t sums = {accumulators[0], accumulators[1], accumulators[2], accumulators[3], weights}; \
        ES_RISCV_ADD(code, &sums, operands, operands + (words) * groups, [s2] "+r"(sums.s2), [s3] "+r"(sums.s3)); \
        accumulators[0] = sums.s0;                                                               \
        accumulators[1] = sums.s1;                                                               \
        accumulators[2] = sums.s2;                                                               \
        accumulators[3] = sums.s3;                                                               \
        return sums.weights;                                                                     \
    }

ROWS4(es_rows4_wide, ES_RISCV_PAIRS4, 2u)
ROWS4(es_rows4_narrow, ES_RISCV_QUADS4, ES_QUAD)

const int16_t *es_rows4_block(const es_layer_t *layer, const es_block_t *block, const int16_t *weights,
                              const int16_t *below, const int16_t *own, int32_t *results)
{
    const int16_t *const pairs_end = below + 2u * layer->wide_pairs;
    const es_riscv_sums_t sums = es_riscv_sums4(block, weights, below, pairs_end, pairs_end + ES_QUAD * layer->below_quads,
                                                own, own + ES_QUAD * layer->own_quads);
    results[0] = es_riscv_mulw(sums.s0, block->multiplier[0]);
    results[1] = es_riscv_mulw(sums.s1, block->multiplier[1]);
    results[2] = es_riscv_mulw(sums.s2, block->multiplier[2]);
    results[3] = es_riscv_mulw(sums.s3, block->multiplier[3]);
    return sums.weights;
}
#endif
