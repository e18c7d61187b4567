/* The dot products of es_rows.c for RV32 with multiplication: those of dense layers, convolutions and the head. They
 * compute the same integers. */
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

#if ES_OWN_RESULTS
/* Defines the results of blocks. The second piece ends before the first begins, or is empty: the ends differ. */
#define RESULTS4(name, code, words)                                                              \
    const int16_t *name(const es_block_t *block, const int16_t *weights, const es_seen_t *seen, unsigned blocks, \
                        int32_t *results)                                                        \
    {                                                                                            \
        const int16_t *const first_end = seen->first + (words) * seen->first_groups;             \
        const int16_t *const second_end = seen->second + (words) * seen->second_groups;          \
        const int32_t *const end = results + ES_BLOCK_ROWS * blocks;                             \
        for (; results != end; results += ES_BLOCK_ROWS) {                                       \
            es_riscv_sums_t sums = {block->bias[0], block->bias[1], block->bias[2], block->bias[3], weights}; \
            const int16_t *operands = seen->first;                                               \
            const int16_t *last = first_end;                                                     \
            for (;;) {                                                                           \
                ES_RISCV_ADD(code, &sums, operands, last, [s2] "+r"(sums.s2), [s3] "+r"(sums.s3)); \
                if (last == second_end) {                                                        \
                    break;                                                                       \
                }                                                                                \
                operands = seen->second;                                                         \
                last = second_end;                                                               \
            }                                                                                    \
            results[0] = es_riscv_mulw(sums.s0, block->multiplier[0]);                           \
            results[1] = es_riscv_mulw(sums.s1, block->multiplier[1]);                           \
            results[2] = es_riscv_mulw(sums.s2, block->multiplier[2]);                           \
            results[3] = es_riscv_mulw(sums.s3, block->multiplier[3]);                           \
            weights = sums.weights;                                                              \
            block++;                                                                             \
        }                                                                                        \
        return weights;                                                                          \
    }

RESULTS4(es_rows4_wide_results, ES_RISCV_PAIRS4, 2u)
RESULTS4(es_rows4_narrow_results, ES_RISCV_QUADS4, ES_QUAD)
#endif
#endif
