/* The functions that compilers call without being asked. Bytes through volatile, or the loops become calls of
 * themselves; weak, so that a C library's are taken where there is one. */
#include <stddef.h>

void *memset(void *to, int value, size_t count);
void *memcpy(void *to, const void *from, size_t count);

__attribute__((weak)) void *memset(void *to, int value, size_t count)
{
    volatile unsigned char *at = to;
    for (; count > 0; count--) {
        *at++ = (unsigned char)value;
    }
    return to;
}

__attribute__((weak)) void *memcpy(void *to, const void *from, size_t count)
{
    volatile unsigned char *at = to;
    const unsigned char *source = from;
    for (; count > 0; count--) {
        *at++ = *source++;
    }
    return to;
}
