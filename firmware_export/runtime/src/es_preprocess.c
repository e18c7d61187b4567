/* Preprocessing: raw counts to features (SPEC.md, section 3). */
#include "edge_seq.h"
#include "es_fixed.h"

#define GRAVITY_FRAC_BITS 14u

/* feature int16, shifted left and saturated */
static inline int16_t scale_up(int16_t feature, uint16_t shift)
{
    return es_saturate16((int32_t)feature * es_power2(shift));
}

void es_preprocess_none(es_context_t *context, const int16_t *counts)
{
    const es_model_t *const model = context->model;
    unsigned channel;
    for (channel = 0; channel < model->num_channels; channel++) {
        context->features[channel] = scale_up(counts[channel], model->input_shift[channel]);
    }
}

/* x[t] - x[t - 1]; 0 for the first sample. memory: the previous sample */
void es_preprocess_difference(es_context_t *context, const int16_t *counts)
{
    const es_model_t *const model = context->model;
    unsigned channel;
    for (channel = 0; channel < model->num_channels; channel++) {
        const int32_t count = counts[channel];
        const int16_t feature = context->primed != 0 ? es_saturate16(count - context->memory[channel]) : 0;
        context->memory[channel] = count;
        context->features[channel] = scale_up(feature, model->input_shift[channel]);
    }
    context->primed = 1;
}

/* x minus a one-pole low-pass of x that starts at the first sample. memory: the low-pass, counts * 2^14 */
void es_preprocess_gravity(es_context_t *context, const int16_t *counts)
{
    const es_model_t *const model = context->model;
    unsigned channel;
    for (channel = 0; channel < model->num_channels; channel++) {
        const int32_t count = counts[channel];
        const int32_t target = count * es_power2(GRAVITY_FRAC_BITS);
        int32_t memory = target;
        int16_t feature;
        if (context->primed != 0) {
            memory = context->memory[channel];
            memory += es_shift_right(target - memory, model->gravity_shift);
        }
        context->memory[channel] = memory;
        feature = es_saturate16(count - es_round_shift(memory, GRAVITY_FRAC_BITS));
        context->features[channel] = scale_up(feature, model->input_shift[channel]);
    }
    context->primed = 1;
}
