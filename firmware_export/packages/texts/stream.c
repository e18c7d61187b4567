/* Reads raw counts from stdin, a sample a line, and prints a label whenever one is due. */
#include <inttypes.h>
#include <stdio.h>

#include "@model@.h"
#include "@model@_golden.h"

int main(void)
{
    static @model@_memory_t memory; /* all the RAM that the model needs */
    int16_t counts[@MODEL@_NUM_CHANNELS];
    es_context_t *context;

    if (es_self_test(&@model@_golden, &memory, sizeof memory, NULL) != ES_OK ||
        es_init(&@model@_model, &memory, sizeof memory, &context) != ES_OK) {
        fputs("this build does not compute what the reference computes\n", stderr);
        return 1;
    }
    while (@scan@) {
        if (es_step(context, counts) == ES_LABEL_READY) {
            puts(@answer@);
        }
    }
    return 0;
}
