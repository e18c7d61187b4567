/* Selects the kernels to compile, for all files, from the compiler's description of the part. To override it,
 * define for example -DES_KERNEL=ES_KERNEL_PLAIN. All kernels compute the same integers; KERNELS.md says what each
 * costs. */
#ifndef ES_KERNEL_H
#define ES_KERNEL_H

#define ES_KERNEL_PLAIN 0  /* C99, for every part */
#define ES_KERNEL_DSP 1    /* Thumb-2 with dual 16-bit multiply-accumulate: Cortex-M4, M7, M33 */
#define ES_KERNEL_THUMB2 2 /* Thumb-2 without that instruction: Cortex-M3 */
#define ES_KERNEL_MVE 3    /* Helium: Cortex-M55, M85 */
#define ES_KERNEL_THUMB1 4 /* 16-bit Thumb: Cortex-M0, M0+ */
#define ES_KERNEL_AVX2 5   /* x86 hosts: eight units at once, convolutions and dense layers */
#define ES_KERNEL_NEON 6   /* Arm with NEON, 64 or 32 bits: four units of an LSTM or a GRU at once, rows of others */
#define ES_KERNEL_RISCV 7  /* RV32 with multiplication and 32 registers, little-endian */

#ifndef ES_KERNEL
#if defined(__AVX2__) && defined(__GNUC__) && !defined(ES_TRACE)
#define ES_KERNEL ES_KERNEL_AVX2
#elif defined(__ARM_NEON) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN) && !defined(ES_TRACE)
#define ES_KERNEL ES_KERNEL_NEON
#elif defined(__riscv_mul) && defined(__GNUC__) && __riscv_xlen == 32 && !defined(__riscv_32e) && !defined(ES_TRACE)
#define ES_KERNEL ES_KERNEL_RISCV
#elif defined(ES_TRACE) || !defined(__GNUC__) || !defined(__thumb__) || !defined(__ARM_ARCH_PROFILE)
#define ES_KERNEL ES_KERNEL_PLAIN
#elif __ARM_ARCH_PROFILE != 'M' || defined(__ARM_BIG_ENDIAN)
#define ES_KERNEL ES_KERNEL_PLAIN
#elif !defined(__thumb2__)
#define ES_KERNEL ES_KERNEL_THUMB1
#elif defined(__ARM_FEATURE_MVE)
#define ES_KERNEL ES_KERNEL_MVE
#elif defined(__ARM_FEATURE_DSP)
#define ES_KERNEL ES_KERNEL_DSP
#else
#define ES_KERNEL ES_KERNEL_THUMB2
#endif
#endif

/* True if the plain C of the cells is compiled, for all units or for those that a kernel leaves over. */
#define ES_PLAIN_CELLS (ES_KERNEL == ES_KERNEL_PLAIN || ES_UNITS_AT_ONCE)

/* True if a kernel steps several units of an LSTM or a GRU at once and leaves the remaining ones to the plain C. */
#define ES_UNITS_AT_ONCE (ES_KERNEL == ES_KERNEL_AVX2 || ES_KERNEL == ES_KERNEL_NEON)

/* True if the kernel has the activation table of es_tanh_dsp.c. */
#define ES_DSP_TABLE (!ES_PLAIN_CELLS && ES_KERNEL != ES_KERNEL_RISCV)

/* True if files of the kernel define the steps of RNN, GRU and LSTM with weights of 4 bits. */
#if (ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_THUMB1) && !defined(__OPTIMIZE_SIZE__)
#define ES_OWN_NIBBLES 1
#else
#define ES_OWN_NIBBLES 0
#endif

/* True if a file of the kernel defines es_rows4_wide and es_rows4_narrow, which the head and convolutions use, and plain
 * cells. */
#define ES_OWN_ROWS                                                                                         \
    (ES_KERNEL == ES_KERNEL_AVX2 || ES_KERNEL == ES_KERNEL_NEON || ES_KERNEL == ES_KERNEL_RISCV ||           \
     ES_KERNEL == ES_KERNEL_THUMB1 || ES_KERNEL == ES_KERNEL_DSP || ES_KERNEL == ES_KERNEL_MVE)

/* True if a file of the kernel defines es_rows4_wide_results and es_rows4_narrow_results, which convolutions and dense
 * layers use. */
#if defined(__OPTIMIZE_SIZE__)
#define ES_OWN_RESULTS (ES_KERNEL == ES_KERNEL_MVE || ES_KERNEL == ES_KERNEL_THUMB1)
#else
#define ES_OWN_RESULTS ES_OWN_ROWS
#endif

/* Blocks whose results they compute in one call: what a convolution and a dense layer keep on the stack. */
#if ES_KERNEL == ES_KERNEL_PLAIN || ES_KERNEL == ES_KERNEL_THUMB2
#define ES_RESULTS_BLOCKS 1u
#else
#define ES_RESULTS_BLOCKS 8u
#endif

#endif
