/* Settings for compilers and parts. The defaults suit every part that reads constants and variables in the same way
 * (all Cortex-M, RISC-V, hosts). To change one, define it before this header is included, for example with -D. */
#ifndef ES_PORT_H
#define ES_PORT_H

/* Qualifier of large constant tables, in their definitions and in pointers to them. On AVR it is __flash if the
 * compiler knows that keyword, as gcc does with -std=gnu99; otherwise tables and weights take RAM. __flash pointers
 * have 16 bits, so tables and weights must lie in the first 64 kB of the flash; avr-gcc's linker scripts put them
 * there. */
#ifndef ES_ROM
#ifdef __FLASH
#define ES_ROM __flash
#else
#define ES_ROM
#endif
#endif

/* 1: the contents of models and golden vectors are hidden, and the program passes only their addresses. C++ for AVR has
 * no __flash, so it would declare these types otherwise than the C that defines them. */
#ifndef ES_OPAQUE
#if defined(__cplusplus) && defined(__AVR__)
#define ES_OPAQUE 1
#else
#define ES_OPAQUE 0
#endif
#endif

/* Read one value of such a table; `address` points to it. */
#ifndef ES_ROM_INT8
#define ES_ROM_INT8(address) (*(address))
#endif
#ifndef ES_ROM_INT16
#define ES_ROM_INT16(address) (*(address))
#endif
#ifndef ES_ROM_INT32
#define ES_ROM_INT32(address) (*(address))
#endif
#ifndef ES_ROM_UINT16
#define ES_ROM_UINT16(address) (*(address))
#endif
#ifndef ES_ROM_UINT32
#define ES_ROM_UINT32(address) (*(address))
#endif

/* Aligns weights to four bytes, if the compiler has a way to say so: fast kernels read whole words. The plain C
 * does not need it. */
#ifndef ES_WORD_ALIGNED
#if defined(__GNUC__) || defined(__clang__)
#define ES_WORD_ALIGNED __attribute__((aligned(4)))
#else
#define ES_WORD_ALIGNED
#endif
#endif

#endif
