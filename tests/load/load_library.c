/* Loads blobs for tests, as a shared library: in memory of exactly the size that es_load asks for, so that a sanitizer
 * sees each access outside it. */
#include "es_load.h"

#include <stdlib.h>
#include <string.h>

int load_and_run(const uint8_t *bytes, size_t size, const uint8_t *expected, size_t expected_size, const int16_t *counts,
                 size_t steps, int self_test, int32_t *results);
const char *text_of(int status);

const char *text_of(int status)
{
    return es_status_text((es_status_t)status);
}

typedef struct held {
    uint8_t *blob;
    void *memory;
    const es_loaded_t *loaded;
} held_t;

static es_status_t hold(held_t *held, const uint8_t *bytes, size_t size, const es_expected_t *expected)
{
    const size_t room = (held->blob = malloc(size + 1u)) == NULL ? 0u : es_load_bytes(memcpy(held->blob, bytes, size), size);
    held->memory = malloc(room + 1u);
    return es_load(held->blob, size, expected, held->memory, room, &held->loaded);
}

static void release(held_t *held)
{
    free(held->blob);
    free(held->memory);
}

/* Loads a blob and runs `steps` samples [C]. results: for each step its state's CRC, its label and its first logit.
 * `expected` is a blob whose contract the other must have, or NULL. Returns an es_status_t. */
int load_and_run(const uint8_t *bytes, size_t size, const uint8_t *expected, size_t expected_size, const int16_t *counts,
                 size_t steps, int self_test, int32_t *results)
{
    held_t held;
    held_t other;
    es_expected_t contract;
    es_context_t *context;
    void *memory;
    es_status_t status;
    size_t step;

    if (expected != NULL) {
        if (hold(&other, expected, expected_size, NULL) != ES_OK) {
            return -1;
        }
        contract.model = &other.loaded->model;
        contract.contract = &other.loaded->contract;
    }
    status = hold(&held, bytes, size, expected != NULL ? &contract : NULL);
    if (status == ES_OK) {
        const es_model_t *const model = &held.loaded->model;
        memory = malloc(es_context_bytes(model));
        if (self_test != 0) {
            status = es_self_test(&held.loaded->golden, memory, es_context_bytes(model), NULL);
        }
        if (status == ES_OK && es_init(model, memory, es_context_bytes(model), &context) == ES_OK) {
            for (step = 0; step < steps; step++) {
                (void)es_step(context, counts + (step * model->num_channels) % 1024u);
                results[3u * step] = (int32_t)(es_state_crc(context) & 0x7FFFFFFFu);
                results[3u * step + 1u] = es_label(context);
                results[3u * step + 2u] = es_logits(context)[0];
            }
        }
        free(memory);
    }
    release(&held);
    if (expected != NULL) {
        release(&other);
    }
    return (int)status;
}
