/* Preprocessing: raw counts to features (SPEC.md, section 3). */
#include "edge_seq.h"
#include "es_fixed.h"

#define GRAVITY_FRAC_BITS 14u
#define COMPANDED_FRAC_BITS 11u
#define TOP_BIT 15u

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

/* A feature through a logarithm in straight pieces. With u = |f| + 2^bits, which fits 16 bits, and e = floor(log2 u),
 * the magnitude is 2048 (e - bits) and the 11 bits of u behind its highest one. */
static int16_t compand(int32_t feature, unsigned bits)
{
    const uint32_t sign = es_negative(feature);
    uint32_t raised = (((uint32_t)feature ^ sign) - sign) + ((uint32_t)1 << bits);
    uint32_t doublings = TOP_BIT - bits;
    uint32_t magnitude;
    unsigned shift;
    /* Moves the highest bit to TOP_BIT, by 8, 4, 2 and 1 where there is room. The time does not depend on the feature. */
    for (shift = 8u; shift != 0u; shift /= 2u) {
        const uint32_t room = es_negative((int32_t)raised - es_power2(TOP_BIT + 1u - shift));
        raised ^= (raised ^ (raised << shift)) & room;
        doublings -= shift & room;
    }
    raised -= (uint32_t)1 << TOP_BIT;
    magnitude = (uint32_t)es_shift_right((int32_t)raised, TOP_BIT - COMPANDED_FRAC_BITS);
    magnitude += doublings << COMPANDED_FRAC_BITS;
    return (int16_t)es_signed32((magnitude ^ sign) - sign);
}

static void compand_features(es_context_t *context, unsigned count)
{
    unsigned index;
    for (index = 0; index < count; index++) {
        context->features[index] = compand(context->features[index], context->model->companding);
    }
}

void es_preprocess_companded_none(es_context_t *context, const int16_t *counts)
{
    es_preprocess_none(context, counts);
    compand_features(context, context->model->num_channels);
}

void es_preprocess_companded_difference(es_context_t *context, const int16_t *counts)
{
    es_preprocess_difference(context, counts);
    compand_features(context, context->model->num_channels);
}

void es_preprocess_companded_gravity(es_context_t *context, const int16_t *counts)
{
    es_preprocess_gravity(context, counts);
    compand_features(context, context->model->num_channels);
}

/* floor(sqrt(square)) of a number below 2^30: its bits from the highest down, each taken where the rest of the number
 * has room for it (Warren, Hacker's Delight, 11-1). The time does not depend on the number. */
static uint32_t square_root(uint32_t square)
{
    uint32_t root = 0;
    uint32_t bit;
    for (bit = (uint32_t)1 << 28; bit != 0u; bit /= 4u) {
        const uint32_t taken = root + bit;
        const uint32_t has_room = ~es_negative((int32_t)square - (int32_t)taken);
        square -= taken & has_room;
        root = root / 2u + (bit & has_room);
    }
    return root;
}

/* Adds the magnitudes behind the features of the channels, which are not shifted yet. */
static void add_magnitudes(es_context_t *context)
{
    const es_model_t *const model = context->model;
    int16_t *magnitude = context->features + model->num_channels;
    const uint16_t *axis = model->input_shift + model->num_channels + es_num_features(model);
    unsigned left;
    for (left = model->num_magnitudes; left != 0u; left--) {
        uint32_t square = 0;
        uint32_t most;
        unsigned number;
        for (number = 0; number < 3u; number++) {
            const int32_t feature = context->features[*axis];
            const int32_t product = feature * feature;
            square += (uint32_t)product;
            axis++;
        }
        /* Numbers from 2^30 on, at most 3 * 2^30, have a root above the largest result. */
        most = (square | square * 2u) / 0x80000000u;
        square = (square | (0u - most)) & 0x3FFFFFFFu;
        *magnitude = (int16_t)square_root(square);
        magnitude++;
    }
}

static void shift_features(es_context_t *context)
{
    const es_model_t *const model = context->model;
    const unsigned count = es_num_features(model);
    unsigned index;
    for (index = 0; index < count; index++) {
        context->features[index] = scale_up(context->features[index], model->input_shift[model->num_channels + index]);
    }
}

void es_preprocess_magnitude_none(es_context_t *context, const int16_t *counts)
{
    es_preprocess_none(context, counts);
    add_magnitudes(context);
    shift_features(context);
}

void es_preprocess_magnitude_difference(es_context_t *context, const int16_t *counts)
{
    es_preprocess_difference(context, counts);
    add_magnitudes(context);
    shift_features(context);
}

void es_preprocess_magnitude_gravity(es_context_t *context, const int16_t *counts)
{
    es_preprocess_gravity(context, counts);
    add_magnitudes(context);
    shift_features(context);
}

void es_preprocess_companded_magnitude_none(es_context_t *context, const int16_t *counts)
{
    es_preprocess_none(context, counts);
    add_magnitudes(context);
    compand_features(context, es_num_features(context->model));
}

void es_preprocess_companded_magnitude_difference(es_context_t *context, const int16_t *counts)
{
    es_preprocess_difference(context, counts);
    add_magnitudes(context);
    compand_features(context, es_num_features(context->model));
}

void es_preprocess_companded_magnitude_gravity(es_context_t *context, const int16_t *counts)
{
    es_preprocess_gravity(context, counts);
    add_magnitudes(context);
    compand_features(context, es_num_features(context->model));
}
