/* es_lstm.c for parts with Thumb-2, with or without DSP instructions. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_THUMB2
#include "es_dsp.h"

/* All units. frame->out: cell state; constants: 16 - cell_frac_bits, the table, 2^30, the table's middle, bytes
 * from the cell state to scratch; frame->end: end of the cell state. Hidden values in Q15 are written to scratch. */
#define BODY                                                                                          \
    ES_DSP_BEGIN                                                                                      \
    "11:\n"                                                                                           \
    ES_DSP_SUMS                                                                                       \
    ES_DSP_RESULTS                                                                                    \
    ES_DSP_TANH("r0", "r9") "add r0, r10, r0, asr #1\n" /* input gate: (tanh / 2 + 1 / 2) 2^31 */     \
    ES_DSP_TANH("r1", "r9") "add r1, r10, r1, asr #1\n" /* forget gate */                             \
    ES_DSP_TANH("r2", "r9")                               /* cell gate */                             \
    ES_DSP_TANH("r3", "r9") "add r3, r10, r3, asr #1\n" /* output gate */                             \
    "ldrsh r5, [r7]\n"                                                                                \
    ES_DSP_MUL_TT("r0", "r0", "r2")                                                                   \
    "lsl r0, r0, #1\n"        /* below 2^31 */                                                        \
    "asr r0, r0, r8\n"        /* i g / 2^(15 - frac_bits) */                                          \
    ES_DSP_MLA_TB("r0", "r1", "r5", "r0") /* + f c */                                                 \
    "add r0, r0, #16384\n"                                                                            \
    "ssat r0, #16, r0, asr #15\n"                                                                     \
    "lsl r1, r0, r8\n" /* argument of tanh(c), less 2^19: a signed index from the table's middle */   \
    "ssat r4, #8, r1, asr #12\n"                                                                      \
    "ldr r4, [r11, r4, lsl #2]\n"                                                                     \
    ES_DSP_INTERPOLATE("r1")                                                                          \
    ES_DSP_MUL_TT("r3", "r3", "r1")                                                                   \
    "asr r3, r3, #15\n"                                                                               \
    "strh r3, [r7, r12]\n"                                                                            \
    "strh r0, [r7], #2\n"                                                                             \
    "ldr r4, [sp, #68]\n"                                                                             \
    "cmp r7, r4\n"                                                                                    \
    "bne 11b\n"                                                                                       \
    ES_DSP_RETURN

ES_DSP_KERNEL(es_lstm_units)
{
    __asm__ volatile(".syntax unified\n" ES_DSP_MACROS4 BODY ES_DSP_PURGE("4"));
}

#if ES_OWN_NIBBLES
ES_DSP_KERNEL(es_lstm_nibble_units)
{
    __asm__ volatile(".syntax unified\n" ES_DSP_NIBBLE_MACROS4 BODY ES_DSP_NIBBLE_PURGE("4"));
}
#endif

static inline void lstm_frame(es_dsp_frame_t *frame, const es_layer_t *layer, int16_t *cell, const int16_t *scratch)
{
    frame->block = layer->blocks;
    frame->out = cell;
    frame->constants[0] = 16u - layer->cell_frac_bits;
    frame->constants[1] = (uint32_t)es_tanh_dsp_table;
    frame->constants[2] = (uint32_t)1 << 30;
    frame->constants[3] = (uint32_t)(es_tanh_dsp_table + 128);
    frame->constants[4] = (uint32_t)scratch - (uint32_t)cell;
    frame->end = cell + layer->hidden_size;
}

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_dsp_frame_t frame;

    es_dsp_frame_fill(&frame, layer, below, state);
    lstm_frame(&frame, layer, state + ES_QUAD * layer->own_quads, scratch);
    es_lstm_units(&frame, layer->weights);
    es_dsp_operands(state, scratch, layer);
}

#if ES_OWN_NIBBLES
void es_lstm_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_dsp_frame_t frame;

    es_dsp_frame_fill_nibbles(&frame, layer, below, state);
    lstm_frame(&frame, layer, state + ES_QUAD * layer->own_quads, scratch);
    es_lstm_nibble_units(&frame, layer->weights);
    es_dsp_operands(state, scratch, layer);
}
#endif
#endif
