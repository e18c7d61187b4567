/* Shared by the kernels for RV32 with multiplication: the dot products of a block as assembly, which gcc and clang would
 * spread over more instructions, and the activation. The cells around them are C. Loads bring every weight with its
 * sign, so that nothing is unpacked; sums, operands and addresses have registers of their own. KERNELS.md explains the
 * design. */
#ifndef ES_RISCV_H
#define ES_RISCV_H

#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_RISCV
#include "edge_seq.h"
#include "es_fixed.h"
#include "es_operands.h"
#include "es_tanh.h"

#define ES_RISCV_INLINE static inline __attribute__((always_inline))

/* ------------------------------------------------------------------------------------------------ dot products */

/* One row of a pair: 6 instructions for 2 products. `at`: bytes from %[weights] to the row. */
#define ES_RISCV_PAIR_ROW(sum, at)                                                               \
    "lh %[a], " at "(%[weights])\n\tlh %[b], " at "+2(%[weights])\n\t"                           \
    "mul %[a], %[a], %[x0]\n\tmul %[b], %[b], %[x1]\n\t"                                         \
    "add %[" sum "], %[" sum "], %[a]\n\tadd %[" sum "], %[" sum "], %[b]\n\t"

/* One row of a quad: 12 instructions for 4 products. Whole words times coarse operands, low bytes times fine ones. */
#define ES_RISCV_QUAD_ROW(sum, at)                                                               \
    "lb %[a], " at "(%[weights])\n\tlb %[b], " at "+2(%[weights])\n\t"                           \
    "lh %[c], " at "(%[weights])\n\tlh %[d], " at "+2(%[weights])\n\t"                           \
    "mul %[a], %[a], %[x0]\n\tmul %[b], %[b], %[x1]\n\t"                                         \
    "mul %[c], %[c], %[x2]\n\tmul %[d], %[d], %[x3]\n\t"                                         \
    "add %[" sum "], %[" sum "], %[a]\n\tadd %[" sum "], %[" sum "], %[b]\n\t"                   \
    "add %[" sum "], %[" sum "], %[c]\n\tadd %[" sum "], %[" sum "], %[d]\n\t"

#define ES_RISCV_LOAD_PAIR "lh %[x0], 0(%[at])\n\tlh %[x1], 2(%[at])\n\t"
#define ES_RISCV_LOAD_QUAD(at)                                                                   \
    "lh %[x0], " at "(%[at])\n\tlh %[x1], " at "+2(%[at])\n\t"                                   \
    "lh %[x2], " at "+4(%[at])\n\tlh %[x3], " at "+6(%[at])\n\t"

/* A loop over what lies between %[at] and %[end], maybe nothing. A step takes `bytes` of it and `weights` bytes of
 * weights. */
#define ES_RISCV_LOOP(body, bytes, weights)                                                      \
    "beq %[at], %[end], 2f\n1:\n\t" body                                                         \
    "addi %[at], %[at], " bytes "\n\taddi %[weights], %[weights], " weights "\n\tbne %[at], %[end], 1b\n2:\n\t"

/* Rows that see the same operands: four, or three in a GRU. */
#define ES_RISCV_PAIRS3                                                                          \
    ES_RISCV_LOOP(ES_RISCV_LOAD_PAIR ES_RISCV_PAIR_ROW("s0", "0") ES_RISCV_PAIR_ROW("s1", "4")   \
                  ES_RISCV_PAIR_ROW("s2", "8"), "4", "12")
#define ES_RISCV_PAIRS4                                                                          \
    ES_RISCV_LOOP(ES_RISCV_LOAD_PAIR ES_RISCV_PAIR_ROW("s0", "0") ES_RISCV_PAIR_ROW("s1", "4")   \
                  ES_RISCV_PAIR_ROW("s2", "8") ES_RISCV_PAIR_ROW("s3", "12"), "4", "16")
#define ES_RISCV_QUAD3(at, a0, a1, a2)                                                           \
    ES_RISCV_LOAD_QUAD(at) ES_RISCV_QUAD_ROW("s0", a0) ES_RISCV_QUAD_ROW("s1", a1) ES_RISCV_QUAD_ROW("s2", a2)
#define ES_RISCV_QUAD4(at, a0, a1, a2, a3) ES_RISCV_QUAD3(at, a0, a1, a2) ES_RISCV_QUAD_ROW("s3", a3)

/* For speed, a step of the loop takes two quads, after the odd one. For size (-Os) it takes one. */
#if defined(__OPTIMIZE_SIZE__)
#define ES_RISCV_QUADS3 ES_RISCV_LOOP(ES_RISCV_QUAD3("0", "0", "4", "8"), "8", "12")
#define ES_RISCV_QUADS4 ES_RISCV_LOOP(ES_RISCV_QUAD4("0", "0", "4", "8", "12"), "8", "16")
#else
#define ES_RISCV_ODD(quad, weights)                                                              \
    "sub %[a], %[end], %[at]\n\tandi %[a], %[a], 8\n\tbeqz %[a], 3f\n\t" quad                    \
    "addi %[at], %[at], 8\n\taddi %[weights], %[weights], " weights "\n3:\n\t"
#define ES_RISCV_QUADS3                                                                          \
    ES_RISCV_ODD(ES_RISCV_QUAD3("0", "0", "4", "8"), "12")                                       \
    ES_RISCV_LOOP(ES_RISCV_QUAD3("0", "0", "4", "8") ES_RISCV_QUAD3("8", "12", "16", "20"), "16", "24")
#define ES_RISCV_QUADS4                                                                          \
    ES_RISCV_ODD(ES_RISCV_QUAD4("0", "0", "4", "8", "12"), "16")                                 \
    ES_RISCV_LOOP(ES_RISCV_QUAD4("0", "0", "4", "8", "12") ES_RISCV_QUAD4("8", "16", "20", "24", "28"), "16", "32")
#endif

/* Sums of the rows of a block, and the address of the weights that come next. Inlined, so that they have registers. */
typedef struct {
    int32_t s0;
    int32_t s1;
    int32_t s2;
    int32_t s3;
    const int16_t *weights;
} es_riscv_sums_t;

/* Adds the groups of operands between two addresses. `code` is one of the loops above. */
#define ES_RISCV_ADD(code, sums, operands, last, ...)                                            \
    do {                                                                                         \
        const int16_t *at = (operands);                                                          \
        int32_t a, b, c, d, x0, x1, x2, x3;                                                      \
        __asm__ volatile(code                                                                    \
            : [weights] "+r"((sums)->weights), [at] "+r"(at), [s0] "+r"((sums)->s0), [s1] "+r"((sums)->s1), \
              __VA_ARGS__, [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d),               \
              [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3)                     \
            : [end] "r"(last)                                                                    \
            : "memory");                                                                         \
    } while (0)

/* The sums of a block, from the biases on, of a layer whose four rows see input and state. */
ES_RISCV_INLINE es_riscv_sums_t es_riscv_sums4(const es_block_t *block, const int16_t *weights, const int16_t *below,
                                               const int16_t *pairs_end, const int16_t *quads_end, const int16_t *own,
                                               const int16_t *own_end)
{
    es_riscv_sums_t sums = {block->bias[0], block->bias[1], block->bias[2], block->bias[3], weights};
    ES_RISCV_ADD(ES_RISCV_PAIRS4, &sums, below, pairs_end, [s2] "+r"(sums.s2), [s3] "+r"(sums.s3));
    ES_RISCV_ADD(ES_RISCV_QUADS4, &sums, pairs_end, quads_end, [s2] "+r"(sums.s2), [s3] "+r"(sums.s3));
    ES_RISCV_ADD(ES_RISCV_QUADS4, &sums, own, own_end, [s2] "+r"(sums.s2), [s3] "+r"(sums.s3));
    return sums;
}

/* floor(sum multiplier / 2^16): the upper half of a product. */
ES_RISCV_INLINE int32_t es_riscv_mulw(int32_t sum, int16_t multiplier)
{
    int32_t result;
    __asm__("mulh %0, %1, %2" : "=r"(result) : "r"(sum), "r"((int32_t)multiplier * 65536));
    return result;
}

/* -------------------------------------------------------------------------------------------------- activation */

/* What the activation needs, in registers during a step: compilers would make the masks anew for each value. */
typedef struct {
    const int32_t *table;
    uint32_t position; /* 0xFFF */
    uint32_t slope;    /* 0xFFFF */
} es_riscv_tanh_t;

ES_RISCV_INLINE es_riscv_tanh_t es_riscv_tanh_begin(void)
{
    es_riscv_tanh_t tanh = {es_tanh_table, 0xFFFu, 0xFFFFu};
    __asm__("" : "+r"(tanh.table), "+r"(tanh.position), "+r"(tanh.slope));
    return tanh;
}

/* 2^16 times the tanh of an argument that is not yet saturated, plus a fraction. Both ends of the table are flat, so
 * saturating the index is enough. */
ES_RISCV_INLINE int32_t es_riscv_tanh(const es_riscv_tanh_t *tanh, int32_t argument)
{
    uint32_t index = (uint32_t)es_shift_right(argument, 12);
    uint32_t word;
    if (__builtin_expect(index >= ES_TABLE_WORDS, 0)) {
        index = argument < 0 ? 0u : ES_TABLE_WORDS - 1u;
    }
    word = (uint32_t)tanh->table[index];
    return (int32_t)(word + (word & tanh->slope) * ((uint32_t)argument & tanh->position));
}

/* From 2^16 times a tanh, plus a fraction, to the value in Q15, or to the sigmoid whose argument was halved. */
ES_RISCV_INLINE int32_t es_riscv_value(int32_t tanh)
{
    return es_shift_right(tanh, 16);
}

ES_RISCV_INLINE int32_t es_riscv_sigmoid(int32_t tanh)
{
    return es_shift_right(tanh, 17) + 16384;
}

/* Makes operands of hidden values in Q15, at another address or the same. Padding becomes zero. */
ES_RISCV_INLINE void es_riscv_operands(int16_t *operands, const int16_t *hidden, const es_layer_t *layer)
{
    const int16_t *const end = hidden + ES_QUAD * layer->own_quads;
    unsigned unit;
    int16_t *to = operands;

    for (; hidden != end; hidden += ES_QUAD) {
        to[0] = hidden[0];
        to[1] = hidden[1];
        to[2] = es_operand(hidden[2], 2u);
        to[3] = es_operand(hidden[3], 3u);
        to += ES_QUAD;
    }
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        operands[unit] = 0;
    }
}

#endif
#endif
