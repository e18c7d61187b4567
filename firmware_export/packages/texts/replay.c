/* Replays the windows of the self-test through the model, and prints each answer. The self-test runs first: it compares
 * every state and label with the results of the reference. */
#include <stdio.h>

#include "@model@.h"
#include "@model@_golden.h"

static @model@_memory_t memory; /* all the RAM that the model needs */

static int replay(void)
{
    int16_t counts[@MODEL@_NUM_CHANNELS];
    es_context_t *context;
    uint16_t window;
    uint16_t step;
    es_status_t status = es_self_test(&@model@_golden, &memory, sizeof memory, NULL);

    if (status == ES_OK) {
        status = es_init(&@model@_model, &memory, sizeof memory, &context);
    }
    if (status != ES_OK) {
        printf("@model@: %s\n", es_status_text(status));
        return 1;
    }
    puts("@model@: self-test passed");
    for (window = 0; es_golden_sample(&@model@_golden, window, 0, counts); window++) {
        es_reset(context);
        for (step = 0; es_golden_sample(&@model@_golden, window, step, counts); step++) {
            if (es_step(context, counts) == ES_LABEL_READY) {
                puts(@answer@);
            }
        }
    }
    puts("@model@: done");
    return 0;
}

@entry@
