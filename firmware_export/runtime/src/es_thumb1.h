/* Shared by the kernels for parts with 16-bit Thumb only (Cortex-M0, M0+): the dot products of a block as assembly text,
 * the activation, and the frame of pointers that the kernels keep on the stack. KERNELS.md explains the design.
 *
 * Eight registers support all arithmetic. Six more can only be added to, so these hold the sums of the rows. In the dot
 * products:
 *     r0, r1    two fine operands, or features      r4, r5    weights         r8 - r11  sums of the rows
 *     r2, r3    two coarse operands                 r6        address of the operands
 *     r12, lr   see the kernels                     r7        address of the weights
 * Four loaded operands then serve four rows. Operands, features and weights are read as words. */
#ifndef ES_THUMB1_H
#define ES_THUMB1_H

#include "edge_seq.h"
#include "es_fixed.h"
#include "es_kernel.h"
#include "es_operands.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_THUMB1

/* ------------------------------------------------------------------------------------------------ dot products */

/* One row of a pair: 7 instructions for 2 products. */
#define ES_THUMB1_PAIR_ROW(sum)                                                                  \
    "ldm r7!, {r4}\n\t"                                                                          \
    "sxth r5, r4\n\tmuls r5, r0, r5\n\tadd " sum ", r5\n\t"                                      \
    "asrs r4, r4, #16\n\tmuls r4, r1, r4\n\tadd " sum ", r4\n\t"

/* One row of a quad: 13 instructions for 4 products. `change`: what makes its words of those that are loaded. */
#define ES_THUMB1_QUAD_ROW(sum) ES_THUMB1_CHANGED_ROW(sum, "")
#define ES_THUMB1_CHANGED_ROW(sum, change)                                                       \
    "ldm r7!, {r4}\n\t" change                                                                   \
    "sxtb r5, r4\n\tmuls r5, r0, r5\n\tadd " sum ", r5\n\t"                                      \
    "sxth r5, r4\n\tmuls r5, r2, r5\n\tadd " sum ", r5\n\t"                                      \
    "asrs r4, r4, #16\n\t"                                                                       \
    "sxtb r5, r4\n\tmuls r5, r1, r5\n\tadd " sum ", r5\n\t"                                      \
    "muls r4, r3, r4\n\tadd " sum ", r4\n\t"

#define ES_THUMB1_LOAD_PAIR "ldm r6!, {r0}\n\tasrs r1, r0, #16\n\tsxth r0, r0\n\t"
#define ES_THUMB1_LOAD_QUAD                                                                      \
    "ldm r6!, {r0, r2}\n\tasrs r1, r0, #16\n\tsxth r0, r0\n\tasrs r3, r2, #16\n\tsxth r2, r2\n\t"

#define ES_THUMB1_SAVE                                                                           \
    "push {r4-r7, lr}\n\tmov r4, r8\n\tmov r5, r9\n\tmov r6, r10\n\tmov r7, r11\n\tpush {r4-r7}\n\t"
#define ES_THUMB1_RESTORE                                                                        \
    "pop {r4-r7}\n\tmov r8, r4\n\tmov r9, r5\n\tmov r10, r6\n\tmov r11, r7\n\tpop {r4-r7, pc}\n\t"

/* ------------------------------------------------------------------------------------------------------ the frame */

/* For speed, operands are unpacked once a step: into words of their own, as many as this, which need no instruction
 * but the load. The dot products with them are unrolled; loops before them handle further operands as they are. For
 * size (-Os) there are only the loops. */
#if defined(__OPTIMIZE_SIZE__)
#define ES_THUMB1_SMALL 1
#define ES_THUMB1_UNPACKED_WORDS 1u
#else
#define ES_THUMB1_SMALL 0
#define ES_THUMB1_PAIRS 2u /* the last features; the last one alone if a column stands alone, see es_layer_t */
#define ES_THUMB1_QUADS 8u /* the last operands of the layer itself */
#define ES_THUMB1_UNPACKED_WORDS (2u * ES_THUMB1_PAIRS + ES_QUAD * ES_THUMB1_QUADS)
#endif

/* Parameters of a kernel, which copies them to the stack. The numbers are offsets in bytes. An `enter` says which code
 * comes first: C stores one of the numbers of the enum below, and the kernel turns it into an address. For size, enter
 * is 1 if there are quads below, 2 if a column stands alone, else 0. */
typedef struct {
    const int16_t *below;     /* 0: features, or operands of the layer below: those that are not unpacked */
    uint32_t enter;           /* 4 */
    const int16_t *below_end; /* 8 */
    const int16_t *own;       /* 12: operands of this layer that are not unpacked */
    const int16_t *own_end;   /* 16 */
    const int32_t *unpacked;  /* 20: operands of this layer */
    uint32_t half;            /* 24, to r4: 2^14 */
    const int32_t *table;     /* 28, to r5 */
    const es_block_t *block;  /* 32, to r6 */
    int16_t *out;             /* 36: output of the cell */
    const int16_t *end;       /* 40: its end */
    uint32_t constants[3];    /* 44: constants of the cell */
} es_thumb1_frame_t;

typedef char es_thumb1_frame_has_14_words[sizeof(es_thumb1_frame_t) == 56 ? 1 : -1];

/* Offsets in bytes into the table of entries in ES_THUMB1_BEGIN. */
enum {
    ES_THUMB1_BELOW_PAIRS = 0,
    ES_THUMB1_BELOW_QUADS = 2,
    ES_THUMB1_OWN_QUADS = 4,
    ES_THUMB1_PAIR_ALONE = 6,
    ES_THUMB1_PAIRS_END = 12,
    ES_THUMB1_QUADS_END = 30
};

#if ES_THUMB1_SMALL
/* Fills in all fields but block, out, end and constants. */
static inline uint32_t es_thumb1_frame_fill(es_thumb1_frame_t *frame, int32_t *unpacked, const es_layer_t *layer,
                                            const int16_t *below, const int16_t *own)
{
    unpacked[0] = 0; /* not used */
    frame->below = below;
    frame->below_end = below + 2u * layer->wide_pairs + ES_QUAD * layer->below_quads; /* one of the two is 0 */
    frame->enter = layer->below_quads > 0u ? 1u : 2u * (uint32_t)layer->wide_alone;
    frame->own = own;
    frame->own_end = own + ES_QUAD * layer->own_quads;
    frame->half = 1u << 14;
    frame->table = es_tanh_dsp_table;
    return 0;
}
#else
/* Fills in all fields but block, out, end and constants, and unpacks the operands: unpacked [ES_THUMB1_UNPACKED_WORDS]; for
 * weights of 4 bits an even number of quads. Returns where the dot product with the own operands begins, for weights of 4
 * bits with those that are unpacked. nibbles: constant */
static inline uint32_t es_thumb1_frame_filled(es_thumb1_frame_t *frame, int32_t *unpacked, const es_layer_t *layer,
                                              const int16_t *below, const int16_t *own, int nibbles)
{
    const unsigned most = layer->wide_alone != 0u ? 1u : ES_THUMB1_PAIRS;
    const unsigned pairs = layer->wide_pairs < most ? layer->wide_pairs : most;
    const unsigned most_quads = layer->own_quads < ES_THUMB1_QUADS ? layer->own_quads : ES_THUMB1_QUADS;
    const unsigned quads = nibbles != 0 ? most_quads & ~1u : most_quads;
    const int16_t *const own_end = own + ES_QUAD * layer->own_quads;
    const int16_t *from;
    const int16_t *end;
    int32_t *to = unpacked;

    frame->below = below;
    frame->below_end = below + 2u * (layer->wide_pairs - pairs) + ES_QUAD * layer->below_quads; /* one of the two is 0 */
    if (layer->below_quads > 0u) {
        frame->enter = ES_THUMB1_BELOW_QUADS;
    } else if (layer->wide_pairs > pairs) {
        frame->enter = ES_THUMB1_BELOW_PAIRS;
    } else {
        frame->enter = layer->wide_alone != 0u ? (uint32_t)ES_THUMB1_PAIR_ALONE : ES_THUMB1_PAIRS_END - 2u * pairs;
    }
    if (pairs > 0u) {
        from = frame->below_end;
        end = from + 2u * pairs + layer->wide_alone;
        for (; from != end; from++) {
            *to++ = *from;
        }
    }
    frame->own = own;
    frame->own_end = own_end - ES_QUAD * quads;
    frame->unpacked = to;
    from = frame->own_end;
    if (nibbles == 0 || quads > 0u) {
        __asm__ volatile(
            ".syntax unified\n\t"
            "1:\n\t"
            "ldm %[from]!, {r2, r4}\n\t"
            "asrs r3, r2, #16\n\tsxth r2, r2\n\tasrs r5, r4, #16\n\tsxth r4, r4\n\t"
            "stm %[to]!, {r2, r3, r4, r5}\n\t"
            "cmp %[from], %[end]\n\t"
            "bne 1b\n\t"
            : [from] "+l"(from), [to] "+l"(to)
            : [end] "l"(own_end)
            : "r2", "r3", "r4", "r5", "cc", "memory");
    }
    frame->half = 1u << 14;
    frame->table = es_tanh_dsp_table;
    return nibbles == 0 && layer->own_quads > quads ? (uint32_t)ES_THUMB1_OWN_QUADS : ES_THUMB1_QUADS_END - 2u * quads;
}

static inline uint32_t es_thumb1_frame_fill(es_thumb1_frame_t *frame, int32_t *unpacked, const es_layer_t *layer,
                                            const int16_t *below, const int16_t *own)
{
    return es_thumb1_frame_filled(frame, unpacked, layer, below, own, 0);
}
#endif

/* -------------------------------------------------------------------------------------------------- the skeleton */

/* These are macros of the assembler, purged at the end of the kernel, as C compilers need not accept strings as long as
 * their expansions. `below_`: rows that see the layer's input, `own_`: rows that see its state; third and fourth row
 * follow as text. pairs, quads: operands that are unpacked; others as they are. */
#define ES_THUMB1_MACROS                                                                         \
    ".macro pair_row sum\n\t" ES_THUMB1_PAIR_ROW("\\sum") ".endm\n\t"                            \
    ".macro quad_row sum\n\t" ES_THUMB1_QUAD_ROW("\\sum") ".endm\n\t"                            \
    ".macro pair_rows\n\tpair_row r8\n\tpair_row r9\n\tpair_row r10\n\t.endm\n\t"                \
    ".macro pair_of_words\n\tldm r6!, {r0, r1}\n\tbelow_pair_rows\n\t.endm\n\t"                  \
    ".macro quad_of_words\n\tldm r6!, {r0-r3}\n\town_quad_rows\n\t.endm\n\t"
#define ES_THUMB1_MACROS4                                                                        \
    ES_THUMB1_MACROS                                                                             \
    ".macro below_pair_rows\n\tpair_rows\n\tpair_row r11\n\t.endm\n\t"                           \
    ".macro own_quad_rows\n\tquad_row r8\n\tquad_row r9\n\tquad_row r10\n\tquad_row r11\n\t.endm\n\t" \
    ".macro below_quad_rows\n\town_quad_rows\n\t.endm\n\t"                                       \
    ".macro below_alone\n\t.endm\n\t"
#define ES_THUMB1_MACROS3                                                                        \
    ES_THUMB1_MACROS                                                                             \
    ".macro below_pair_rows\n\tpair_rows\n\t.endm\n\t"                                           \
    ".macro own_quad_rows\n\tquad_row r8\n\tquad_row r9\n\tquad_row r11\n\t.endm\n\t"            \
    ".macro below_quad_rows\n\tquad_row r8\n\tquad_row r9\n\tquad_row r10\n\t.endm\n\t"          \
    ".macro below_alone\n\t"                                                                     \
    "ldm r7!, {r4, r5}\n\t"                                                                      \
    "sxth r1, r4\n\tmuls r1, r0, r1\n\tadd r8, r1\n\t"                                           \
    "asrs r4, r4, #16\n\tmuls r4, r0, r4\n\tadd r9, r4\n\t"                                      \
    "sxth r5, r5\n\tmuls r5, r0, r5\n\tadd r10, r5\n\t"                                          \
    ".endm\n\t"
/* For weights of 4 bits: rows of a quad whose words are those of the quad before it, shifted. */
#define ES_THUMB1_SECOND_MACROS                                                                  \
    ".macro second_row sum\n\t" ES_THUMB1_CHANGED_ROW("\\sum", "lsls r4, r4, #4\n\t") ".endm\n\t" \
    ".macro two_quads_of_words\n\tquad_of_words\n\tldm r6!, {r0-r3}\n\town_second_rows\n\t.endm\n\t"
#define ES_THUMB1_SECOND_MACROS4                                                                 \
    ES_THUMB1_SECOND_MACROS                                                                      \
    ".macro own_second_rows\n\tsubs r7, #16\n\t"                                               \
    "second_row r8\n\tsecond_row r9\n\tsecond_row r10\n\tsecond_row r11\n\t.endm\n\t"         \
    ".macro below_second_rows\n\town_second_rows\n\t.endm\n\t"
#define ES_THUMB1_SECOND_MACROS3                                                                 \
    ES_THUMB1_SECOND_MACROS                                                                      \
    ".macro own_second_rows\n\tsubs r7, #12\n\tsecond_row r8\n\tsecond_row r9\n\tsecond_row r11\n\t.endm\n\t" \
    ".macro below_second_rows\n\tsubs r7, #12\n\tsecond_row r8\n\tsecond_row r9\n\tsecond_row r10\n\t.endm\n\t"
#define ES_THUMB1_SECOND_PURGE                                                                   \
    ".purgem second_row\n\t.purgem two_quads_of_words\n\t.purgem own_second_rows\n\t.purgem below_second_rows\n\t"

#define ES_THUMB1_PURGE                                                                          \
    ".purgem pair_row\n\t.purgem quad_row\n\t.purgem pair_rows\n\t.purgem pair_of_words\n\t.purgem quad_of_words\n\t" \
    ".purgem below_pair_rows\n\t.purgem own_quad_rows\n\t.purgem below_quad_rows\n\t.purgem below_alone\n\t"

/* Copies the frame to the stack; the address of the weights to r7. r12 and lr keep the other parameters. */
#define ES_THUMB1_COPY_FRAME                                                                     \
    ES_THUMB1_SAVE                                                                               \
    "mov r8, r1\n\tmov lr, r2\n\tmov r12, r3\n\t"                                                \
    "adds r0, #28\n\tldm r0!, {r1-r7}\n\tpush {r1-r7}\n\t"                                       \
    "subs r0, #56\n\tldm r0!, {r1-r7}\n\tpush {r1-r7}\n\t"                                       \
    "mov r7, r8\n\t"

#define ES_THUMB1_RETURN "add sp, #56\n\t" ES_THUMB1_RESTORE

/* ES_THUMB1_BEGIN: everything before the first block. ES_THUMB1_SUMS: the sums of a block, starting from the biases.
 * r7: weights; for speed, r12: where the dot product with the own operands begins, lr: unpacked operands. */
#define ES_THUMB1_BIASES                                                                         \
    "ldr r6, [sp, #32]\n\tldm r6!, {r0-r3}\n\t"                                                  \
    "mov r8, r0\n\tmov r9, r1\n\tmov r10, r2\n\tmov r11, r3\n\t"

#if ES_THUMB1_SMALL
#define ES_THUMB1_BEGIN ES_THUMB1_COPY_FRAME
#define ES_THUMB1_SUMS                                                                           \
    ES_THUMB1_BIASES                                                                             \
    "ldr r6, [sp, #0]\n\tldr r0, [sp, #8]\n\tmov r12, r0\n\tldr r0, [sp, #4]\n\tcmp r0, #1\n\tbeq 22f\n" \
    "21:\n\t" ES_THUMB1_LOAD_PAIR "below_pair_rows\n\tcmp r6, r12\n\tbne 21b\n\t"                \
    "ldr r0, [sp, #4]\n\tcmp r0, #0\n\tbeq 23f\n\t"                                              \
    "ldm r6!, {r0}\n\tsxth r0, r0\n\tbelow_alone\n\tb 23f\n"                                     \
    "22:\n\t" ES_THUMB1_LOAD_QUAD "below_quad_rows\n\tcmp r6, r12\n\tbne 22b\n"                  \
    "23:\n\tldr r6, [sp, #12]\n\tldr r0, [sp, #16]\n\tmov r12, r0\n"                             \
    "24:\n\t" ES_THUMB1_LOAD_QUAD "own_quad_rows\n\tcmp r6, r12\n\tbne 24b\n\t"
#else
#define ES_THUMB1_BEGIN                                                                          \
    ES_THUMB1_COPY_FRAME                                                                         \
    "adr r2, 20f\n\t"                                                                            \
    "mov r3, r12\n\tldrh r3, [r2, r3]\n\tadds r3, r3, r2\n\tmov r12, r3\n\t"                     \
    "ldr r3, [sp, #4]\n\tldrh r3, [r2, r3]\n\tadds r3, r3, r2\n\tstr r3, [sp, #4]\n\t"           \
    "b 10f\n\t"                                                                                  \
    ".balign 4\n"                                                                                \
    "20:\n\t"                                                                                    \
    ".hword 21f - 20b + 1, 22f - 20b + 1, 23f - 20b + 1, 24f - 20b + 1\n\t"                      \
    ".hword 25f - 20b + 1, 26f - 20b + 1, 27f - 20b + 1\n\t"                                     \
    ".hword 31f - 20b + 1, 32f - 20b + 1, 33f - 20b + 1, 34f - 20b + 1\n\t"                      \
    ".hword 35f - 20b + 1, 36f - 20b + 1, 37f - 20b + 1, 38f - 20b + 1, 39f - 20b + 1\n"         \
    "10:\n\t"
#define ES_THUMB1_SUMS                                                                           \
    ES_THUMB1_BIASES                                                                             \
    "mov r6, lr\n\tldr r0, [sp, #4]\n\tbx r0\n"                                                  \
    "21:\n\tldr r6, [sp, #0]\n"                                                                  \
    "11:\n\t" ES_THUMB1_LOAD_PAIR "below_pair_rows\n\tldr r0, [sp, #8]\n\tcmp r6, r0\n\tbne 11b\n\t" \
    "mov r6, lr\n\t" ES_THUMB1_AFTER_PAIRS                                                       \
    "22:\n\tldr r6, [sp, #0]\n"                                                                  \
    "12:\n\t" ES_THUMB1_LOAD_QUAD "below_quad_rows\n\tldr r0, [sp, #8]\n\tcmp r6, r0\n\tbne 12b\n\t" \
    "mov r6, lr\n\tbx r12\n"                                                                     \
    "23:\n\tldr r6, [sp, #12]\n"                                                                 \
    "13:\n\t" ES_THUMB1_LOAD_QUAD "own_quad_rows\n\tldr r0, [sp, #16]\n\tcmp r6, r0\n\tbne 13b\n\t" \
    "ldr r6, [sp, #20]\n\tb 31f\n"                                                               \
    "24:\n\t" ES_THUMB1_ALONE("bx r12\n")                                                       \
    "25:\n\tpair_of_words\n"                                                                     \
    "26:\n\tpair_of_words\n"                                                                     \
    "27:\n\tbx r12\n"                                                                            \
    "31:\n\tquad_of_words\n32:\n\tquad_of_words\n33:\n\tquad_of_words\n34:\n\tquad_of_words\n"   \
    "35:\n\tquad_of_words\n36:\n\tquad_of_words\n37:\n\tquad_of_words\n38:\n\tquad_of_words\n39:\n\t"

/* The same for weights of 4 bits. Packed operands, from `address` to `end` in the frame, are an odd quad, after which an
 * even number is left, and two quads at a time. `again`, `done`: labels. */
#define ES_THUMB1_PACKED_NIBBLES(rows, second_rows, address, end, again, done)                   \
    "ldr r6, [sp, #" address "]\n"                                                               \
    again ":\n\t" ES_THUMB1_LOAD_QUAD rows "\n\t"                                               \
    "ldr r0, [sp, #" end "]\n\tsubs r0, r0, r6\n\tbeq " done "f\n\tlsls r0, r0, #28\n\tbpl " again "b\n\t" \
    ES_THUMB1_LOAD_QUAD second_rows "\n\t"                                                      \
    "ldr r0, [sp, #" end "]\n\tcmp r6, r0\n\tbne " again "b\n"                                 \
    done ":\n\t"
#define ES_THUMB1_NIBBLE_SUMS                                                                    \
    ES_THUMB1_BIASES                                                                             \
    "mov r6, lr\n\tldr r0, [sp, #4]\n\tbx r0\n"                                                \
    "22:\n\t" ES_THUMB1_PACKED_NIBBLES("below_quad_rows", "below_second_rows", "0", "8", "12", "14") \
    "mov r6, lr\n\tb 27f\n"                                                                     \
    "23:\n\t" ES_THUMB1_PACKED_NIBBLES("own_quad_rows", "own_second_rows", "12", "16", "13", "15") \
    "ldr r6, [sp, #20]\n\tbx r12\n"                                                             \
    "21:\n\tldr r6, [sp, #0]\n"                                                                 \
    "11:\n\t" ES_THUMB1_LOAD_PAIR "below_pair_rows\n\tldr r0, [sp, #8]\n\tcmp r6, r0\n\tbne 11b\n\t" \
    "mov r6, lr\n\t" ES_THUMB1_AFTER_PAIRS                                                      \
    "24:\n\t" ES_THUMB1_ALONE("b 27f\n")                                                        \
    "25:\n\tpair_of_words\n"                                                                    \
    "26:\n\tpair_of_words\n"                                                                    \
    "27:\n\tldr r0, [sp, #12]\n\tldr r1, [sp, #16]\n\tcmp r0, r1\n\tbeq 28f\n\tb 23b\n"       \
    "28:\n\tbx r12\n"                                                                           \
    "31:\n\ttwo_quads_of_words\n33:\n\ttwo_quads_of_words\n35:\n\ttwo_quads_of_words\n37:\n\ttwo_quads_of_words\n" \
    "32:\n34:\n36:\n38:\n39:\n\t" /* entries of the table that are not used, and the end */
#endif

/* ES_THUMB1_RESULTS, after the sums: loads r4 - r6 from the frame. ES_THUMB1_MULW: floor(sum m / 2^16) in r0;
 * `offset` is that of the multiplier in its block. ES_THUMB1_TANH: tanh of the argument r0, in the upper half of r0; the lower half is
 * undefined. Both ends of the table are flat, so saturating the index is enough. ES_THUMB1_SIGMOID: in r0, Q15. These
 * overwrite r1 and r2. */
#define ES_THUMB1_RESULTS "add r6, sp, #24\n\tldm r6, {r4, r5, r6}\n\t"
#define ES_THUMB1_MULW(sum, offset)                                                              \
    "mov r0, " sum "\n\tldrh r1, [r6, #" offset "]\n\tasrs r2, r0, #16\n\tuxth r0, r0\n\t"       \
    "muls r2, r1, r2\n\tmuls r0, r1, r0\n\tlsrs r0, r0, #16\n\tadds r0, r0, r2\n\t"
#define ES_THUMB1_TANH                                                                           \
    "asrs r1, r0, #12\n\tcmp r1, #255\n\tbls 9f\n\tmvns r1, r1\n\tasrs r1, r1, #31\n\tuxtb r1, r1\n" \
    "9:\n\tlsls r1, r1, #2\n\tldr r1, [r5, r1]\n\tsxth r0, r0\n\t"                               \
    "uxth r2, r1\n\tmuls r0, r2, r0\n\tadds r0, r0, r1\n\t"
#define ES_THUMB1_SIGMOID ES_THUMB1_TANH "asrs r0, r0, #17\n\tadds r0, r0, r4\n\t"

/* Head of a kernel's definition. The kernel takes its parameters in registers: operands [ES_THUMB1_UNPACKED_WORDS], and
 * what es_thumb1_frame_fill returned. */
#define ES_THUMB1_KERNEL(name)                                                                   \
    static __attribute__((naked, noinline)) void name(const es_thumb1_frame_t *frame __attribute__((unused)), \
                                                      const int16_t *weights __attribute__((unused)),         \
                                                      const int32_t *unpacked __attribute__((unused)),        \
                                                      uint32_t own_enter __attribute__((unused)))

/* Makes operands of hidden values in Q15. hidden, operands [4 * own_quads], aligned to words; padding becomes zero.
 * rshift(h, 8) is floor((h + 128) / 2^8): the two values of a word are taken apart for it. */
static inline void es_thumb1_operands(int16_t *operands, const int16_t *hidden, const es_layer_t *layer)
{
    const int16_t *const end = hidden + ES_QUAD * layer->own_quads;
    int16_t *to = operands;
    unsigned unit;

    __asm__ volatile(
        ".syntax unified\n\t"
        "1:\n\t"
        "ldm %[from]!, {r2, r3}\n\t"
        "sxth r4, r3\n\tadds r4, #128\n\tasrs r4, r4, #8\n\tuxth r4, r4\n\t"
        "asrs r3, r3, #16\n\tadds r3, #128\n\tasrs r3, r3, #8\n\tlsls r3, r3, #16\n\t"
        "orrs r3, r4\n\t"
        "stm %[to]!, {r2, r3}\n\t"
        "cmp %[from], %[end]\n\t"
        "bne 1b\n\t"
        : [from] "+l"(hidden), [to] "+l"(to)
        : [end] "l"(end)
        : "r2", "r3", "r4", "cc", "memory");
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        operands[unit] = 0;
    }
}

#endif
#endif
