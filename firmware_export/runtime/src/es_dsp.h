/* Shared by the Thumb-2 kernels of the three cells: the dot products of a block, as assembly text, and the frame of
 * pointers that they keep on the stack. KERNELS.md explains the design.
 *
 * A cell's kernel is one naked function: it needs all fourteen registers, even r7, which an asm statement cannot use
 * without optimisation. In the dot products:
 *     r0 - r3   sums of the four rows          r4 - r7   one word of weights for each row
 *     r8 - r11  eight operands, or features    r12       address of the operands        lr   of the weights
 * No branch depends on data: the time of a step depends only on the model's sizes. */
#ifndef ES_DSP_H
#define ES_DSP_H

#include "edge_seq.h"
#include "es_fixed.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_THUMB2

/* For speed, the dot product with the own state is unrolled for ES_DSP_CHAIN double quads; a loop before it handles
 * further ones. For size (-Os), there are only three loops: over pairs of features, over quads of operands below, and
 * over own quads. */
#if defined(__OPTIMIZE_SIZE__)
#define ES_DSP_SMALL 1
#else
#define ES_DSP_SMALL 0
#endif
#if ES_KERNEL == ES_KERNEL_THUMB2
#define ES_DSP_CHAIN 4u
#else
#define ES_DSP_CHAIN 8u
#endif

/* ------------------------------------------------------------------------------------------------------ the frame */

/* Parameters of a kernel, which copies them to the stack; the numbers are offsets in bytes. An `enter` says where a
 * dot product begins: its code is unrolled for an even number of groups, with a single group or a loop before it if
 * needed, and each of these parts ends with a jump to the next. The C code stores one of the numbers of the enum
 * below, and the kernel turns it into an address. For size, an `enter` is instead the end of the operands,
 * below_second is 0 if the input is features, below_third is not 0 if a column stands alone, and the other fields
 * for entries and loops are not used. */
typedef struct es_dsp_frame {
    const int16_t *below;   /* 0: features, or operands of the layer below */
    uint32_t below_enter;   /* 4 */
    const es_block_t *block; /* 8, to r6 */
    int16_t *out;           /* 12, to r7: output of the cell */
    uint32_t constants[5];  /* 16, to r8 - r12: constants of the cell */
    const int16_t *own;     /* 36: operands of this layer */
    uint32_t own_enter;     /* 40 */
    uint32_t own_second;    /* 44: after the loop */
    uint32_t own_third;     /* 48: after the single group */
    const int16_t *own_looped; /* 52: where the loop ends */
    uint32_t below_second;  /* 56 */
    uint32_t below_third;   /* 60; the last one for a GRU's column that stands alone */
    const int16_t *below_looped; /* 64 */
    const void *end;        /* 68: used by the cell */
} es_dsp_frame_t;

typedef char es_dsp_frame_has_18_words[sizeof(es_dsp_frame_t) == 72 ? 1 : -1];

/* Offsets in bytes into the table of entries in ES_DSP_BEGIN. */
enum {
    ES_DSP_WIDE_LOOP = 0,
    ES_DSP_WIDE_SINGLE = 2,
    ES_DSP_WIDE_END = 8,
    ES_DSP_BELOW_SINGLE = 10,
    ES_DSP_BELOW_LOOP = 12,
    ES_DSP_OWN_LOOP = 14,
    ES_DSP_OWN_SINGLE = 16,
    ES_DSP_WIDE_ALONE = 18,
    ES_DSP_OWN_END = 20 + 2 * ES_DSP_CHAIN
};
#define ES_DSP_WIDE_CHAIN 2u

/* Fills in all fields except block, out, constants and end. */
#if ES_DSP_SMALL
static inline void es_dsp_frame_fill(es_dsp_frame_t *frame, const es_layer_t *layer, const int16_t *below,
                                     const int16_t *own)
{
    frame->below = below;
    frame->below_enter = (uint32_t)(below + 2u * layer->wide_pairs + ES_QUAD * layer->below_quads); /* one is 0 */
    frame->below_second = layer->below_quads;
    frame->below_third = layer->wide_alone;
    frame->own = own;
    frame->own_enter = (uint32_t)(own + ES_QUAD * layer->own_quads);
}
#else
static inline void es_dsp_frame_fill(es_dsp_frame_t *frame, const es_layer_t *layer, const int16_t *below,
                                     const int16_t *own)
{
    const unsigned own_doubles = layer->own_quads / 2u;
    const unsigned own_written = own_doubles < ES_DSP_CHAIN ? own_doubles : ES_DSP_CHAIN;

    frame->own = own;
    frame->own_third = ES_DSP_OWN_END - 2u * own_written;
    frame->own_second = (layer->own_quads & 1u) ? (uint32_t)ES_DSP_OWN_SINGLE : frame->own_third;
    frame->own_enter = own_doubles > own_written ? (uint32_t)ES_DSP_OWN_LOOP : frame->own_second;
    frame->own_looped = own + 2u * ES_QUAD * (own_doubles - own_written);

    frame->below = below;
    if (layer->wide_pairs > 0) {
        const unsigned pairs = (unsigned)layer->wide_pairs - layer->wide_alone; /* the last one goes with it */
        const unsigned doubles = pairs / 2u;
        const unsigned most = layer->wide_alone != 0u ? 0u : ES_DSP_WIDE_CHAIN;
        const unsigned written = doubles < most ? doubles : most;
        frame->below_third = layer->wide_alone != 0u ? (uint32_t)ES_DSP_WIDE_ALONE : ES_DSP_WIDE_END - 2u * written;
        frame->below_second = (pairs & 1u) ? (uint32_t)ES_DSP_WIDE_SINGLE : frame->below_third;
        frame->below_enter = doubles > written ? (uint32_t)ES_DSP_WIDE_LOOP : frame->below_second;
        frame->below_looped = below + 4u * (doubles - written);
    } else {
        frame->below_third = layer->below_quads > 1 ? (uint32_t)ES_DSP_BELOW_LOOP : (uint32_t)ES_DSP_WIDE_END;
        frame->below_second = frame->below_third;
        frame->below_enter = (layer->below_quads & 1u) ? (uint32_t)ES_DSP_BELOW_SINGLE : frame->below_third;
        frame->below_looped = below + ES_QUAD * layer->below_quads;
    }
}
#endif

#if ES_OWN_NIBBLES
/* The same for narrow weights of 4 bits, where a single quad comes first: after it the loop, then the written part. */
static inline void es_dsp_frame_fill_nibbles(es_dsp_frame_t *frame, const es_layer_t *layer, const int16_t *below,
                                             const int16_t *own)
{
    const unsigned doubles = layer->own_quads / 2u;
    const unsigned written = doubles < ES_DSP_CHAIN ? doubles : ES_DSP_CHAIN;
    const unsigned single = layer->own_quads & 1u;

    es_dsp_frame_fill(frame, layer, below, own);
    frame->own_second = ES_DSP_OWN_END - 2u * written;
    frame->own_third = doubles > written ? (uint32_t)ES_DSP_OWN_LOOP : frame->own_second;
    frame->own_enter = single != 0u ? (uint32_t)ES_DSP_OWN_SINGLE : frame->own_third;
    frame->own_looped = own + ES_QUAD * (single + 2u * (doubles - written));
}
#endif

/* ------------------------------------------------------------------------------------------------ dot products */

/* Code around a column that stands alone. For speed, it comes with the last pair. For size, it tests whether there is
 * such a column. The own operands come next. */
#if ES_DSP_SMALL
#define ES_DSP_IF_ALONE "ldr r4, [sp, #60]\n\tcmp r4, #0\n\tbeq 23f\n\t"
#define ES_DSP_AFTER_PAIRS "b 23f\n\t"
#else
#define ES_DSP_AFTER_PAIRS "b 25f\n\t"
#endif

#if ES_KERNEL != ES_KERNEL_THUMB2
/* These are macros of the assembler, purged at the end of the kernel, as C compilers need not accept strings as
 * long as their expansions. `pair4`: a pair of wide columns for four rows, sums in r0 - r3. `quad4`: whole words
 * times coarse operands, low bytes times fine ones. `pair3`, `quad3`: the same for three rows, sums in r0, r1 and
 * `third`. */
#define ES_DSP_MACROS4                                                                                 \
    ".macro pair4 features\n"                                                                          \
    "ldm lr!, {r4-r7}\n"                                                                               \
    "smlad r0, r4, \\features, r0\nsmlad r1, r5, \\features, r1\n"                                     \
    "smlad r2, r6, \\features, r2\nsmlad r3, r7, \\features, r3\n"                                     \
    ".endm\n"                                                                                          \
    ".macro quad4 fine, coarse\n"                                                                      \
    "pair4 \\coarse\n"                                                                                 \
    "sxtb16 r4, r4\nsxtb16 r5, r5\nsxtb16 r6, r6\nsxtb16 r7, r7\n"                                     \
    "smlad r0, r4, \\fine, r0\nsmlad r1, r5, \\fine, r1\n"                                             \
    "smlad r2, r6, \\fine, r2\nsmlad r3, r7, \\fine, r3\n"                                             \
    ".endm\n"                                                                                          \
    ".macro in_alone\n" ES_DSP_AFTER_PAIRS ".endm\n"                                                    \
    ES_DSP_GROUPS("in", "pair4", "quad4", "") ES_DSP_GROUPS("own", "pair4", "quad4", "")
#define ES_DSP_MACROS3                                                                                 \
    ".macro pair3 features, third\n"                                                                   \
    "ldm lr!, {r4-r6}\n"                                                                               \
    "smlad r0, r4, \\features, r0\nsmlad r1, r5, \\features, r1\n"                                     \
    "smlad \\third, r6, \\features, \\third\n"                                                         \
    ".endm\n"                                                                                          \
    ".macro quad3 fine, coarse, third\n"                                                               \
    "pair3 \\coarse, \\third\n"                                                                        \
    "sxtb16 r4, r4\nsxtb16 r5, r5\nsxtb16 r6, r6\n"                                                    \
    "smlad r0, r4, \\fine, r0\nsmlad r1, r5, \\fine, r1\nsmlad \\third, r6, \\fine, \\third\n"          \
    ".endm\n"                                                                                          \
    ".macro in_alone\n" ES_DSP_ALONE ES_DSP_AFTER_PAIRS ".endm\n"                                     \
    ES_DSP_GROUPS("in", "pair3", "quad3", ", r2") ES_DSP_GROUPS("own", "pair3", "quad3", ", r3")
/* The same for narrow weights of 4 bits. `nibbles4`: two quads, of which the second has the words of the first shifted
 * left by four; the first coarse operands are overwritten once they are used. */
#if ES_OWN_NIBBLES
#define ES_DSP_NIBBLE_MACROS4                                                                          \
    ES_DSP_MACROS4                                                                                    \
    ".macro nibbles4 fine, coarse, fine2, coarse2\n"                                                   \
    "pair4 \\coarse\n"                                                                                 \
    "sxtb16 \\coarse, r4\nsmlad r0, \\coarse, \\fine, r0\n"                                            \
    "sxtb16 \\coarse, r5\nsmlad r1, \\coarse, \\fine, r1\n"                                            \
    "sxtb16 \\coarse, r6\nsmlad r2, \\coarse, \\fine, r2\n"                                            \
    "sxtb16 \\coarse, r7\nsmlad r3, \\coarse, \\fine, r3\n"                                            \
    "lsl r4, r4, #4\nlsl r5, r5, #4\nlsl r6, r6, #4\nlsl r7, r7, #4\n"                               \
    "smlad r0, r4, \\coarse2, r0\nsmlad r1, r5, \\coarse2, r1\n"                                     \
    "smlad r2, r6, \\coarse2, r2\nsmlad r3, r7, \\coarse2, r3\n"                                     \
    "sxtb16 r4, r4\nsxtb16 r5, r5\nsxtb16 r6, r6\nsxtb16 r7, r7\n"                                   \
    "smlad r0, r4, \\fine2, r0\nsmlad r1, r5, \\fine2, r1\n"                                         \
    "smlad r2, r6, \\fine2, r2\nsmlad r3, r7, \\fine2, r3\n"                                         \
    ".endm\n"                                                                                          \
    ES_DSP_NIBBLE_GROUP("in", "nibbles4", "") ES_DSP_NIBBLE_GROUP("own", "nibbles4", "")
#define ES_DSP_NIBBLE_MACROS3                                                                          \
    ES_DSP_MACROS3                                                                                    \
    ".macro nibbles3 fine, coarse, fine2, coarse2, third\n"                                            \
    "pair3 \\coarse, \\third\n"                                                                        \
    "sxtb16 \\coarse, r4\nsmlad r0, \\coarse, \\fine, r0\n"                                            \
    "sxtb16 \\coarse, r5\nsmlad r1, \\coarse, \\fine, r1\n"                                            \
    "sxtb16 \\coarse, r6\nsmlad \\third, \\coarse, \\fine, \\third\n"                                \
    "lsl r4, r4, #4\nlsl r5, r5, #4\nlsl r6, r6, #4\n"                                                \
    "smlad r0, r4, \\coarse2, r0\nsmlad r1, r5, \\coarse2, r1\n"                                     \
    "smlad \\third, r6, \\coarse2, \\third\n"                                                        \
    "sxtb16 r4, r4\nsxtb16 r5, r5\nsxtb16 r6, r6\n"                                                   \
    "smlad r0, r4, \\fine2, r0\nsmlad r1, r5, \\fine2, r1\n"                                         \
    "smlad \\third, r6, \\fine2, \\third\n"                                                          \
    ".endm\n"                                                                                          \
    ES_DSP_NIBBLE_GROUP("in", "nibbles3", ", r2") ES_DSP_NIBBLE_GROUP("own", "nibbles3", ", r3")
#define ES_DSP_NIBBLE_GROUP(part, nibbles, third)                                                      \
    ".purgem " part "_quads\n"                                                                         \
    ".macro " part "_quads\nldm r12!, {r8-r11}\n" nibbles " r8, r9, r10, r11" third "\n.endm\n"
#define ES_DSP_NIBBLE_PURGE(rows) ES_DSP_PURGE(rows) ".purgem nibbles" rows "\n"
#endif
#if ES_DSP_SMALL
#define ES_DSP_ALONE                                                                                   \
    ES_DSP_IF_ALONE "ldrsh r8, [r12]\nldrd r4, r5, [lr], #8\n"                                        \
    "smlabb r0, r4, r8, r0\nsmlatb r1, r4, r8, r1\nsmlabb r2, r5, r8, r2\n"
#else
#define ES_DSP_ALONE                                                                                   \
    "ldm r12!, {r8, r9}\nldm lr!, {r4-r7, r10}\n"                                                    \
    "smlad r0, r4, r8, r0\nsmlad r1, r5, r8, r1\nsmlad r2, r6, r8, r2\n"                             \
    "smlabb r0, r7, r9, r0\nsmlatb r1, r7, r9, r1\nsmlabb r2, r10, r9, r2\n"
#endif
#define ES_DSP_PURGE(rows)                                                                             \
    ".purgem pair" rows "\n.purgem quad" rows "\n"                                                     \
    ".purgem in_alone\n.purgem in_pair\n.purgem in_pairs\n.purgem in_quad\n.purgem in_quads\n"                                \
    ".purgem own_pair\n.purgem own_pairs\n.purgem own_quad\n.purgem own_quads\n"

/* One and two pairs or quads, with loading their operands. */
#define ES_DSP_GROUPS(part, pair, quad, third)                                                         \
    ".macro " part "_pair\nldr r8, [r12], #4\n" pair " r8" third "\n.endm\n"                           \
    ".macro " part "_pairs\nldm r12!, {r8, r9}\n" pair " r8" third "\n" pair " r9" third "\n.endm\n"           \
    ".macro " part "_quad\nldrd r8, r9, [r12], #8\n" quad " r8, r9" third "\n.endm\n"                  \
    ".macro " part "_quads\nldm r12!, {r8-r11}\n" quad " r8, r9" third "\n" quad " r10, r11" third "\n.endm\n"
#else
/* Without dual multiplication: one column at a time; each weight is loaded with sign extension. */
#define ES_DSP_ROWS                                                                                    \
    ".macro pair_row sum\n"                                                                            \
    "ldrsh r4, [lr], #2\nldrsh r5, [lr], #2\nmla \\sum, r4, r8, \\sum\nmla \\sum, r5, r9, \\sum\n"         \
    ".endm\n"                                                                                          \
    ".macro quad_row sum\n"                                                                            \
    "ldrsb r4, [lr]\nldrsb r5, [lr, #2]\nldrsh r6, [lr], #2\nldrsh r7, [lr], #2\n"                      \
    "mla \\sum, r4, r8, \\sum\nmla \\sum, r5, r9, \\sum\n"                                             \
    "mla \\sum, r6, r10, \\sum\nmla \\sum, r7, r11, \\sum\n"                                           \
    ".endm\n"
#define ES_DSP_MACROS4                                                                                 \
    ES_DSP_ROWS                                                                                       \
    ".macro in_alone\n" ES_DSP_AFTER_PAIRS ".endm\n"                                                    \
    ES_DSP_GROUPS("in", "r2", "pair_row r3\n", "quad_row r3\n")                                        \
    ES_DSP_GROUPS("own", "r2", "pair_row r3\n", "quad_row r3\n")
#define ES_DSP_MACROS3                                                                                 \
    ES_DSP_ROWS                                                                                       \
    ".macro in_alone\n\t" ES_DSP_ALONE ES_DSP_AFTER_PAIRS ".endm\n\t"                                 \
    ES_DSP_GROUPS("in", "r2", "", "") ES_DSP_GROUPS("own", "r3", "", "")
#if ES_DSP_SMALL
#define ES_DSP_BEFORE_ALONE ES_DSP_IF_ALONE
#else
#define ES_DSP_BEFORE_ALONE "in_pair\n\t"
#endif
#define ES_DSP_ALONE                                                                                   \
    ES_DSP_BEFORE_ALONE                                                                               \
    "ldrsh r8, [r12]\n\tldrsh r4, [lr], #2\n\tldrsh r5, [lr], #2\n\tldrsh r6, [lr], #4\n\t"          \
    "mla r0, r4, r8, r0\n\tmla r1, r5, r8, r1\n\tmla r2, r6, r8, r2\n\t"
#define ES_DSP_PURGE(rows)                                                                             \
    ".purgem pair_row\n\t.purgem quad_row\n\t"                                                         \
    ".purgem in_alone\n\t.purgem in_pair\n\t.purgem in_pairs\n\t.purgem in_quad\n\t.purgem in_quads\n\t"                      \
    ".purgem own_pair\n\t.purgem own_pairs\n\t.purgem own_quad\n\t.purgem own_quads\n\t"
#define ES_DSP_GROUPS(part, third, pair_fourth, quad_fourth)                                           \
    ".macro " part "_pair\n\tldrsh r8, [r12], #2\n\tldrsh r9, [r12], #2\n\t"                           \
    "pair_row r0\n\tpair_row r1\n\tpair_row " third "\n\t" pair_fourth ".endm\n\t"                     \
    ".macro " part "_pairs\n\t" part "_pair\n\t" part "_pair\n\t.endm\n\t"                             \
    ".macro " part "_quad\n\t"                                                                         \
    "ldrsh r8, [r12], #2\n\tldrsh r9, [r12], #2\n\tldrsh r10, [r12], #2\n\tldrsh r11, [r12], #2\n\t"    \
    "quad_row r0\n\tquad_row r1\n\tquad_row " third "\n\t" quad_fourth ".endm\n\t"                     \
    ".macro " part "_quads\n\t" part "_quad\n\t" part "_quad\n\t.endm\n\t"
#endif

/* --------------------------------------------------------------------------------------------- the skeleton */

#if ES_KERNEL == ES_KERNEL_THUMB2
#define ES_DSP_OWN_ENTRIES ".hword 35f - 20b + 1, 36f - 20b + 1, 37f - 20b + 1, 38f - 20b + 1, 39f - 20b + 1\n"
#define ES_DSP_OWN_CHAIN "35:\nown_quads\n36:\nown_quads\n37:\nown_quads\n38:\nown_quads\n39:\n"
#else
#define ES_DSP_OWN_ENTRIES                                                       \
    ".hword 35f - 20b + 1, 36f - 20b + 1, 37f - 20b + 1, 38f - 20b + 1, 39f - 20b + 1\n"   \
    ".hword 40f - 20b + 1, 41f - 20b + 1, 42f - 20b + 1, 43f - 20b + 1\n"
#define ES_DSP_OWN_CHAIN                                                         \
    "35:\nown_quads\n36:\nown_quads\n37:\nown_quads\n38:\nown_quads\n"              \
    "39:\nown_quads\n40:\nown_quads\n41:\nown_quads\n42:\nown_quads\n43:\n"
#endif

#define ES_DSP_MAKE_ADDRESS(offset)                                              \
    "ldr r3, [sp, #" offset "]\nldrh r3, [r2, r3]\nadd r3, r3, r2\nstr r3, [sp, #" offset "]\n"

/* At the start of f(const es_dsp_frame_t *, const int16_t *weights): copies the frame to the stack, and the address of
 * the weights to lr. */
#define ES_DSP_COPY_FRAME                                                        \
    "push {r4-r11, lr}\n"                                                        \
    "mov lr, r1\n"                                                               \
    "add r1, r0, #40\n"                                                          \
    "ldm r1, {r4-r11}\n"                                                         \
    "push {r4-r11}\n"                                                            \
    "ldm r0, {r1-r10}\n"                                                         \
    "push {r1-r10}\n"

/* ES_DSP_BEGIN: everything before the first block. ES_DSP_SUMS: the sums of a block, starting from the biases. r6:
 * block; r7 is kept in the frame. */
#if ES_DSP_SMALL
#define ES_DSP_BEGIN ES_DSP_COPY_FRAME "ldrd r6, r7, [sp, #8]\n"
#if ES_KERNEL != ES_KERNEL_THUMB2
#define ES_DSP_SET_END(offset) "ldr r10, [sp, #" offset "]\n"
#define ES_DSP_UNTIL_END(label, offset) "cmp r12, r10\nbne " label "\n"
#else
#define ES_DSP_SET_END(offset)
#define ES_DSP_UNTIL_END(label, offset) "ldr r4, [sp, #" offset "]\ncmp r12, r4\nbne " label "\n"
#endif
#define ES_DSP_SUMS                                                              \
    "ldm r6!, {r0-r3}\n"                                                         \
    "strd r6, r7, [sp, #8]\n"                                                    \
    "ldr r4, [sp, #56]\nldr r12, [sp]\n" ES_DSP_SET_END("4")                    \
    "cmp r4, #0\nbne 22f\n"                                                     \
    "21:\nin_pair\n" ES_DSP_UNTIL_END("21b", "4") "in_alone\n"                   \
    "22:\nin_quad\n" ES_DSP_UNTIL_END("22b", "4")                               \
    "23:\nldr r12, [sp, #36]\n" ES_DSP_SET_END("40")                            \
    "24:\nown_quad\n" ES_DSP_UNTIL_END("24b", "40")
#else
#define ES_DSP_BEGIN                                                             \
    ES_DSP_COPY_FRAME                                                            \
    "adr r2, 20f\n"                                                              \
    ES_DSP_MAKE_ADDRESS("4") ES_DSP_MAKE_ADDRESS("40") ES_DSP_MAKE_ADDRESS("44") ES_DSP_MAKE_ADDRESS("48") \
    ES_DSP_MAKE_ADDRESS("56") ES_DSP_MAKE_ADDRESS("60")                          \
    "ldrd r6, r7, [sp, #8]\n"                                                    \
    "b 10f\n"                                                                    \
    ".balign 4\n"                                                                \
    "20:\n"                                                                      \
    ".hword 21f - 20b + 1, 22f - 20b + 1, 23f - 20b + 1, 24f - 20b + 1, 25f - 20b + 1\n"   \
    ".hword 26f - 20b + 1, 27f - 20b + 1, 33f - 20b + 1, 34f - 20b + 1, 28f - 20b + 1\n"   \
    ES_DSP_OWN_ENTRIES                                                           \
    ".balign 4\n"                                                                \
    "10:\n"

#define ES_DSP_SUMS                                                                                    \
    "ldm r6!, {r0-r3}\n"                                                                               \
    "strd r6, r7, [sp, #8]\n"                                                                          \
    "ldm sp, {r12, pc}\n"                                                                              \
    "21:\nin_pairs\nldr r4, [sp, #64]\ncmp r12, r4\nbne 21b\nldr pc, [sp, #56]\n"                       \
    "22:\nin_pair\nldr pc, [sp, #60]\n"                                                                \
    "26:\nin_quad\nldr pc, [sp, #60]\n"                                                                \
    "27:\nin_quads\nldr r4, [sp, #64]\ncmp r12, r4\nbne 27b\nb 25f\n"                                   \
    "33:\nown_quads\nldr r4, [sp, #52]\ncmp r12, r4\nbne 33b\nldr pc, [sp, #44]\n"                      \
    "34:\nown_quad\nldr pc, [sp, #48]\n"                                                               \
    "28:\nin_alone\n"                                                                                 \
    "23:\nin_pairs\n"                                                                                  \
    "24:\nin_pairs\n"                                                                                  \
    "25:\nldr r12, [sp, #36]\nldr pc, [sp, #40]\n"                                                     \
    ES_DSP_OWN_CHAIN
#endif

/* ES_DSP_RESULTS, after the sums: loads r6 - r12 from the frame and computes the results of the rows in r0 - r3.
 * ES_DSP_TANH: tanh of an argument, in the upper half of the same register; the lower half is undefined. Both ends of
 * the table are flat, so saturating the index is enough. The others: products of upper (T) and lower (B) halves; r4 is
 * overwritten. */
#define ES_DSP_INDEX(value, table) "usat r4, #8, " value ", asr #12\nldr r4, [" table ", r4, lsl #2]\n"
#define ES_DSP_TANH(value, table) ES_DSP_INDEX(value, table) ES_DSP_INTERPOLATE(value)
#if ES_KERNEL != ES_KERNEL_THUMB2
#define ES_DSP_RESULTS                                                           \
    "ldm sp, {r4-r12}\n" /* r4 and r5 are not used */                           \
    "ldm r6!, {r4, r5}\n"                                                        \
    "smulwb r0, r0, r4\nsmulwt r1, r1, r4\nsmulwb r2, r2, r5\nsmulwt r3, r3, r5\n"
#define ES_DSP_INTERPOLATE(value) "smlabb " value ", r4, " value ", r4\n"
#define ES_DSP_MUL_TT(to, a, b) "smultt " to ", " a ", " b "\n"
#define ES_DSP_MLA_TB(to, a, b, sum) "smlatb " to ", " a ", " b ", " sum "\n"
#define ES_DSP_MLA_TT(to, a, b, sum) "smlatt " to ", " a ", " b ", " sum "\n"
#define ES_DSP_MLAW_T(to, a, b, sum) "smlawt " to ", " a ", " b ", " sum "\n"
#define ES_DSP_PACK(upper, lower) "pkhtb " upper ", " upper ", " lower ", asr #16\n"
#else
#define ES_DSP_PACK(upper, lower) "lsr " lower ", " lower ", #16\nbfi " upper ", " lower ", #0, #16\n"
#define ES_DSP_RESULT(sum) "ldrsh r4, [r6], #2\nlsl r4, r4, #16\nsmull r5, " sum ", " sum ", r4\n"
#define ES_DSP_RESULTS                                                           \
    "ldm sp, {r4-r12}\n"                                                         \
    ES_DSP_RESULT("r0") ES_DSP_RESULT("r1") ES_DSP_RESULT("r2") ES_DSP_RESULT("r3")
#define ES_DSP_INTERPOLATE(value)                                                \
    "sxth " value ", " value "\nuxth r5, r4\nmla " value ", r5, " value ", r4\n"
#define ES_DSP_MUL_TT(to, a, b) "asr r4, " a ", #16\nasr " to ", " b ", #16\nmul " to ", r4, " to "\n"
#define ES_DSP_MLA_TB(to, a, b, sum) "asr r4, " a ", #16\nmla " to ", r4, " b ", " sum "\n" /* b is signed */
#define ES_DSP_MLA_TT(to, a, b, sum)                                             \
    "asr r4, " a ", #16\nasr " b ", " b ", #16\nmla " to ", r4, " b ", " sum "\n"
#define ES_DSP_MLAW_T(to, a, b, sum)                                             \
    "bic r4, " b ", #0x000000FF\nbic r4, r4, #0x0000FF00\nsmull r5, r4, " a ", r4\nadd " to ", " sum ", r4\n"
#endif

#define ES_DSP_RETURN "add sp, sp, #72\npop {r4-r11, pc}\n"

/* Head of a kernel's definition. The kernel takes its parameters in registers. */
#define ES_DSP_KERNEL(name)                                                                            \
    static __attribute__((naked, noinline)) void name(const es_dsp_frame_t *frame __attribute__((unused)), \
                                                      const int16_t *weights __attribute__((unused)))

/* ----------------------------------------------------------------------------------------------- operands */

/* Computes the operands of hidden values in Q15. hidden, operands [4 * own_quads], aligned to words; padding
 * becomes zero. rshift(h, 8) of two values in a word: (h + 128) / 2 in both halves, then a shift of each half by
 * the remaining 7. */
static inline void es_dsp_operands(int16_t *operands, const int16_t *hidden, const es_layer_t *layer)
{
    const int16_t *const end = hidden + ES_QUAD * layer->own_quads;
    int16_t *to = operands;
    unsigned unit;

#if ES_KERNEL != ES_KERNEL_THUMB2
    __asm__ volatile(
        "1:\n"
        "ldrd r2, r3, [%[from]], #8\n"
        "shadd16 r3, r3, %[half]\n"
        "sbfx r12, r3, #7, #9\n"
        "asr r3, r3, #7\n"
        "pkhbt r3, r12, r3\n"
        "strd r2, r3, [%[to]], #8\n"
        "cmp %[from], %[end]\n"
        "bne 1b\n"
        : [from] "+r"(hidden), [to] "+r"(to)
        : [end] "r"(end), [half] "r"(0x00800080u)
        : "r2", "r3", "r12", "cc", "memory");
#else
    while (hidden != end) {
        to[0] = hidden[0];
        to[1] = hidden[1];
        to[2] = (int16_t)es_round_shift(hidden[2], 8);
        to[3] = (int16_t)es_round_shift(hidden[3], 8);
        hidden += ES_QUAD;
        to += ES_QUAD;
    }
#endif
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        operands[unit] = 0;
    }
}

#endif
#endif
