#include "es_head.h"

#include "es_fixed.h"
#include "es_rows.h"

void es_head_step(es_context_t *context, const int16_t *pooled)
{
    const es_model_t *const model = context->model;
    const ES_ROM int16_t *weights = model->head_weights;
    const ES_ROM es_block_t *block = model->head_blocks;
    int32_t *const logits = context->logits;
    unsigned class_index = 0;
    unsigned label = 0;

    while (class_index < model->num_classes) {
        int32_t sums[ES_BLOCK_ROWS];
        unsigned row;
        int32_t lead;
        if (pooled != NULL) {
            es_rows4_begin(block, sums);
            weights = es_rows4_narrow(weights, pooled, model->head_quads, sums);
            es_rows4_end(block, sums);
        } else { /* the rows see all steps, and were summed */
            for (row = 0; row < ES_BLOCK_ROWS; row++) {
                sums[row] = context->pools[class_index + row];
            }
        }
        for (row = 0; row < ES_BLOCK_ROWS && class_index < model->num_classes; row++) {
            logits[class_index] = sums[row];
            /* Among equal logits the lowest index wins. |logit| <= 2^30, so the difference fits. Its sign selects
             * without a branch, so that the time of a step does not depend on the label. */
            lead = logits[label] - logits[class_index];
            label ^= (label ^ class_index) & (unsigned)es_negative(lead);
            class_index++;
        }
        block++;
    }
    context->label = (uint16_t)label;
}
