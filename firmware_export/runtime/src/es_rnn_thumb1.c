/* es_rnn.c for parts with 16-bit Thumb only (Cortex-M0, M0+). It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "es_thumb1.h"

#define ES_THUMB1_ALONE(go_on) ""
#define ES_THUMB1_AFTER_PAIRS "b 25f\n"

/* A unit: its sum, where its multiplier is in the block, and where it is in its quad. */
#define UNIT(sum, multiplier, at) \
    ES_THUMB1_MULW(sum, multiplier) ES_THUMB1_TANH "asrs r0, r0, #16\n\tstrh r0, [r3, #" at "]\n\t"

/* From the sums of a block on. */
#define UPDATE                                                                                   \
    "ldr r3, [sp, #36]\n\t"                                                                      \
    UNIT("r8", "16", "0") UNIT("r9", "18", "2") UNIT("r10", "20", "4") UNIT("r11", "22", "6")    \
    "adds r6, #24\n\tstr r6, [sp, #32]\n\tadds r3, #8\n\tstr r3, [sp, #36]\n\t"                  \
    "ldr r2, [sp, #40]\n\tcmp r3, r2\n\tbeq 6f\n\tb 1b\n"                                        \
    "6:\n\t" ES_THUMB1_RETURN

/* All quads. frame->out: scratch, for hidden values in Q15. */
ES_THUMB1_KERNEL(es_rnn_quads)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS4 ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UPDATE ES_THUMB1_PURGE);
}

#if ES_OWN_NIBBLES
ES_THUMB1_KERNEL(es_rnn_nibble_quads)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS4 ES_THUMB1_SECOND_MACROS4);
    __asm__ volatile(ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_NIBBLE_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UPDATE ES_THUMB1_PURGE ES_THUMB1_SECOND_PURGE);
}
#endif

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_fill(&frame, unpacked, layer, below, state);

    frame.block = layer->blocks;
    frame.out = scratch;
    frame.end = scratch + ES_QUAD * layer->own_quads;
    es_rnn_quads(&frame, layer->weights, unpacked, own_enter);
    es_thumb1_operands(state, scratch, layer);
}

#if ES_OWN_NIBBLES
void es_rnn_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_filled(&frame, unpacked, layer, below, state, 1);

    frame.block = layer->blocks;
    frame.out = scratch;
    frame.end = scratch + ES_QUAD * layer->own_quads;
    es_rnn_nibble_quads(&frame, layer->weights, unpacked, own_enter);
    es_thumb1_operands(state, scratch, layer);
}
#endif
#endif
