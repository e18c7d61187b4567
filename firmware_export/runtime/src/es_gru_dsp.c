/* es_gru.c for parts with Thumb-2, with or without DSP instructions. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_THUMB2
#include "es_dsp.h"

/* All units. frame->out: hidden state Q15, in and out; constants: the table, 2^30, 2^31 - 1, 2^14, end of the hidden
 * state. The operands do not change, as all units read them. */
#define BODY                                                                                                  \
    ES_DSP_BEGIN                                                                                              \
    "11:\n\t"                                                                                                 \
    ES_DSP_SUMS                                                                                               \
    ES_DSP_RESULTS                                                                                            \
    ES_DSP_TANH("r0", "r8")         /* 2 r - 1 */                                                             \
    ES_DSP_MLAW_T("r2", "r3", "r0", "r2")     /* new gate: input part + tanh times half the hidden part .. */ \
    "add r2, r2, r3, asr #1\n\t"    /* .. + the other half */                                                 \
    ES_DSP_TANH("r2", "r8")         /* n */                                                                   \
    ES_DSP_TANH("r1", "r8")                                                                                   \
    "add r1, r9, r1, asr #1\n\t"    /* z */                                                                   \
    "sub r5, r10, r1\n\t"           /* 32767 - z in the upper half */                                         \
    "ldrsh r3, [r7]\n\t"                                                                                      \
    ES_DSP_MLA_TB("r1", "r1", "r3", "r11")    /* z h + 1/2 */                                                 \
    ES_DSP_MLA_TT("r1", "r5", "r2", "r1")     /* + (1 - z) n */                                               \
    "asr r1, r1, #15\n\t"                                                                                     \
    "strh r1, [r7], #2\n\t"                                                                                   \
    "cmp r7, r12\n\t"                                                                                         \
    "bne 11b\n\t"                                                                                             \
    ES_DSP_RETURN

ES_DSP_KERNEL(es_gru_units)
{
    __asm__ volatile(".syntax unified\n\t" ES_DSP_MACROS3 BODY ES_DSP_PURGE("3"));
}

#if ES_OWN_NIBBLES
ES_DSP_KERNEL(es_gru_nibble_units)
{
    __asm__ volatile(".syntax unified\n\t" ES_DSP_NIBBLE_MACROS3 BODY ES_DSP_NIBBLE_PURGE("3"));
}
#endif

static inline void gru_frame(es_dsp_frame_t *frame, const es_layer_t *layer, int16_t *hidden)
{
    frame->block = layer->blocks;
    frame->out = hidden;
    frame->constants[0] = (uint32_t)es_tanh_dsp_table;
    frame->constants[1] = (uint32_t)1 << 30;
    frame->constants[2] = 0x7FFFFFFFu;
    frame->constants[3] = (uint32_t)1 << 14;
    frame->constants[4] = (uint32_t)(hidden + layer->hidden_size);
}

void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    es_dsp_frame_t frame;

    (void)scratch;
    es_dsp_frame_fill(&frame, layer, below, state);
    gru_frame(&frame, layer, hidden);
    es_gru_units(&frame, layer->weights);
    es_dsp_operands(state, hidden, layer);
}

#if ES_OWN_NIBBLES
void es_gru_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    es_dsp_frame_t frame;

    (void)scratch;
    es_dsp_frame_fill_nibbles(&frame, layer, below, state);
    gru_frame(&frame, layer, hidden);
    es_gru_nibble_units(&frame, layer->weights);
    es_dsp_operands(state, hidden, layer);
}
#endif
#endif
