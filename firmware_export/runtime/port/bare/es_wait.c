/* The emulator stops at the first instruction of this function and then lets it return; the function does nothing. */
#include "es_mail.h"

__attribute__((noinline)) void es_mail_wait(void)
{
    __asm__ volatile("" ::: "memory");
}
