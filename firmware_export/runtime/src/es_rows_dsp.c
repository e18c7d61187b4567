/* The dot products of es_rows.c for parts with DSP instructions (Cortex-M4, M7, M33, M55): those of a FastGRNN, of dense
 * layers, convolutions and the head. They compute the same integers. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_MVE

/* Registers as in es_dsp.h: r0 - r3 sums, r4 - r7 a word of weights for each row, r8 - r11 operands, r12 the address of
 * the operands, lr of the weights. The stack holds the end of the operands and the address of the sums. */
#define PAIR(features)                                                                                 \
    "ldm lr!, {r4-r7}\n\t"                                                                             \
    "smlad r0, r4, " features ", r0\n\tsmlad r1, r5, " features ", r1\n\t"                             \
    "smlad r2, r6, " features ", r2\n\tsmlad r3, r7, " features ", r3\n\t"
#define QUAD(fine, coarse)                                                                             \
    PAIR(coarse)                                                                                       \
    "sxtb16 r4, r4\n\tsxtb16 r5, r5\n\tsxtb16 r6, r6\n\tsxtb16 r7, r7\n\t"                             \
    "smlad r0, r4, " fine ", r0\n\tsmlad r1, r5, " fine ", r1\n\t"                                     \
    "smlad r2, r6, " fine ", r2\n\tsmlad r3, r7, " fine ", r3\n\t"

/* A step of the loop takes two groups, after the odd one, if the flags say that there is one; for size (-Os), one. */
#if defined(__OPTIMIZE_SIZE__)
#define LOOP(one, two) "b 2f\n1:\n\t" one
#else
#define LOOP(one, two) "beq 2f\n\t" one "b 2f\n1:\n\t" two
#endif

/* r0: weights, r1: operands, r2: groups, r3: sums. A group has 2^shift bytes of operands. */
#define ROWS4(name, shift, one, two)                                                                   \
    __attribute__((naked)) const int16_t *name(const int16_t *weights __attribute__((unused)),         \
                                               const int16_t *operands __attribute__((unused)),        \
                                               uint16_t groups __attribute__((unused)),                \
                                               int32_t *accumulators __attribute__((unused)))          \
    {                                                                                                  \
        __asm__ volatile(                                                                              \
            ".syntax unified\n\t"                                                                      \
            "add r12, r1, r2, lsl #" shift "\n\tpush {r3-r11, lr}\n\tpush {r12}\n\t"                   \
            "mov lr, r0\n\tmov r12, r1\n\tmov r4, r3\n\tlsls r5, r2, #31\n\tldm r4, {r0-r3}\n\t"     \
            LOOP(one, two)                                                                             \
            "2:\n\tldr r4, [sp]\n\tcmp r12, r4\n\tbne 1b\n\t"                                          \
            "ldr r4, [sp, #4]\n\tstm r4, {r0-r3}\n\tmov r0, lr\n\tadd sp, sp, #8\n\tpop {r4-r11, pc}\n\t"); \
    }

ROWS4(es_rows4_wide, "2", "ldr r8, [r12], #4\n\t" PAIR("r8"), "ldm r12!, {r8, r9}\n\t" PAIR("r8") PAIR("r9"))
ROWS4(es_rows4_narrow, "3", "ldrd r8, r9, [r12], #8\n\t" QUAD("r8", "r9"),
      "ldm r12!, {r8-r11}\n\t" QUAD("r8", "r9") QUAD("r10", "r11"))
#endif
