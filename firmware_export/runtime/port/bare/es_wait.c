/* The emulator stops at the first instruction and lets the function return; there is nothing to do here. */
#include "es_mail.h"

__attribute__((noinline)) void es_mail_wait(void)
{
    __asm__ volatile("" ::: "memory");
}
