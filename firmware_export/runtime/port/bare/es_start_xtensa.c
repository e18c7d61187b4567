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

/* The compiler's library leaves division to the ROM of the ESP8266, which the emulated core does not have. */
uint32_t __udivsi3(uint32_t dividend, uint32_t divisor);
uint32_t __umodsi3(uint32_t dividend, uint32_t divisor);

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor)
{
    uint32_t rest = 0;
    uint32_t quotient = 0;
    unsigned bit;
    for (bit = 32; bit != 0u; bit--) {
        const uint32_t carry = rest >> 31;
        rest = (rest << 1) | ((dividend >> (bit - 1u)) & 1u);
        quotient <<= 1;
        if (carry != 0u || rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    return quotient;
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor)
{
    return dividend - divisor * __udivsi3(dividend, divisor);
}
