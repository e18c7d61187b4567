/* es_rnn.c for parts with Thumb-2, with or without DSP instructions. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_THUMB2
#include "es_dsp.h"

/* All quads. frame->out: scratch, for hidden values in Q15; constants: the table, end of scratch. */
#define BODY                    \
    ES_DSP_BEGIN                \
    "11:\n\t"                   \
    ES_DSP_SUMS                 \
    ES_DSP_RESULTS              \
    ES_DSP_TANH("r0", "r8")     \
    ES_DSP_TANH("r1", "r8")     \
    ES_DSP_TANH("r2", "r8")     \
    ES_DSP_TANH("r3", "r8")     \
    ES_DSP_PACK("r1", "r0")     \
    ES_DSP_PACK("r3", "r2")     \
    "strd r1, r3, [r7], #8\n\t" \
    "cmp r7, r9\n\t"            \
    "bne 11b\n\t"               \
    ES_DSP_RETURN

ES_DSP_KERNEL(es_rnn_quads)
{
    __asm__ volatile(".syntax unified\n\t" ES_DSP_MACROS4 BODY ES_DSP_PURGE("4"));
}

#if ES_OWN_NIBBLES
ES_DSP_KERNEL(es_rnn_nibble_quads)
{
    __asm__ volatile(".syntax unified\n\t" ES_DSP_NIBBLE_MACROS4 BODY ES_DSP_NIBBLE_PURGE("4"));
}
#endif

static inline void rnn_frame(es_dsp_frame_t *frame, const es_layer_t *layer, int16_t *scratch)
{
    frame->block = layer->blocks;
    frame->out = scratch;
    frame->constants[0] = (uint32_t)es_tanh_dsp_table;
    frame->constants[1] = (uint32_t)(scratch + ES_QUAD * layer->own_quads);
}

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_dsp_frame_t frame;

    es_dsp_frame_fill(&frame, layer, below, state);
    rnn_frame(&frame, layer, scratch);
    es_rnn_quads(&frame, layer->weights);
    es_dsp_operands(state, scratch, layer);
}

#if ES_OWN_NIBBLES
void es_rnn_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_dsp_frame_t frame;

    es_dsp_frame_fill_nibbles(&frame, layer, below, state);
    rnn_frame(&frame, layer, scratch);
    es_rnn_nibble_quads(&frame, layer->weights);
    es_dsp_operands(state, scratch, layer);
}
#endif
#endif
