/* The dot products of es_rows.c for parts with DSP instructions (Cortex-M4, M7, M33, M55): those of dense layers,
 * convolutions and the head. They compute the same integers. */
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

#if ES_OWN_RESULTS && ES_KERNEL == ES_KERNEL_DSP
typedef char es_seen_is_as_assumed[offsetof(es_seen_t, second) == 4 && offsetof(es_seen_t, first_groups) == 8 &&
                                           offsetof(es_seen_t, second_groups) == 10
                                       ? 1
                                       : -1];

/* Makes the four words of a piece in the frame, at sp + `at`: its address (r4), where its code is entered, the end of its
 * double groups, and where the code goes on. r6: groups, `odd`, `even`: offsets into the table of entries for what goes
 * on. r8: the table. */
#define PIECE(at, shift, odd, even)                                                                    \
    "lsrs r0, r6, #1\n\tsub r0, r0, #1\n\tand r0, r0, #3\n\trsb r0, r0, #3\n\tit eq\n\tmoveq r0, #4\n\t"    \
    "ldrh r5, [r8, r0, lsl #1]\n\tadd r5, r5, r8\n\t"                                               \
    "bic r0, r6, #1\n\tadd r9, r4, r0, lsl #" shift "\n\t"                                          \
    "tst r6, #1\n\tite eq\n\tldrheq r6, [r8, #" even "]\n\tldrhne r6, [r8, #" odd "]\n\tadd r6, r6, r8\n\t"  \
    "strd r4, r5, [sp, #" at "]\n\tstrd r9, r6, [sp, #" at " + 8]\n\t"

/* Results of blocks. r0: block, r1: weights, r2: what the rows see, r3: number of blocks; on the stack: results. The frame
 * holds the two pieces; at 32 the end of the piece that is running and where it goes on; the block; the results and their
 * end. Four double groups are written out and entered where as many are left. `one`, `two`: a group, and two of them. */
#define RESULTS4(name, shift, one, two)                                                                \
    __attribute__((naked)) const int16_t *name(const es_block_t *block __attribute__((unused)),        \
                                               const int16_t *weights __attribute__((unused)),         \
                                               const es_seen_t *seen __attribute__((unused)),          \
                                               unsigned blocks __attribute__((unused)),                \
                                               int32_t *results __attribute__((unused)))               \
    {                                                                                                  \
        __asm__ volatile(                                                                              \
            ".syntax unified\n\t"                                                                      \
            ".macro one_group\n\t" one ".endm\n\t.macro two_groups\n\t" two ".endm\n\t"               \
            "push {r4-r11, lr}\n\tldr r12, [sp, #36]\n\tsub sp, sp, #52\n\tmov lr, r1\n\t"           \
            "add r3, r12, r3, lsl #4\n\tstrd r0, r12, [sp, #40]\n\tstr r3, [sp, #48]\n\t"            \
            "adr r8, 20f\n\tldr r4, [r2]\n\tldrh r6, [r2, #8]\n\t" PIECE("0", shift, "10", "12")      \
            "ldr r4, [r2, #4]\n\tldrh r6, [r2, #10]\n\t" PIECE("16", shift, "14", "16")               \
            "b 10f\n\t"                                                                               \
            ".balign 4\n"                                                                              \
            "20:\n\t"                                                                                 \
            ".hword 1f - 20b + 1, 2f - 20b + 1, 3f - 20b + 1, 4f - 20b + 1, 5f - 20b + 1\n\t"          \
            ".hword 6f - 20b + 1, 7f - 20b + 1, 8f - 20b + 1, 9f - 20b + 1\n\t"                        \
            ".balign 4\n"                                                                              \
            "10:\n\tldr r6, [sp, #40]\n\tldm r6!, {r0-r3}\n\tstr r6, [sp, #40]\n\t"                 \
            "ldrd r6, r7, [sp, #8]\n\tstrd r6, r7, [sp, #32]\n\tldm sp, {r12, pc}\n"                 \
            "1:\n\ttwo_groups\n2:\n\ttwo_groups\n3:\n\ttwo_groups\n4:\n\ttwo_groups\n"              \
            "5:\n\tldr r4, [sp, #32]\n\tcmp r12, r4\n\tbne 1b\n\tldr pc, [sp, #36]\n"               \
            "6:\n\tone_group\n"                                                                       \
            "7:\n\tldrd r6, r7, [sp, #24]\n\tstrd r6, r7, [sp, #32]\n\t"                             \
            "ldr r12, [sp, #16]\n\tldr pc, [sp, #20]\n"                                               \
            "8:\n\tone_group\n"                                                                       \
            "9:\n\tldr r6, [sp, #40]\n\tldm r6!, {r4, r5}\n\tstr r6, [sp, #40]\n\t"                 \
            "smulwb r0, r0, r4\n\tsmulwt r1, r1, r4\n\tsmulwb r2, r2, r5\n\tsmulwt r3, r3, r5\n\t"   \
            "ldrd r6, r7, [sp, #44]\n\tstm r6!, {r0-r3}\n\tstr r6, [sp, #44]\n\t"                    \
            "cmp r6, r7\n\tbne 10b\n\t"                                                              \
            "mov r0, lr\n\tadd sp, sp, #52\n\tpop {r4-r11, pc}\n\t"                                  \
            ".purgem one_group\n\t.purgem two_groups\n\t");                                          \
    }

RESULTS4(es_rows4_wide_results, "2", "ldr r8, [r12], #4\n\t" PAIR("r8"),
         "ldm r12!, {r8, r9}\n\t" PAIR("r8") PAIR("r9"))
RESULTS4(es_rows4_narrow_results, "3", "ldrd r8, r9, [r12], #8\n\t" QUAD("r8", "r9"),
         "ldm r12!, {r8-r11}\n\t" QUAD("r8", "r9") QUAD("r10", "r11"))
#endif
#endif
