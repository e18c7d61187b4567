/* Reads raw counts from stdin, a sample of three channels a line, and prints a label whenever one is due. */
#include <inttypes.h>
#include <stdio.h>

#include "car.h"
#include "car_golden.h"

int main(void)
{
    static car_memory_t memory; /* all the RAM that the model needs */
    int16_t counts[CAR_NUM_CHANNELS];
    es_context_t *context;

    if (es_self_test(&car_golden, &memory, sizeof memory, NULL) != ES_OK ||
        es_init(&car_model, &memory, sizeof memory, &context) != ES_OK) {
        fputs("this build does not compute what the reference computes\n", stderr);
        return 1;
    }
    while (scanf("%" SCNd16 "%" SCNd16 "%" SCNd16, &counts[0], &counts[1], &counts[2]) == 3) {
        if (es_step(context, counts) == ES_LABEL_READY) {
            puts(es_label_text(&car_model, es_label(context)));
        }
    }
    return 0;
}
