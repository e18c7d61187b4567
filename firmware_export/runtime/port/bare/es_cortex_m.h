/* Start of a Cortex-M: its vector table, and what is done before main. */
#ifndef ES_CORTEX_M_H
#define ES_CORTEX_M_H

#include <stdint.h>

extern uint32_t es_stack_top[], es_data_load[], es_data_start[], es_data_end[], es_zero_start[], es_zero_end[];

void es_start(void);
void es_fault(void);

typedef union es_vector {
    void (*handler)(void);
    const void *stack;
} es_vector_t;

#define ES_VECTORS 16 /* the interrupts of a chip follow these */

/* Entries of the table that have a use, from the first. */
/* clang-format off */
#define ES_FIRST_VECTORS                  \
    {.stack = es_stack_top},              \
    {.handler = es_start},                \
    {.handler = es_fault}, /* NMI */      \
    {.handler = es_fault}, /* HardFault */ \
    {.handler = es_fault}, /* MemManage */ \
    {.handler = es_fault}, /* BusFault */ \
    {.handler = es_fault}  /* UsageFault */
/* clang-format on */

/* Turns FPU and MVE on if the code is compiled for them, and sets up data and zeros. */
static inline void es_prepare(void)
{
    const volatile uint32_t *from = es_data_load;
    volatile uint32_t *to;

#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    volatile uint32_t *const coprocessor_access = (volatile uint32_t *)0xE000ED88u; /* CPACR */
    *coprocessor_access |= (uint32_t)0xF << 20;                                    /* CP10 and CP11 */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    for (to = es_data_start; to < es_data_end; to++) {
        *to = *from++;
    }
    for (to = es_zero_start; to < es_zero_end; to++) {
        *to = 0;
    }
}

#endif
