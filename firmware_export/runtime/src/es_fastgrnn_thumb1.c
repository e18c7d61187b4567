/* es_fastgrnn.c for parts with 16-bit Thumb only (Cortex-M0, M0+). It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "es_cells.h"
#include "es_thumb1.h"

#define ES_THUMB1_ALONE(go_on) ""
#define ES_THUMB1_AFTER_PAIRS "b 25f\n"

/* A unit: its sum, which is overwritten, and where its multiplier is in the block. r7: its update offset. */
#define UNIT(sum, multiplier)                                                                          \
    ES_THUMB1_MULW(sum, multiplier)                                                                    \
    "mov " sum ", r0\n\tasrs r0, r0, #1\n\tldm r7!, {r1}\n\tadds r0, r0, r1\n\t"                      \
    ES_THUMB1_SIGMOID "movs r3, r0\n\t"                                        /* u */                \
    "mov r0, " sum "\n\t" ES_THUMB1_TANH "asrs r0, r0, #16\n\t"                                       \
    "lsls r1, r4, #1\n\tsubs r1, r1, r3\n\tldr r2, [sp, #44]\n\tmuls r1, r2, r1\n\t"                 \
    "ldr r2, [sp, #48]\n\tadds r1, r1, r2\n\t"                                /* zeta (1 - u) + nu */ \
    "asrs r2, r1, #16\n\tmuls r2, r0, r2\n\tuxth r1, r1\n\tmuls r0, r1, r0\n\tasrs r0, r0, #16\n\t"   \
    "adds r0, r0, r2\n\t"                                                                             \
    "ldr r1, [sp, #36]\n\tmovs r2, #0\n\tldrsh r2, [r1, r2]\n\tmuls r2, r3, r2\n\tasrs r2, r2, #1\n\t" \
    "adds r0, r0, r2\n\tlsrs r2, r4, #1\n\tadds r0, r0, r2\n\tasrs r0, r0, #14\n\t"                  \
    "sxth r2, r0\n\tcmp r2, r0\n\tbeq 5f\n\t" /* else saturate: 2^15 - 1, or its complement */        \
    "asrs r0, r0, #31\n\tlsls r2, r4, #1\n\tsubs r2, #1\n\teors r0, r2\n"                             \
    "5:\n\tstrh r0, [r1]\n\tadds r1, #2\n\tstr r1, [sp, #36]\n\t"

/* All quads. frame->out: hidden state, in and out; constants: zeta, nu. */
ES_THUMB1_KERNEL(es_fastgrnn_quads)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS4 ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UNIT("r8", "16") UNIT("r9", "18"));
    __asm__ volatile(UNIT("r10", "20") UNIT("r11", "22"));
    __asm__ volatile(
        "adds r6, #24\n\tstr r6, [sp, #32]\n\t"
        "ldr r2, [sp, #40]\n\tcmp r1, r2\n\tbeq 6f\n\tb 1b\n"
        "6:\n\t" ES_THUMB1_RETURN ES_THUMB1_PURGE);
}

void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_fill(&frame, unpacked, layer, below, state);
    unsigned unit;

    (void)scratch;
    frame.block = layer->blocks;
    frame.out = hidden;
    frame.end = hidden + ES_QUAD * layer->own_quads;
    frame.constants[0] = (uint32_t)es_fastgrnn_zeta(layer);
    frame.constants[1] = (uint32_t)es_fastgrnn_nu(layer);
    es_fastgrnn_quads(&frame, layer->weights + ES_FASTGRNN_HEAD_WORDS, unpacked, own_enter);
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        hidden[unit] = 0;
    }
    es_thumb1_operands(state, hidden, layer);
}
#endif
