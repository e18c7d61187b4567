/* Activations of dense layers and convolutions: from a row's result to a value in Q15 (SPEC.md, section 8). */
#ifndef ES_ACTIVATION_H
#define ES_ACTIVATION_H

#include "es_fixed.h"
#include "es_tanh.h"

static inline int16_t es_activation_relu(int32_t result)
{
    return es_saturate16(es_signed32((uint32_t)result & ~es_negative(result)));
}

static inline int16_t es_activation_tanh(int32_t result)
{
    return es_tanh(es_argument(result));
}

static inline int16_t es_activation_none(int32_t result)
{
    return es_saturate16(result);
}

#endif
