/* The dot products of es_rows.c for parts with 16-bit Thumb only (Cortex-M0, M0+): those of a FastGRNN, of dense layers,
 * convolutions and the head. They compute the same integers. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "es_thumb1.h"

typedef char es_thumb1_layer_is_as_assumed[offsetof(es_layer_t, wide_pairs) == 14 && offsetof(es_layer_t, own_quads) == 18
                                               ? 1
                                               : -1];

/* Sets r12 to the end of the r1 groups of 2^shift bytes at r6. */
#define SET_END(shift) "lsls r1, r1, #" shift "\n\tadds r1, r1, r6\n\tmov r12, r1\n\t"
#define UNTIL_END(label) "cmp r6, r12\n\tbne " label "\n\t"

#define ROWS(row) row("r8") row("r9") row("r10") row("r11")

/* Computes floor(sum m / 2^16) of a row in r0 and stores it. r1: multipliers, r6: results. */
#define RESULT(sum, m_offset, offset)                                                            \
    "mov r0, " sum "\n\tldrh r3, [r1, #" m_offset "]\n\t"                                        \
    "asrs r2, r0, #16\n\tuxth r0, r0\n\tmuls r2, r3, r2\n\tmuls r0, r3, r0\n\tlsrs r0, r0, #16\n\t" \
    "adds r0, r0, r2\n\tstr r0, [r6, #" offset "]\n\t"

__attribute__((naked)) const int16_t *es_rows4_block(const es_layer_t *layer __attribute__((unused)),
                                                     const es_block_t *block __attribute__((unused)),
                                                     const int16_t *weights __attribute__((unused)),
                                                     const int16_t *below __attribute__((unused)),
                                                     const int16_t *own __attribute__((unused)),
                                                     int32_t *results __attribute__((unused)))
{
    __asm__ volatile(
        ".syntax unified\n\t"
        ES_THUMB1_SAVE
        "movs r7, r2\n\t"
        "ldm r1!, {r2, r4, r5, r6}\n\t"
        "mov r8, r2\n\tmov r9, r4\n\tmov r10, r5\n\tmov r11, r6\n\t"
        "push {r0, r1}\n\t" /* layer and multipliers; own is at sp + 44, results at sp + 48 */
        "movs r6, r3\n\t"
        "ldrh r1, [r0, #14]\n\t"
        "cmp r1, #0\n\t"
        "beq 2f\n\t"
        SET_END("2")
        "1:\n\t" ES_THUMB1_LOAD_PAIR ROWS(ES_THUMB1_PAIR_ROW) UNTIL_END("1b")
        "b 3f\n"
        "2:\n\t" /* the layer below, then the own state, with the same loop */
        "ldrh r1, [r0, #16]\n\t"
        SET_END("3")
        "bl 4f\n"
        "3:\n\t"
        "ldr r6, [sp, #44]\n\tldr r0, [sp]\n\tldrh r1, [r0, #18]\n\t"
        SET_END("3")
        "bl 4f\n\t"
        "pop {r0, r1}\n\tldr r6, [sp, #40]\n\t"
        RESULT("r8", "0", "0") RESULT("r9", "2", "4") RESULT("r10", "4", "8") RESULT("r11", "6", "12")
        "mov r0, r7\n\t" ES_THUMB1_RESTORE
        "4:\n\t" ES_THUMB1_LOAD_QUAD ROWS(ES_THUMB1_QUAD_ROW) UNTIL_END("4b")
        "bx lr\n\t");
}

/* Defines a function of es_rows.h. r0: weights, r1: operands, r2: groups, r3: sums. A group has 2^shift bytes of
 * operands. */
#define ROWS4(name, load, row, shift)                                                            \
    __attribute__((naked)) const int16_t *name(const int16_t *weights __attribute__((unused)),   \
                                               const int16_t *operands __attribute__((unused)),  \
                                               uint16_t groups __attribute__((unused)),          \
                                               int32_t *accumulators __attribute__((unused)))    \
    {                                                                                            \
        __asm__ volatile(                                                                        \
            ".syntax unified\n\t" ES_THUMB1_SAVE                                                 \
            "movs r7, r0\n\tmovs r6, r1\n\tmovs r1, r2\n\tbeq 2f\n\t" SET_END(shift)             \
            "push {r3}\n\tldm r3!, {r0, r1, r2, r4}\n\t"                                         \
            "mov r8, r0\n\tmov r9, r1\n\tmov r10, r2\n\tmov r11, r4\n"                          \
            "1:\n\t" load ROWS(row) UNTIL_END("1b")                                              \
            "pop {r3}\n\tmov r0, r8\n\tmov r1, r9\n\tmov r2, r10\n\tmov r4, r11\n\tstm r3!, {r0, r1, r2, r4}\n" \
            "2:\n\tmov r0, r7\n\t" ES_THUMB1_RESTORE);                                           \
    }

ROWS4(es_rows4_wide, ES_THUMB1_LOAD_PAIR, ES_THUMB1_PAIR_ROW, "2")
ROWS4(es_rows4_narrow, ES_THUMB1_LOAD_QUAD, ES_THUMB1_QUAD_ROW, "3")
#endif
