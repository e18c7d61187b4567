/* es_gru.c for parts with 16-bit Thumb only (Cortex-M0, M0+). It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "es_thumb1.h"

/* The last pair and the column that stands alone, of unpacked features; and what follows further pairs. */
#define ES_THUMB1_ALONE(go_on) "pair_of_words\n\tldm r6!, {r0}\n\tbelow_alone\n\t" go_on
#define ES_THUMB1_AFTER_PAIRS "ldr r0, [sp, #44]\n\tcmp r0, #0\n\tbne 24f\n\tb 25f\n"

/* From the sums of a block on. */
#define UPDATE                                                                                   \
    ES_THUMB1_MULW("r8", "16") ES_THUMB1_TANH "asrs r3, r0, #16\n\t" /* 2 r - 1 */               \
    ES_THUMB1_MULW("r11", "22")                                                                  \
    /* hidden part of the new gate: tanh times half of it, and the other half */                 \
    "asrs r2, r0, #16\n\tuxth r1, r0\n\tmuls r2, r3, r2\n\tmuls r1, r3, r1\n\tasrs r1, r1, #16\n\tadds r2, r2, r1\n\t"\
    "asrs r0, r0, #1\n\tadds r3, r0, r2\n\t"                                                     \
    ES_THUMB1_MULW("r10", "20") "adds r0, r0, r3\n\t" ES_THUMB1_TANH "asrs r3, r0, #16\n\t" /* n */\
    ES_THUMB1_MULW("r9", "18") ES_THUMB1_SIGMOID                                          /* z */\
    /* z h + (32767 - z) n = z (h - n) + 2^15 n - n; the sum fits, so it does modulo 2^32 on the way */\
    "ldr r1, [sp, #36]\n\tmovs r2, #0\n\tldrsh r2, [r1, r2]\n\tsubs r2, r2, r3\n\tmuls r2, r0, r2\n\t"\
    "lsls r0, r3, #15\n\tadds r2, r2, r0\n\tsubs r2, r2, r3\n\tadds r2, r2, r4\n\tasrs r2, r2, #15\n\tstrh r2, [r1]\n\t"\
    "adds r6, #24\n\tstr r6, [sp, #32]\n\tadds r1, #2\n\tstr r1, [sp, #36]\n\t"                  \
    "ldr r2, [sp, #40]\n\tcmp r1, r2\n\tbeq 6f\n\tb 1b\n"                                        \
    "6:\n\t" ES_THUMB1_RETURN

/* All units. frame->out: hidden state Q15, in and out; constants: whether a column stands alone. The operands do not
 * change, as all units read them. */
ES_THUMB1_KERNEL(es_gru_units)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS3 ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UPDATE ES_THUMB1_PURGE);
}

#if ES_OWN_NIBBLES
ES_THUMB1_KERNEL(es_gru_nibble_units)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS3 ES_THUMB1_SECOND_MACROS3);
    __asm__ volatile(ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_NIBBLE_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UPDATE ES_THUMB1_PURGE ES_THUMB1_SECOND_PURGE);
}
#endif

void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_fill(&frame, unpacked, layer, below, state);

    (void)scratch;
    frame.block = layer->blocks;
    frame.out = hidden;
    frame.end = hidden + layer->hidden_size;
    frame.constants[0] = layer->wide_alone;
    es_gru_units(&frame, layer->weights, unpacked, own_enter);
    es_thumb1_operands(state, hidden, layer);
}

#if ES_OWN_NIBBLES
void es_gru_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_filled(&frame, unpacked, layer, below, state, 1);

    (void)scratch;
    frame.block = layer->blocks;
    frame.out = hidden;
    frame.end = hidden + layer->hidden_size;
    frame.constants[0] = layer->wide_alone;
    es_gru_nibble_units(&frame, layer->weights, unpacked, own_enter);
    es_thumb1_operands(state, hidden, layer);
}
#endif
#endif
