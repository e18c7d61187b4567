/* What a compiler or a part may need to be told, in one place. The defaults suit every part that reads constants and
 * variables alike (all Cortex-M, RISC-V, hosts). Define any of these before this header is read, for example with -D. */
#ifndef ES_PORT_H
#define ES_PORT_H

/* Qualifier of large constant tables, in their definitions and in pointers to them. On AVR it is __flash where the
 * compiler knows that word, which gcc does with -std=gnu99: without, tables and weights take RAM. Pointers of __flash
 * have 16 bits, so tables and weights must lie in the first 64 kB of the flash; avr-gcc's linker scripts put them
 * first. C++ has no __flash and may only pass such pointers on. */
#ifndef ES_ROM
#ifdef __FLASH
#define ES_ROM __flash
#else
#define ES_ROM
#endif
#endif

/* How one value of such a table is read; `address` points to it. */
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

/* Weights begin at a multiple of four bytes where the compiler can be asked for it: fast kernels read whole words.
 * The plain C works without. */
#ifndef ES_WORD_ALIGNED
#if defined(__GNUC__) || defined(__clang__)
#define ES_WORD_ALIGNED __attribute__((aligned(4)))
#else
#define ES_WORD_ALIGNED
#endif
#endif

#endif
