/* es_fastgrnn.c for parts with Thumb-2, with or without DSP instructions. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_THUMB2
#include "es_cells.h"
#include "es_dsp.h"

/* A unit, from its result, in an assembler macro: the text of four units would be a longer literal than C99 wants. r8:
 * the table, r9: zeta, r10: nu, lr: its update offset; r4, r5, r11, r12: free */
#define UNIT(result)                                                                                   \
    "ldr r11, [lr], #4\n\tadd r11, r11, " result ", asr #1\n\t"                                       \
    ES_DSP_TANH("r11", "r8") "asr r11, r11, #17\n\tadd r11, r11, #16384\n\t" /* u */                  \
    "rsb r12, r11, #32768\n\tmla r12, r12, r9, r10\n\t"                      /* zeta (1 - u) + nu */ \
    "ldrsh r4, [r7]\n\tmul r11, r11, r4\n\tasr r11, r11, #1\n\tadd r11, r11, #8192\n\t"              \
    ES_DSP_TANH(result, "r8") ES_DSP_MLAW_T("r11", "r12", result, "r11")                               \
    "ssat r11, #16, r11, asr #14\n\tstrh r11, [r7], #2\n\t"

/* All quads. frame->out: hidden state Q15, in and out; constants: the table, zeta, nu; frame->end: end of the hidden
 * state. The operands do not change, as all units read them. */
ES_DSP_KERNEL(es_fastgrnn_quads)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        ES_DSP_MACROS4
        ".macro unit result\n\t" UNIT("\\result") ".endm\n\t"
        ES_DSP_BEGIN
        "11:\n\t"
        ES_DSP_SUMS
        ES_DSP_RESULTS
        "unit r0\n\tunit r1\n\tunit r2\n\tunit r3\n\t"
        "ldr r4, [sp, #68]\n\t"
        "cmp r7, r4\n\t"
        "bne 11b\n\t"
        ES_DSP_RETURN
        ".purgem unit\n\t"
        ES_DSP_PURGE("4"));
}

void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    es_dsp_frame_t frame;
    unsigned unit;

    (void)scratch;
    es_dsp_frame_fill(&frame, layer, below, state);
    frame.block = layer->blocks;
    frame.out = hidden;
    frame.constants[0] = (uint32_t)es_tanh_dsp_table;
    frame.constants[1] = (uint32_t)es_fastgrnn_zeta(layer);
    frame.constants[2] = (uint32_t)es_fastgrnn_nu(layer);
    frame.end = hidden + ES_QUAD * layer->own_quads;
    es_fastgrnn_quads(&frame, layer->weights + ES_FASTGRNN_HEAD_WORDS);
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        hidden[unit] = 0;
    }
    es_dsp_operands(state, hidden, layer);
}
#endif
