/* When front layers give outputs (SPEC.md, section 6). */
#ifndef ES_FRONT_H
#define ES_FRONT_H

#include "edge_seq.h"

/* Number of outputs of a layer after so many inputs. */
static inline uint16_t es_front_outputs(const es_front_t *front, uint16_t inputs)
{
    unsigned outputs = 0;
    if (inputs > front->first) {
        outputs = ((unsigned)inputs - 1u - front->first) / front->stride + 1u;
    }
    return (uint16_t)outputs;
}

/* The same if the last of the inputs gives an output, else 0. Without a stride it takes no division, which small parts do
 * not have. */
static inline uint16_t es_front_output_at(const es_front_t *front, uint16_t inputs)
{
    unsigned outputs = 0;
    if (inputs > front->first) {
        outputs = (unsigned)inputs - front->first;
        if (front->stride != 1u) {
            const unsigned passed = (outputs - 1u) / front->stride;
            outputs = passed * front->stride == outputs - 1u ? passed + 1u : 0u;
        }
    }
    return (uint16_t)outputs;
}

/* Number of steps of the recurrent layers after so many samples of a window. */
static inline uint16_t es_front_steps(const es_model_t *model, uint16_t samples)
{
    uint16_t steps = samples;
    unsigned index;
    for (index = 0; model->chain != NULL && index < model->chain->num_front; index++) {
        const es_front_t *const front = &model->chain->front[index];
        if (samples == model->window_length) {
            steps = (uint16_t)(steps + front->after);
        }
        steps = es_front_outputs(front, steps);
    }
    return steps;
}

#endif
