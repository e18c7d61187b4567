/* es_lstm.c for parts with 16-bit Thumb only (Cortex-M0, M0+). It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "es_thumb1.h"

#define ES_THUMB1_ALONE(go_on) ""
#define ES_THUMB1_AFTER_PAIRS "b 25f\n"

/* From the sums of a block on. */
#define UPDATE                                                                                   \
    ES_THUMB1_MULW("r10", "20") ES_THUMB1_TANH "asrs r3, r0, #16\n\t" /* g */                    \
    ES_THUMB1_MULW("r8", "16") ES_THUMB1_SIGMOID                     /* i */                     \
    "muls r3, r0, r3\n\tldr r0, [sp, #44]\n\tasrs r3, r3, r0\n\t"                                \
    ES_THUMB1_MULW("r9", "18") ES_THUMB1_SIGMOID                     /* f */                     \
    "ldr r1, [sp, #36]\n\tmovs r2, #0\n\tldrsh r2, [r1, r2]\n\tmuls r0, r2, r0\n\t"              \
    "adds r3, r3, r0\n\tadds r3, r3, r4\n\tasrs r3, r3, #15\n\t"                                 \
    "sxth r0, r3\n\tcmp r0, r3\n\tbeq 5f\n\t" /* else saturate: 2^15 - 1, or its complement */   \
    "asrs r3, r3, #31\n\tlsls r0, r4, #1\n\tsubs r0, #1\n\teors r3, r0\n"                        \
    "5:\n\tstrh r3, [r1]\n\t"                                                                    \
    "ldr r1, [sp, #48]\n\tlsls r3, r3, r1\n\tlsls r0, r4, #5\n\tadds r0, r0, r3\n\t"             \
    ES_THUMB1_TANH "asrs r3, r0, #16\n\t"                                                        \
    ES_THUMB1_MULW("r11", "22") ES_THUMB1_SIGMOID                     /* o */                    \
    "muls r0, r3, r0\n\tasrs r0, r0, #15\n\t"                                                    \
    "ldr r1, [sp, #36]\n\tldr r2, [sp, #52]\n\tstrh r0, [r1, r2]\n\t"                            \
    "adds r6, #24\n\tstr r6, [sp, #32]\n\tadds r1, #2\n\tstr r1, [sp, #36]\n\t"                  \
    "ldr r2, [sp, #40]\n\tcmp r1, r2\n\tbeq 6f\n\tb 1b\n"                                        \
    "6:\n\t" ES_THUMB1_RETURN

/* All units. frame->out: cell state; constants: 15 - cell_frac_bits, 16 - cell_frac_bits, bytes from the cell state to
 * scratch. Hidden values in Q15 are written to scratch. */
ES_THUMB1_KERNEL(es_lstm_units)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS4 ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UPDATE ES_THUMB1_PURGE);
}

#if ES_OWN_NIBBLES
ES_THUMB1_KERNEL(es_lstm_nibble_units)
{
    __asm__ volatile(".syntax unified\n\t" ES_THUMB1_MACROS4 ES_THUMB1_SECOND_MACROS4);
    __asm__ volatile(ES_THUMB1_BEGIN);
    __asm__ volatile("1:\n\t" ES_THUMB1_NIBBLE_SUMS ES_THUMB1_RESULTS);
    __asm__ volatile(UPDATE ES_THUMB1_PURGE ES_THUMB1_SECOND_PURGE);
}
#endif

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_fill(&frame, unpacked, layer, below, state);

    frame.block = layer->blocks;
    frame.out = cell;
    frame.end = cell + layer->hidden_size;
    frame.constants[0] = 15u - layer->cell_frac_bits;
    frame.constants[1] = ES_ARGUMENT_FRAC_BITS - layer->cell_frac_bits;
    frame.constants[2] = (uint32_t)scratch - (uint32_t)cell;
    es_lstm_units(&frame, layer->weights, unpacked, own_enter);
    es_thumb1_operands(state, scratch, layer);
}

#if ES_OWN_NIBBLES
void es_lstm_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    int32_t unpacked[ES_THUMB1_UNPACKED_WORDS];
    es_thumb1_frame_t frame;
    const uint32_t own_enter = es_thumb1_frame_filled(&frame, unpacked, layer, below, state, 1);

    frame.block = layer->blocks;
    frame.out = cell;
    frame.end = cell + layer->hidden_size;
    frame.constants[0] = 15u - layer->cell_frac_bits;
    frame.constants[1] = ES_ARGUMENT_FRAC_BITS - layer->cell_frac_bits;
    frame.constants[2] = (uint32_t)scratch - (uint32_t)cell;
    es_lstm_nibble_units(&frame, layer->weights, unpacked, own_enter);
    es_thumb1_operands(state, scratch, layer);
}
#endif
#endif
