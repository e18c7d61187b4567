/* Preprocessing: raw counts to features (SPEC.md, section 3). */
#include "edge_seq.h"
#include "es_fixed.h"

#define GRAVITY_FRAC_BITS 14u

/* A feature that fits 16 bits, shifted left and saturated. */
static inline int16_t scale_up(int32_t feature, uint16_t shift)
{
    return es_saturate16(feature * es_power2(shift));
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
        const int32_t feature = context->primed != 0 ? es_saturate(count - context->memory[channel]) : 0;
        context->memory[channel] = count;
        context->features[channel] = scale_up(feature, model->input_shift[channel]);
    }
    context->primed = 1;
}

/* x minus a one-pole low-pass of x that starts at the first sample. memory: the low-pass, counts * 2^14 */
void es_preprocess_gravity(es_context_t *context, const int16_t *counts)
{
    const es_model_t *const model = context->model;
    const unsigned gravity_shift = model->gravity_shift;
    const uint16_t *input_shift = model->input_shift;
    const int16_t *const end = counts + model->num_channels;
    int32_t *memory = context->memory;
    int16_t *feature = context->features;

    if (context->primed == 0) {
        unsigned channel;
        for (channel = 0; channel < model->num_channels; channel++) {
            memory[channel] = counts[channel] * es_power2(GRAVITY_FRAC_BITS);
        }
        context->primed = 1;
    }
    for (; counts != end; counts++) {
        const int32_t count = *counts;
        *memory += es_shift_right(count * es_power2(GRAVITY_FRAC_BITS) - *memory, gravity_shift);
        *feature = scale_up(es_saturate(count - es_round_shift(*memory, GRAVITY_FRAC_BITS)), *input_shift);
        memory++;
        feature++;
        input_shift++;
    }
}
