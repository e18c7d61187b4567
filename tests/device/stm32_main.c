/* Simulates the UART of an STM32 in a process: the template with a HAL that refuses, and interrupts at the worst
 * moments. Reads received bytes from standard input, and writes the board's bytes to standard output. */
#include "es_board.h"
#include "es_stm32_hal.h"

#include <stdio.h>

DWT_Type es_test_dwt;
CoreDebug_Type es_test_core_debug;
uint32_t SystemCoreClock = 168000000u;

static es_stm32_t board;
static UART_HandleTypeDef uart;
static uint8_t *listening; /* where the next byte goes; NULL while the HAL does not receive */
static uint32_t masked;
static int depth;          /* nesting depth of interrupts */
static uint32_t asked;

/* Delivers a received byte, if interrupts are on and the HAL receives. */
static void interrupt(void)
{
    int byte;
    if (masked != 0u || listening == NULL || (byte = getchar()) == EOF) {
        return;
    }
    *listening = (uint8_t)byte;
    listening = NULL;
    depth++;
    es_stm32_received(&board);
    depth--;
}

/* Every second time the HAL is busy in an interrupt; outside, a byte arrives before the function returns. */
HAL_StatusTypeDef HAL_UART_Receive_IT(UART_HandleTypeDef *huart, uint8_t *pData, uint16_t Size)
{
    asked++;
    if (huart != &uart || Size != 1u || listening != NULL || (depth > 0 && asked % 2u == 0u)) {
        return HAL_BUSY;
    }
    listening = pData;
    if (depth == 0) {
        interrupt();
    }
    return HAL_OK;
}

HAL_StatusTypeDef HAL_UART_Transmit(UART_HandleTypeDef *huart, const uint8_t *pData, uint16_t Size, uint32_t Timeout)
{
    (void)huart;
    (void)Timeout;
    return fwrite(pData, 1, Size, stdout) == Size ? HAL_OK : HAL_ERROR;
}

uint32_t __get_PRIMASK(void)
{
    return masked;
}

void __set_PRIMASK(uint32_t priMask)
{
    masked = priMask;
    interrupt();
}

void __disable_irq(void)
{
    masked = 1u;
}

int main(void)
{
    unsigned idle;
    if (es_stm32_begin(&board, &uart, &es_board_setup, NULL, 1u) != ES_OK) {
        return 1;
    }
    for (idle = 0; idle < 10000u; idle++) {
        es_stm32_loop(&board);
        interrupt();
    }
    return getchar() == EOF ? 0 : 2; /* 2: it does not receive any more */
}
