#include "@model@_example.h"

#include <string.h>

#include "@model@.h"
#include "@model@_golden.h"

#define SEND_TIMEOUT_MS 1000u

static @model@_memory_t memory; /* all the RAM that the model needs */

static void send(UART_HandleTypeDef *uart, const char *text)
{
    (void)HAL_UART_Transmit(uart, (const uint8_t *)text, (uint16_t)strlen(text), SEND_TIMEOUT_MS);
}

static void send_line(UART_HandleTypeDef *uart, const char *text)
{
    send(uart, text);
    send(uart, "\r\n");
}

int @model@_example(UART_HandleTypeDef *uart)
{
    int16_t counts[@MODEL@_NUM_CHANNELS];
    es_context_t *context;
    uint16_t window;
    uint16_t step;
    es_status_t status = es_self_test(&@model@_golden, &memory, sizeof memory, NULL);

    if (status == ES_OK) {
        status = es_init(&@model@_model, &memory, sizeof memory, &context);
    }
    send(uart, "@model@: ");
    send_line(uart, status == ES_OK ? "self-test passed" : es_status_text(status));
    if (status != ES_OK) {
        return 1;
    }
    for (window = 0; es_golden_sample(&@model@_golden, window, 0, counts); window++) {
        es_reset(context);
        for (step = 0; es_golden_sample(&@model@_golden, window, step, counts); step++) {
            if (es_step(context, counts) == ES_LABEL_READY) {
                send_line(uart, @answer@);
            }
        }
    }
    send_line(uart, "@model@: done");
    return 0;
}
