#include "es_stm32_hal.h"

#define WRITE_TIMEOUT_MS 1000u

static void stm32_write(void *port, const uint8_t *bytes, size_t count)
{
    const es_stm32_t *const board = port;
    if (count > 0u) {
        (void)HAL_UART_Transmit(board->uart, bytes, (uint16_t)count, WRITE_TIMEOUT_MS);
    }
}

static uint32_t stm32_measure(void *port, es_wire_measure_t what)
{
    (void)port;
    return what == ES_WIRE_TICKS ? DWT->CYCCNT : ES_WIRE_UNKNOWN;
}

/* Call in an interrupt, or with interrupts off. The HAL may be busy, for example while it sends; es_stm32_loop then
 * tries again, or nothing more would be received. It is also busy if an error left it receiving; the next byte then
 * clears the flag, and failed attempts until then do no harm. */
static void stm32_listen(es_stm32_t *board)
{
    board->deaf = HAL_UART_Receive_IT(board->uart, &board->next, 1) != HAL_OK;
}

/* Call outside of interrupts. With interrupts on, a byte could arrive after the HAL listens and before the flag is
 * stored. If the HAL then refused the interrupt's own request, the flag that the interrupt sets would be
 * overwritten, and nothing would ever be received again. */
static void stm32_listen_alone(es_stm32_t *board)
{
    const uint32_t mask = __get_PRIMASK();
    __disable_irq();
    stm32_listen(board);
    __set_PRIMASK(mask);
}

es_status_t es_stm32_begin(es_stm32_t *board, UART_HandleTypeDef *uart, const es_wire_setup_t *setup,
                           int (*sensor)(void *port, int16_t *counts, uint32_t *index), uint32_t boot)
{
    es_status_t status;

    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CYCCNT = 0;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;

    board->uart = uart;
    board->written = 0;
    board->read = 0;
    board->deaf = 0;
    board->port.port = board;
    board->port.write = stm32_write;
    board->port.measure = stm32_measure;
    board->port.sensor = sensor;
    board->port.board = "stm32";
    board->port.tick_unit = "DWT cycles";
    board->port.ticks_hz = SystemCoreClock;
    board->port.boot = boot;
    board->setup = *setup;
    board->setup.port = &board->port;
    status = es_wire_init(&board->wire, &board->setup);
    if (status == ES_OK) {
        stm32_listen_alone(board);
    }
    return status;
}

void es_stm32_received(es_stm32_t *board)
{
    /* If the ring is full, a new byte overwrites an old one. Its frame then fails its checksum, and the host sends
     * it again. */
    board->ring[board->written % ES_STM32_RING_BYTES] = board->next;
    board->written++;
    stm32_listen(board);
}

void es_stm32_failed(es_stm32_t *board)
{
    stm32_listen(board);
}

void es_stm32_loop(es_stm32_t *board)
{
    if (board->deaf) {
        stm32_listen_alone(board);
    }
    while (board->written != board->read) {
        const uint8_t byte = board->ring[board->read % ES_STM32_RING_BYTES];
        board->read++;
        es_wire_receive(&board->wire, byte);
    }
    es_wire_poll(&board->wire);
}
