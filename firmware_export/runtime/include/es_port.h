/* What a compiler or a part may need to be told, in one place. The defaults suit every part that reads constants and
 * variables alike (all Cortex-M, RISC-V, hosts). Define any of these before this header is read, for example with -D. */
#ifndef ES_PORT_H
#define ES_PORT_H

/* Qualifier of large constant tables, in their definitions and in pointers to them; for example __flash on AVR. */
#ifndef ES_ROM
#define ES_ROM
#endif

/* How one value of such a table is read; `address` points to it. */
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
