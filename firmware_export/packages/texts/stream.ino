// Reads samples from the serial port, a line of raw counts each, and prints an answer whenever one is due. With a sensor
// on the board, read it in loop() at the rate of the contract instead, and call es_step with its counts.
#include <@model@.h>
#include <@model@_golden.h>

static @model@_memory_t memory; // all the RAM that the model needs
static es_context_t *context;
static int16_t counts[@MODEL@_NUM_CHANNELS];
static uint16_t found; // counts in this line so far
static int32_t number;
static bool negative, digits, odd; // odd: the line holds something that is no count

// Takes one character. Returns true at the end of a line with a count for each channel. Other lines are left out, so that
// a number that is lost on the way costs its own sample only. Numbers that are too large end at the limits of int16_t.
static bool take(char character)
{
    if (character >= '0' && character <= '9') {
        digits = true;
        number = number > 9999 ? 99999 : 10 * number + (character - '0');
        return false;
    }
    if (character == '-' && !negative && !digits) {
        negative = true;
        return false;
    }
    if (digits) {
        number = negative ? -number : number;
        if (found < @MODEL@_NUM_CHANNELS) {
            counts[found] = (int16_t)(number > 32767 ? 32767 : number < -32768 ? -32768 : number);
        }
        found = (uint16_t)(found > @MODEL@_NUM_CHANNELS ? found : found + 1);
    }
    odd = odd || (negative && !digits) || strchr(" \t,;\r\n", character) == NULL;
    number = 0;
    negative = false;
    digits = false;
    if (character != '\n') {
        return false;
    }
    const bool whole = !odd && found == @MODEL@_NUM_CHANNELS;
    if (!whole && (odd || found > 0)) {
        Serial.println("a line is left out: it does not hold one count for each channel");
    }
    found = 0;
    odd = false;
    return whole;
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
