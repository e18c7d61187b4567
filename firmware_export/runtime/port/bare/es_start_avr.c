/* Start code for AVR: sets up the stack, data and zeros, and calls main. There are no vectors, as no interrupt is
 * enabled. */
#include "es_mail.h"

extern const ES_ROM uint8_t es_data_load[];
extern uint8_t es_data_start[], es_data_end[], es_zero_start[], es_zero_end[];

void es_start(void);
void es_start_in_c(void);

/* At address 0, where the core starts. The stack pointer is the address of the next free byte. */
__attribute__((naked, section(".vectors"), used)) void es_start(void)
{
    __asm__ volatile("clr __zero_reg__\n\t"
                     "out __SREG__, __zero_reg__\n\t"
                     "ldi r28, lo8(es_stack_top - 1)\n\t"
                     "ldi r29, hi8(es_stack_top - 1)\n\t"
                     "out __SP_H__, r29\n\t"
                     "out __SP_L__, r28\n\t"
                     "jmp es_start_in_c");
}

__attribute__((used)) void es_start_in_c(void)
{
    const ES_ROM uint8_t *from = es_data_load;
    volatile uint8_t *to;

    for (to = es_data_start; to < es_data_end; to++) {
        *to = *from;
        from++;
    }
    for (to = es_zero_start; to < es_zero_end; to++) {
        *to = 0;
    }
    (void)main();
}
