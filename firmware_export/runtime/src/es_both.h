/* Which layers run backward (SPEC.md, section 6). */
#ifndef ES_BOTH_H
#define ES_BOTH_H

#include "edge_seq.h"
#include "es_fixed.h"

/* True if a layer runs backward over a window; false for an index behind the last layer. */
static inline int es_runs_backward(const es_model_t *model, unsigned index)
{
    const es_both_t *const both = model->chain != NULL ? model->chain->both : NULL;
    return both != NULL && index < es_num_layers(model) && ((int32_t)both->backward & es_power2(index)) != 0 ? 1 : 0;
}

#endif
