/* A model on a UART of an STM32, with ST's HAL: a template, to be taken into the project that STM32CubeMX makes.
 *
 * 1. Define ES_STM32_HAL_HEADER as the part's header, for example -DES_STM32_HAL_HEADER='"stm32f4xx_hal.h"'.
 * 2. Turn the UART's interrupt on in CubeMX; call es_stm32_received from HAL_UART_RxCpltCallback, and
 *    es_stm32_failed from HAL_UART_ErrorCallback.
 * 3. After the peripherals are set up: es_stm32_begin; in the main loop: es_stm32_loop. */
#ifndef ES_STM32_HAL_H
#define ES_STM32_HAL_H

#include ES_STM32_HAL_HEADER

#include "es_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_STM32_RING_BYTES 512u /* a power of two; at least what comes while a step is computed */

typedef struct es_stm32 {
    UART_HandleTypeDef *uart;
    es_wire_port_t port;
    es_wire_setup_t setup;
    es_wire_t wire;
    volatile uint32_t written; /* bytes that came */
    uint32_t read;             /* bytes that were taken */
    volatile uint8_t ring[ES_STM32_RING_BYTES]; /* as `written`, or a compiler might read it before that */
    volatile int deaf;         /* the HAL refused to receive; es_stm32_loop asks again */
    uint8_t next;              /* where the interrupt puts the byte that comes */
} es_stm32_t;

/* setup: all but the port. sensor: see es_wire_port_t, or NULL. boot: another number at each start, for example of the
 * random number generator, or counted in a backup register. */
es_status_t es_stm32_begin(es_stm32_t *board, UART_HandleTypeDef *uart, const es_wire_setup_t *setup,
                           int (*sensor)(void *port, int16_t *counts, uint32_t *index), uint32_t boot);

void es_stm32_received(es_stm32_t *board);
void es_stm32_failed(es_stm32_t *board);
void es_stm32_loop(es_stm32_t *board);

#ifdef __cplusplus
}
#endif

#endif
