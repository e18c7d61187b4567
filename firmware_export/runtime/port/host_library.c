/* An exported model as a shared library for this machine. It runs windows and streams in the caller's memory.
 * firmware_export/toolchain/host_library.py builds and calls it. */
#include "edge_seq.h"

extern const es_model_t *const es_host_models[];

const uint8_t *es_library_hash(void);
size_t es_library_bytes(void);
int es_library_windows(const int16_t *counts, size_t windows, size_t steps, void *memory, size_t bytes, int32_t *logits,
                       int32_t *labels);
int es_library_begin(void *memory, size_t bytes);
size_t es_library_steps(void *memory, const int16_t *counts, size_t steps, int64_t *due, int32_t *logits,
                        int32_t *labels, int32_t *decisions);

/* Hash of the model, [ES_HASH_BYTES]. */
const uint8_t *es_library_hash(void)
{
    return es_host_models[0]->hash;
}

/* Size of the memory of one stream, or of es_library_windows, bytes. */
size_t es_library_bytes(void)
{
    return es_context_bytes(es_host_models[0]);
}

/* Runs windows, each from a reset. counts [windows, steps, C]. logits [windows, K] and labels [windows] are those
 * after the last sample of each window; if no label is due there, the label is -1 and the logits are 0. Returns an
 * es_status_t. */
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

/* Begins a stream in the caller's memory. Returns an es_status_t. */
int es_library_begin(void *memory, size_t bytes)
{
    es_context_t *context;
    return (int)es_init(es_host_models[0], memory, bytes, &context);
}

/* Continues a stream with samples, counts [steps, C]. Returns the number of labels that were due, L. Room is needed for
 * as many as there are steps:
 *   due        index of the sample after which each was due, [L]
 *   logits     [L, K]
 *   labels     [L]
 *   decisions  [L], -1 for unknown; the labels of a model without a decision stage */
size_t es_library_steps(void *memory, const int16_t *counts, size_t steps, int64_t *due, int32_t *logits,
                        int32_t *labels, int32_t *decisions)
{
    es_context_t *const context = (es_context_t *)memory;
    const es_model_t *const model = es_host_models[0];
    size_t labelled = 0;
    size_t step;
    for (step = 0; step < steps; step++) {
        const es_status_t status = es_step(context, counts);
        counts += model->num_channels;
        if (status == ES_LABEL_READY) {
            const uint16_t decision = es_decision(context);
            size_t index;
            for (index = 0; index < model->num_classes; index++) {
                *logits++ = es_logits(context)[index];
            }
            due[labelled] = (int64_t)step;
            labels[labelled] = (int32_t)es_label(context);
            decisions[labelled] = decision == ES_UNKNOWN ? -1 : (int32_t)decision;
            labelled++;
        }
    }
    return labelled;
}
