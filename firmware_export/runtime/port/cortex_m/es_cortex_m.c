/* Start-up of an image for any Cortex-M, and semihosting. No library is needed. */
#include "es_semihosting.h"

#define SEMIHOSTING_WRITE_TEXT 0x04u
#define SEMIHOSTING_EXIT_EXTENDED 0x20u
#define EXIT_BY_APPLICATION 0x20026u

/* Coprocessor access: full for 10 and 11, floating point and MVE. */
#define COPROCESSOR_ACCESS (*(volatile uint32_t *)0xE000ED88u)
#define COPROCESSORS_10_11 0x00F00000u

extern uint32_t es_port_data_image[], es_port_data[], es_port_data_end[], es_port_bss[], es_port_bss_end[];
extern uint32_t es_port_stack_top[];

int main(void);
void es_port_reset(void);
void *memset(void *to, int value, unsigned count);
void *memcpy(void *to, const void *from, unsigned count);

/* What gcc makes of some loops. volatile, or these loops become calls of themselves. */
void *memset(void *to, int value, unsigned count)
{
    volatile unsigned char *at = to;
    for (; count > 0; count--) {
        *at++ = (unsigned char)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, unsigned count)
{
    volatile unsigned char *at = to;
    const unsigned char *source = from;
    for (; count > 0; count--) {
        *at++ = *source++;
    }
    return to;
}

static uint32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t result __asm__("r0") = operation;
    register const void *block __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(result) : "r"(block) : "memory");
    return result;
}

void es_port_text(const char *text)
{
    semihosting(SEMIHOSTING_WRITE_TEXT, text);
}

void es_port_number(uint32_t number)
{
    char digits[11];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10u);
        number /= 10u;
    } while (number > 0);
    es_port_text(at);
}

void es_port_exit(int code)
{
    const uint32_t block[2] = {EXIT_BY_APPLICATION, (uint32_t)code};
    for (;;) {
        semihosting(SEMIHOSTING_EXIT_EXTENDED, block);
    }
}

static void fault(void)
{
    es_port_text("fault\n");
    es_port_exit(1);
}

void es_port_reset(void)
{
    volatile uint32_t *to;
    const uint32_t *from = es_port_data_image;
    for (to = es_port_data; to < es_port_data_end; to++) {
        *to = *from++;
    }
    for (to = es_port_bss; to < es_port_bss_end; to++) {
        *to = 0;
    }
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    COPROCESSOR_ACCESS |= COPROCESSORS_10_11;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    es_port_exit(main());
}

/* Stack, reset, and the faults and interrupts that have fixed numbers. */
typedef struct {
    const void *stack;
    void (*handlers[15])(void);
} vectors_t;

extern const vectors_t es_port_vectors;
__attribute__((section(".es_port_vectors"), used)) const vectors_t es_port_vectors = {
    es_port_stack_top,
    {es_port_reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, fault},
};
