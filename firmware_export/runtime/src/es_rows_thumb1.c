/* The dot products of es_rows.c for parts with 16-bit Thumb only (Cortex-M0, M0+): those of dense layers, convolutions and
 * the head. They compute the same integers. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "es_thumb1.h"

/* Sets r12 to the end of the r1 groups of 2^shift bytes at r6. */
#define SET_END(shift) "lsls r1, r1, #" shift "\n\tadds r1, r1, r6\n\tmov r12, r1\n\t"
#define UNTIL_END(label) "cmp r6, r12\n\tbne " label "\n\t"

#define ROWS(row) row("r8") row("r9") row("r10") row("r11")

/* Computes floor(sum m / 2^16) of a row in r0 and stores it. r1: multipliers, r6: results. */
#define RESULT(sum, m_offset, offset)                                                            \
    "mov r0, " sum "\n\tldrh r3, [r1, #" m_offset "]\n\t"                                        \
    "asrs r2, r0, #16\n\tuxth r0, r0\n\tmuls r2, r3, r2\n\tmuls r0, r3, r0\n\tlsrs r0, r0, #16\n\t" \
    "adds r0, r0, r2\n\tstr r0, [r6, #" offset "]\n\t"

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

typedef char es_seen_is_as_assumed[offsetof(es_seen_t, second) == 4 && offsetof(es_seen_t, first_groups) == 8 &&
                                           offsetof(es_seen_t, second_groups) == 10
                                       ? 1
                                       : -1];

/* Stores address (`at`) and end of a piece on the stack. address: its register, r2: its number of groups */
#define PIECE(address, shift, at)                                                                \
    "lsls r2, r2, #" shift "\n\tadds r2, r2, " address "\n\tstr " address ", [sp, #" at "]\n\tstr r2, [sp, #" at " + 4]\n\t"

/* Results of blocks. r0: block, r1: weights, r2: what the rows see, r3: number of blocks; on the stack: results. Below it
 * then lie the two pieces, the block, and the results and their end. The first piece is not empty. */
#define RESULTS4(name, load, row, shift)                                                         \
    __attribute__((naked)) const int16_t *name(const es_block_t *block __attribute__((unused)),  \
                                               const int16_t *weights __attribute__((unused)),   \
                                               const es_seen_t *seen __attribute__((unused)),    \
                                               unsigned blocks __attribute__((unused)),          \
                                               int32_t *results __attribute__((unused)))         \
    {                                                                                            \
        __asm__ volatile(                                                                        \
            ".syntax unified\n\t" ES_THUMB1_SAVE                                                 \
            "movs r7, r1\n\tldr r4, [sp, #36]\n\tlsls r3, r3, #4\n\tadds r3, r3, r4\n\t"         \
            "sub sp, #28\n\tstr r0, [sp, #16]\n\tstr r4, [sp, #20]\n\tstr r3, [sp, #24]\n\t"     \
            "ldm r2!, {r4, r5}\n\tldrh r1, [r2, #2]\n\tldrh r2, [r2]\n\t"                       \
            PIECE("r4", shift, "0") "movs r2, r1\n\t" PIECE("r5", shift, "8")                   \
            "1:\n\tldr r6, [sp, #16]\n\tldm r6!, {r0, r1, r2, r3}\n\tstr r6, [sp, #16]\n\t"      \
            "mov r8, r0\n\tmov r9, r1\n\tmov r10, r2\n\tmov r11, r3\n\t"                        \
            "ldr r6, [sp]\n\tldr r1, [sp, #4]\n\tmov r12, r1\n\tbl 4f\n\t"                      \
            "ldr r6, [sp, #8]\n\tldr r1, [sp, #12]\n\tcmp r6, r1\n\tbeq 2f\n\tmov r12, r1\n\tbl 4f\n" \
            "2:\n\tldr r1, [sp, #16]\n\tldr r6, [sp, #20]\n\t"                                 \
            RESULT("r8", "0", "0") RESULT("r9", "2", "4") RESULT("r10", "4", "8") RESULT("r11", "6", "12") \
            "adds r1, #8\n\tstr r1, [sp, #16]\n\tadds r6, #16\n\tstr r6, [sp, #20]\n\t"         \
            "ldr r2, [sp, #24]\n\tcmp r6, r2\n\tbeq 3f\n\tb 1b\n"                               \
            "3:\n\tmov r0, r7\n\tadd sp, #28\n\t" ES_THUMB1_RESTORE                            \
            "4:\n\t" load ROWS(row) UNTIL_END("4b") "bx lr\n\t");                              \
    }

RESULTS4(es_rows4_wide_results, ES_THUMB1_LOAD_PAIR, ES_THUMB1_PAIR_ROW, "2")
RESULTS4(es_rows4_narrow_results, ES_THUMB1_LOAD_QUAD, ES_THUMB1_QUAD_ROW, "3")
#endif
