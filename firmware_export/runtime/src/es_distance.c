/* Distance of the head's input from the centroid of its label (SPEC.md, section 14). */
#include "es_fixed.h"
#include "es_head.h"
#include "es_operands.h"

/* No overflow: the sum of at most 1024 gaps of at most 2^8 is at most 2^18, and a radius is at most 2^18. */
int32_t es_distance_excess(const es_context_t *context)
{
    const es_model_t *const model = context->model;
    const es_distance_t *const distance = model->decision->distance;
    const es_layer_t *const last = model->chain != NULL && model->chain->num_dense != 0u
                                       ? &model->chain->dense[model->chain->num_dense - 1u]
                                       : &model->layers[es_num_layers(model) - 1u];
    const int16_t *seen = es_head_sees(context);
    const int16_t *const end = seen + (size_t)ES_QUAD * model->head_quads;
    const ES_ROM int8_t *centroid = distance->centroids;
    unsigned quads;
    int32_t excess = -ES_ROM_INT32(&distance->radii[context->label]);

    for (quads = 0; quads < model->head_quads; quads += last->own_quads) { /* a centroid has as many parts as the input */
        centroid += (size_t)context->label * last->hidden_size;
    }
    for (; seen != end; seen += ES_QUAD * last->own_quads) {
        unsigned unit;
        for (unit = 0; unit < last->hidden_size; unit++) {
            const int32_t value = es_is_coarse(unit) ? (int32_t)seen[unit] : es_round_shift(seen[unit], 8);
            const int32_t gap = value - (int32_t)ES_ROM_INT8(&centroid[unit]);
            const uint32_t sign = es_negative(gap);
            excess += es_signed32(((uint32_t)gap ^ sign) - sign); /* its magnitude, without a branch */
        }
        centroid += last->hidden_size;
    }
    return excess;
}
