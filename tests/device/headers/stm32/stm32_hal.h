/* What of ST's HAL and CMSIS the port uses, so that it can be compiled without them. */
#ifndef STM32_HAL_H
#define STM32_HAL_H

#include <stdint.h>

typedef enum { HAL_OK = 0, HAL_ERROR = 1, HAL_BUSY = 2, HAL_TIMEOUT = 3 } HAL_StatusTypeDef;
typedef struct {
    void *Instance;
} UART_HandleTypeDef;
typedef struct {
    volatile uint32_t CTRL, CYCCNT;
} DWT_Type;
typedef struct {
    volatile uint32_t DEMCR;
} CoreDebug_Type;

extern DWT_Type es_test_dwt;
extern CoreDebug_Type es_test_core_debug;
extern uint32_t SystemCoreClock;

#define DWT (&es_test_dwt)
#define CoreDebug (&es_test_core_debug)
#define CoreDebug_DEMCR_TRCENA_Msk (1uL << 24)
#define DWT_CTRL_CYCCNTENA_Msk 1uL

uint32_t __get_PRIMASK(void);
void __set_PRIMASK(uint32_t priMask);
void __disable_irq(void);

HAL_StatusTypeDef HAL_UART_Transmit(UART_HandleTypeDef *huart, const uint8_t *pData, uint16_t Size, uint32_t Timeout);
HAL_StatusTypeDef HAL_UART_Receive_IT(UART_HandleTypeDef *huart, uint8_t *pData, uint16_t Size);

#endif
