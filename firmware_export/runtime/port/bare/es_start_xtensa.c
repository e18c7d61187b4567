/* Start code for Xtensa with the call0 interface: sets up the stack, data and zeros, and calls main. */
#include "es_mail.h"

extern uint32_t es_data_load[], es_data_start[], es_data_end[], es_zero_start[], es_zero_end[];

void es_start_in_c(void);

/* At the lowest address, where the core starts. The address of the stack is a literal, which lies before its use. */
__asm__(".section .vectors, \"ax\"\n"
        ".global es_start\n"
        ".type es_start, @function\n"
        "es_start:\n"
        "    j 1f\n"
        "    .literal_position\n"
        "1:  movi a1, es_stack_top\n"
        "    movi a0, es_start_in_c\n"
        "    jx a0\n"
        ".size es_start, . - es_start\n"
        ".previous\n");

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
