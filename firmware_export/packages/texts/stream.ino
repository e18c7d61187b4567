// Reads samples from the serial port, a line of raw counts each, and prints an answer whenever one is due. With a sensor
// on the board, read it in loop() at the rate of the contract instead, and call es_step with its counts.
#include <@model@.h>
#include <@model@_golden.h>

static @model@_memory_t memory; // all the RAM that the model needs
static es_context_t *context;
static int16_t counts[@MODEL@_NUM_CHANNELS];
static uint8_t channel; // the next one to be read
static int32_t number;
static bool negative, digits;

// Takes one character. Returns true if it completes a sample. Numbers that are too large end at the limits of int16_t.
static bool take(char character)
{
    if (character == '-') {
        negative = true;
        return false;
    }
    if (character >= '0' && character <= '9') {
        digits = true;
        number = number > 9999 ? 99999 : 10 * number + (character - '0');
        return false;
    }
    if (!digits) {
        return false;
    }
    number = negative ? -number : number;
    counts[channel] = (int16_t)(number > 32767 ? 32767 : number < -32768 ? -32768 : number);
    number = 0;
    negative = false;
    digits = false;
    channel = (uint8_t)(channel + 1 == @MODEL@_NUM_CHANNELS ? 0 : channel + 1);
    return channel == 0;
}

void setup()
{
    Serial.begin(115200);
    while (!Serial) {
    }
    es_status_t status = es_self_test(&@model@_golden, &memory, sizeof memory, NULL);
    if (status == ES_OK) {
        status = es_init(&@model@_model, &memory, sizeof memory, &context);
    }
    Serial.print("@model@: ");
    Serial.println(status == ES_OK ? "self-test passed" : es_status_text(status));
    if (status != ES_OK) {
        context = NULL;
    }
}

void loop()
{
    if (context == NULL || Serial.available() == 0 || !take((char)Serial.read())) {
        return;
    }
    if (es_step(context, counts) == ES_LABEL_READY) {
        Serial.println(@answer@);
    }
}
