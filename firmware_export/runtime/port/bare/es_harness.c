/* Runs exported models on a bare machine, for comparison with the reference and for counting instructions. */
#include "es_mail.h"

#include "es_words.h"

es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;

static es_context_t *harness_context;
static uint32_t harness_step; /* samples since the context was reset */

static int harness_begin(const es_model_t *model)
{
    unsigned index;
    harness_step = 0;
    es_mail.status = (uint32_t)es_init(model, es_image_memory, es_image_memory_bytes, &harness_context);
    es_mail.row_words = (uint32_t)es_words_count(model);
    for (index = 0; index < ES_HASH_BYTES; index++) {
        es_mail.hash[index] = model->hash[index];
    }
    return es_mail.status == (uint32_t)ES_OK;
}

static void harness_run(const es_model_t *model)
{
    const size_t count_words = ((size_t)es_mail.steps * model->num_channels + 1u) / 2u;
    const int16_t *counts = es_mail_buffer.counts;
    int32_t *row = es_mail_buffer.words + count_words;
    uint32_t steps;

    for (steps = es_mail.steps; steps > 0; steps--) {
        int label_due;
        if (harness_step == es_mail.window_steps) {
            es_reset(harness_context);
            harness_step = 0;
        }
        es_words_begin(model, row);
        label_due = es_step(harness_context, counts) == ES_LABEL_READY;
        harness_step++;
        counts += model->num_channels;
        if (es_mail.keep) {
            es_words_put(harness_context, label_due, row);
            row += es_words_count(model);
        }
    }
}

int main(void)
{
    for (;;) {
        const es_model_t *model;
        es_mail_wait();
        if (es_mail.model >= es_image_num_models) {
            es_mail.status = (uint32_t)ES_ERROR_ARGUMENT;
            continue;
        }
        model = es_image_models[es_mail.model];
        if (!es_mail.begin || harness_begin(model)) {
            harness_run(model);
        }
    }
}
