/* Start code for RISC-V: sets up the stack, data and zeros, and calls main. */
#include "es_mail.h"

extern uint32_t es_data_load[], es_data_start[], es_data_end[], es_zero_start[], es_zero_end[];

void es_start(void);
void es_start_in_c(void);

/* At the lowest address, where a core without a boot loader starts. */
__attribute__((naked, section(".vectors"), used)) void es_start(void)
{
    __asm__ volatile("la sp, es_stack_top\n\tj es_start_in_c");
}

__attribute__((used)) void es_start_in_c(void)
{
    const volatile uint32_t *from = es_data_load;
    volatile uint32_t *to;

    for (to = es_data_start; to < es_data_end; to++) {
        *to = *from++;
    }
    for (to = es_zero_start; to < es_zero_end; to++) {
        *to = 0;
    }
    (void)main();
}
