#ifndef @MODEL@_EXAMPLE_H
#define @MODEL@_EXAMPLE_H

#include "main.h" /* of the project; it includes the HAL */

/* Replays the windows of the self-test through the model, and sends each answer as a line of text. Returns 0 if the
 * self-test passes. */
int @model@_example(UART_HandleTypeDef *uart);

#endif
