/* Start code for Cortex-M: vectors; turns FPU and MVE on if the code is compiled for them, sets up data and zeros, and
 * calls main. */
#include "es_mail.h"

extern uint32_t es_stack_top[], es_data_load[], es_data_start[], es_data_end[], es_zero_start[], es_zero_end[];

void es_start(void);
void es_fault(void);

/* Emulators report a fault themselves; on a board, a debugger finds the core here. */
void es_fault(void)
{
    for (;;) {
    }
}

void es_start(void)
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
    (void)main();
}

typedef union es_vector {
    void (*handler)(void);
    const void *stack;
} es_vector_t;

extern const es_vector_t es_vectors[16];

__attribute__((section(".vectors"), used)) const es_vector_t es_vectors[16] = {
    {.stack = es_stack_top},
    {.handler = es_start},
    {.handler = es_fault}, /* NMI */
    {.handler = es_fault}, /* HardFault */
    {.handler = es_fault}, /* MemManage */
    {.handler = es_fault}, /* BusFault */
    {.handler = es_fault}, /* UsageFault */
};
