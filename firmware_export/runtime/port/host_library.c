/* An exported model as a shared library of this machine: whole windows at once, in memory of the caller.
 * firmware_export/toolchain/host_library.py builds and calls it. */
#include "edge_seq.h"

extern const es_model_t *const es_host_models[];

const uint8_t *es_library_hash(void);
size_t es_library_bytes(void);
int es_library_windows(const int16_t *counts, size_t windows, size_t steps, void *memory, size_t bytes, int32_t *logits,
                       int32_t *labels);

/* [ES_HASH_BYTES] of the model. */
const uint8_t *es_library_hash(void)
{
    return es_host_models[0]->hash;
}

/* Of the memory that es_library_windows wants. */
size_t es_library_bytes(void)
{
    return es_context_bytes(es_host_models[0]);
}

/* Runs windows, each from a reset. counts [windows, steps, C], logits [windows, K], labels [windows]: those due after
 * the last sample; a label of -1 and no logits where none is due. Returns an es_status_t. */
int es_library_windows(const int16_t *counts, size_t windows, size_t steps, void *memory, size_t bytes, int32_t *logits,
                       int32_t *labels)
{
    const es_model_t *const model = es_host_models[0];
    es_context_t *context;
    const es_status_t status = es_init(model, memory, bytes, &context);
    if (status != ES_OK) {
        return (int)status;
    }
    for (; windows > 0; windows--) {
        es_status_t last = ES_OK;
        size_t index;
        es_reset(context);
        for (index = 0; index < steps; index++) {
            last = es_step(context, counts);
            counts += model->num_channels;
        }
        for (index = 0; index < model->num_classes; index++) {
            logits[index] = last == ES_LABEL_READY ? es_logits(context)[index] : 0;
        }
        *labels = last == ES_LABEL_READY ? (int32_t)es_label(context) : -1;
        logits += model->num_classes;
        labels++;
    }
    return (int)ES_OK;
}
