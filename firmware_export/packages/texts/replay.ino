// Replays the windows of the self-test through the model, and prints each answer on the serial port. The self-test runs
// first: it compares every state and label with the results of the reference.
#include <@model@.h>
#include <@model@_golden.h>

static @model@_memory_t memory; // all the RAM that the model needs
static es_context_t *context;

void setup()
{
    Serial.begin(115200);
    while (!Serial) {
    }
    es_status_t status = es_self_test(&@model@_golden, &memory, sizeof memory, NULL);
    if (status == ES_OK) {
        status = es_init(&@model@_model, &memory, sizeof memory, &context);
    }
    if (status != ES_OK) {
        Serial.print("@model@: ");
        Serial.println(es_status_text(status));
        return;
    }
    Serial.println("@model@: self-test passed");
    int16_t counts[@MODEL@_NUM_CHANNELS];
    for (uint16_t window = 0; es_golden_sample(&@model@_golden, window, 0, counts); window++) {
        es_reset(context);
        for (uint16_t step = 0; es_golden_sample(&@model@_golden, window, step, counts); step++) {
            if (es_step(context, counts) == ES_LABEL_READY) {
                Serial.println(@answer@);
            }
        }
    }
    Serial.println("@model@: done");
}

void loop()
{
}
