/* Functions that compilers call implicitly. They access bytes through volatile, or compilers would turn the loops into
 * calls of the functions themselves. They are weak, so that a C library's versions take precedence. */
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
