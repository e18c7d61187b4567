/* An emulated board: QEMU's mps2-an386, a Cortex-M4 with the UART, timer and SysTick of Arm's CMSDK. */
#include "es_board.h"
#include "es_cortex_m.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CONTROL REGISTER(0x40004008u)
#define UART_INTERRUPT REGISTER(0x4000400Cu)
#define UART_DIVIDER REGISTER(0x40004010u)
#define UART_SEND_FULL 1u
#define UART_HAS_BYTE 2u
#define UART_SEND_RECEIVE_INTERRUPT (1u | 2u | 8u)
#define UART_RECEIVED 2u

/* Timer 0 wakes the core for each sample. Timer 1 runs freely and tells how many samples there were, as a slow
 * emulator may merge several interrupts into one. */
#define TIMER_CONTROL REGISTER(0x40000000u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define TIMER_INTERRUPT REGISTER(0x4000000Cu)
#define TIMER_ON_WITH_INTERRUPT (1u | 8u)
#define CLOCK_CONTROL REGISTER(0x40001000u)
#define CLOCK_VALUE REGISTER(0x40001004u)
#define CLOCK_RELOAD REGISTER(0x40001008u)
#define CLOCK_ON 1u

#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define SYSTICK_ON (1u | 4u)
#define SYSTICK_MASK 0xFFFFFFu

#define INTERRUPT_ENABLE REGISTER(0xE000E100u)
#define UART_INTERRUPTS 1u
#define TIMER_INTERRUPTS (1u << 8)

/* QEMU is told to write a random number to the first word, and 1 to the third if time follows instructions. The second
 * counts starts, as nothing clears this memory. */
#define BOOT_RANDOM REGISTER(0x21000000u)
#define BOOT_COUNT REGISTER(0x21000004u)
#define COUNTS_INSTRUCTIONS REGISTER(0x21000008u)

#define CLOCK_HZ 25000000u
#define PAINT 0xA5A5A5A5u
#define RING_BYTES 8192u /* a power of two */

extern uint32_t es_stack_bottom[];

static struct {
    volatile uint32_t written; /* bytes put in the ring */
    volatile uint32_t read;    /* bytes taken from it */
    uint32_t given;            /* samples since the start */
    uint32_t taken;            /* samples fetched or lost */
    uint32_t period;           /* clocks from sample to sample */
    uint32_t since_sample;     /* clocks */
    uint32_t clock;
    uint32_t ticks;
    uint32_t systick;
    volatile uint8_t ring[RING_BYTES];
} board;

void es_on_timer(void);
void es_on_uart(void);
int main(void);

static void board_write(void *port, const uint8_t *bytes, size_t count)
{
    (void)port;
    for (; count > 0; count--) {
        while ((UART_STATE & UART_SEND_FULL) != 0u) {
        }
        UART_DATA = *bytes;
        bytes++;
    }
}

/* SysTick counts down 24 bits. It is read often enough, as a step takes less than the 0.67 s of one round. */
static uint32_t board_ticks(void)
{
    const uint32_t now = SYSTICK_VALUE;
    board.ticks += (board.systick - now) & SYSTICK_MASK;
    board.systick = now;
    return board.ticks;
}

static uint32_t board_measure(void *port, es_wire_measure_t what)
{
    const uint32_t *word = es_stack_bottom;
    (void)port;
    if (what == ES_WIRE_TICKS) {
        return board_ticks();
    }
    while (word < es_stack_top && *word == PAINT) {
        word++;
    }
    return (uint32_t)(word - es_stack_bottom) * 4u;
}

/* Samples since the start. */
static uint32_t board_given(void)
{
    const uint32_t now = CLOCK_VALUE;
    board.since_sample += board.clock - now; /* it counts down */
    board.clock = now;
    while (board.since_sample >= board.period) {
        board.since_sample -= board.period;
        board.given++;
    }
    return board.given;
}

static int board_sensor(void *port, int16_t *counts, uint32_t *index)
{
    (void)port;
    return es_board_sample(board_given(), &board.taken, counts, index);
}

void es_on_timer(void)
{
    TIMER_INTERRUPT = 1u;
}

void es_on_uart(void)
{
    UART_INTERRUPT = UART_RECEIVED; /* first: a byte that comes while others are read raises it again */
    while ((UART_STATE & UART_HAS_BYTE) != 0u) {
        const uint8_t byte = (uint8_t)UART_DATA;
        if (board.written - board.read < RING_BYTES) {
            board.ring[board.written % RING_BYTES] = byte;
            board.written++;
        }
    }
}

static void board_start(void)
{
    BOOT_COUNT = BOOT_COUNT + 1u;
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_ON;
    UART_DIVIDER = CLOCK_HZ / 115200u;
    UART_CONTROL = UART_SEND_RECEIVE_INTERRUPT;
    board.period = (uint32_t)((uint64_t)CLOCK_HZ * 1000u / es_board_recording.rate_millihz);
    CLOCK_RELOAD = 0xFFFFFFFFu;
    CLOCK_CONTROL = CLOCK_ON;
    board.clock = CLOCK_VALUE;
    TIMER_RELOAD = board.period - 1u;
    TIMER_CONTROL = TIMER_ON_WITH_INTERRUPT;
    INTERRUPT_ENABLE = UART_INTERRUPTS | TIMER_INTERRUPTS;
}

/* An interrupt between the test and the sleep ends the sleep, as it is pending then. */
static void board_sleep(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
    if (board.written == board.read && board_given() == board.taken) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

int main(void)
{
    static es_wire_t wire;
    static es_board_head_t learner;
    static es_wire_setup_t setup;
    static es_wire_port_t port = {.write = board_write,
                                  .measure = board_measure,
                                  .sensor = board_sensor,
                                  .board = "qemu mps2-an386",
                                  .ticks_hz = CLOCK_HZ};

    board_start();
    port.tick_unit = COUNTS_INSTRUCTIONS != 0u ? "SysTick 25 MHz; an instruction is 0.8" /* 32 ns */
                                               : "SysTick 25 MHz; emulated in host's time";
    port.boot = BOOT_RANDOM + BOOT_COUNT;
    setup = es_board_setup;
    setup.port = &port;
    if (es_board_begin(&wire, &setup, &learner) != ES_OK) {
        return 1;
    }
    for (;;) {
        while (board.written != board.read) {
            const uint8_t byte = board.ring[board.read % RING_BYTES];
            board.read++;
            es_wire_receive(&wire, byte);
        }
        if (wire.stream_flags == 0u) {
            board.taken = board_given();
        }
        es_wire_poll(&wire);
        board_sleep();
    }
}

void es_fault(void)
{
    for (;;) {
    }
}

void es_start(void)
{
    uint32_t *word, *here;

    es_prepare();
    __asm__ volatile("mov %0, sp" : "=r"(here)::"memory");
    for (word = es_stack_bottom; word < here; word++) {
        *(volatile uint32_t *)word = PAINT;
    }
    (void)main();
    es_fault();
}

extern const es_vector_t es_vectors[ES_VECTORS + 32];

__attribute__((section(".vectors"), used)) const es_vector_t es_vectors[ES_VECTORS + 32] = {
    ES_FIRST_VECTORS,
    [ES_VECTORS] = {.handler = es_on_uart},
    [ES_VECTORS + 8] = {.handler = es_on_timer},
};
