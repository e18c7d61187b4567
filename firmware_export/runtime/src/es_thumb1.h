/* Dot products for parts with 16-bit Thumb only (Cortex-M0, M0+), as assembly text.
 *
 * Eight registers support all arithmetic. Six more can only be added to, so these hold the sums of the rows:
 *     r0, r1    two fine operands, or features      r4, r5    weights         r8 - r11  sums of the rows
 *     r2, r3    two coarse operands                 r6        address of the operands
 *     r12       where the operands end              r7        address of the weights
 * Four loaded operands then serve four rows. Operands, features and weights are read as words. KERNELS.md explains
 * the design. */
#ifndef ES_THUMB1_H
#define ES_THUMB1_H

/* One row of a pair: 7 instructions for 2 products. */
#define ES_THUMB1_PAIR_ROW(sum)                                                                  \
    "ldm r7!, {r4}\n\t"                                                                          \
    "sxth r5, r4\n\tmuls r5, r0, r5\n\tadd " sum ", r5\n\t"                                      \
    "asrs r4, r4, #16\n\tmuls r4, r1, r4\n\tadd " sum ", r4\n\t"

/* One row of a quad: 13 instructions for 4 products. */
#define ES_THUMB1_QUAD_ROW(sum)                                                                  \
    "ldm r7!, {r4}\n\t"                                                                          \
    "sxtb r5, r4\n\tmuls r5, r0, r5\n\tadd " sum ", r5\n\t"                                      \
    "sxth r5, r4\n\tmuls r5, r2, r5\n\tadd " sum ", r5\n\t"                                      \
    "asrs r4, r4, #16\n\t"                                                                       \
    "sxtb r5, r4\n\tmuls r5, r1, r5\n\tadd " sum ", r5\n\t"                                      \
    "muls r4, r3, r4\n\tadd " sum ", r4\n\t"

#define ES_THUMB1_LOAD_PAIR "ldm r6!, {r0}\n\tasrs r1, r0, #16\n\tsxth r0, r0\n\t"
#define ES_THUMB1_LOAD_QUAD                                                                      \
    "ldm r6!, {r0, r2}\n\tasrs r1, r0, #16\n\tsxth r0, r0\n\tasrs r3, r2, #16\n\tsxth r2, r2\n\t"
#define ES_THUMB1_UNTIL_END(label) "cmp r6, r12\n\tbne " label "\n\t"

#define ES_THUMB1_SAVE                                                                           \
    "push {r4-r7, lr}\n\tmov r4, r8\n\tmov r5, r9\n\tmov r6, r10\n\tmov r7, r11\n\tpush {r4-r7}\n\t"
#define ES_THUMB1_RESTORE                                                                        \
    "mov r0, r7\n\tpop {r4-r7}\n\tmov r8, r4\n\tmov r9, r5\n\tmov r10, r6\n\tmov r11, r7\n\tpop {r4-r7, pc}\n\t"

#endif
