/* es_lstm.c for parts with 16-bit Thumb only (Cortex-M0, M0+). It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_THUMB1
#include "edge_seq.h"
#include "es_operands.h"
#include "es_thumb1.h"

/* Parameters of the kernel, which copies them to the stack. The numbers are offsets in bytes. */
typedef struct {
    const int16_t *below;      /* 0: features, or operands of the layer below */
    const int16_t *below_end;  /* 4 */
    const int16_t *own;        /* 8 */
    const int16_t *own_end;    /* 12 */
    uint32_t below_quads;      /* 16: 0 if the input is features */
    const es_block_t *block;   /* 20 */
    int16_t *cell;             /* 24 */
    const int16_t *cell_end;   /* 28 */
    uint32_t to_hidden;        /* 32: bytes from the cell state to the hidden values, Q15 */
    const int32_t *table;      /* 36 */
    uint32_t product_shift;    /* 40: 15 - cell_frac_bits */
    uint32_t argument_shift;   /* 44: 16 - cell_frac_bits */
} frame_t;

typedef char frame_has_12_words[sizeof(frame_t) == 48 ? 1 : -1];

/* Computes floor(sum m / 2^16) in r0. r6: multipliers. */
#define MULW(sum, offset)                                                                        \
    "mov r0, " sum "\n\tldrh r1, [r6, #" offset "]\n\tasrs r2, r0, #16\n\tuxth r0, r0\n\t"       \
    "muls r2, r1, r2\n\tmuls r0, r1, r0\n\tlsrs r0, r0, #16\n\tadds r0, r0, r2\n\t"

/* Computes tanh of r0 in the upper half of r0. r5: table. Both ends of the table are flat, so saturating the index is
 * enough. */
#define TANH                                                                                     \
    "asrs r1, r0, #12\n\tcmp r1, #255\n\tbls 9f\n\tmvns r1, r1\n\tasrs r1, r1, #31\n\tuxtb r1, r1\n" \
    "9:\n\tlsls r1, r1, #2\n\tldr r1, [r5, r1]\n\tlsls r0, r0, #20\n\tlsrs r0, r0, #20\n\t"      \
    "uxth r2, r1\n\tmuls r0, r2, r0\n\tadds r0, r0, r1\n\t"
#define SIGMOID TANH "asrs r0, r0, #17\n\tadds r0, r0, r4\n\t" /* r4 is 2^14 */

/* All units. Between the dot products only r7, the address of the weights, is kept. */
static __attribute__((naked, noinline)) void es_lstm_units(const frame_t *frame __attribute__((unused)),
                                                           const int16_t *weights __attribute__((unused)))
{
    __asm__ volatile(
        ".syntax unified\n\t"
        ES_THUMB1_SAVE
        "mov r12, r1\n\t"
        "movs r1, r0\n\tadds r1, #24\n\tldm r1!, {r2-r7}\n\tpush {r2-r7}\n\t"
        "ldm r0!, {r2-r7}\n\tpush {r2-r7}\n\t"
        "mov r7, r12\n"
        "1:\n\t"
        "ldr r6, [sp, #20]\n\tldm r6!, {r0-r3}\n\tstr r6, [sp, #20]\n\t"
        "mov r8, r0\n\tmov r9, r1\n\tmov r10, r2\n\tmov r11, r3\n\t"
        "ldr r6, [sp, #0]\n\tldr r0, [sp, #4]\n\tmov r12, r0\n\t"
        "ldr r0, [sp, #16]\n\tcmp r0, #0\n\tbne 4f\n"
        "2:\n\t"
        ES_THUMB1_LOAD_PAIR
        ES_THUMB1_PAIR_ROW("r8") ES_THUMB1_PAIR_ROW("r9") ES_THUMB1_PAIR_ROW("r10") ES_THUMB1_PAIR_ROW("r11")
        ES_THUMB1_UNTIL_END("2b")
        "3:\n\tldr r6, [sp, #8]\n\tldr r0, [sp, #12]\n\tmov r12, r0\n"
        "4:\n\t"
        ES_THUMB1_LOAD_QUAD
        ES_THUMB1_QUAD_ROW("r8") ES_THUMB1_QUAD_ROW("r9") ES_THUMB1_QUAD_ROW("r10") ES_THUMB1_QUAD_ROW("r11")
        ES_THUMB1_UNTIL_END("4b")
        "ldr r0, [sp, #12]\n\tcmp r12, r0\n\tbne 3b\n\t"); /* repeat: these were the operands of the layer below */
    __asm__ volatile( /* continues; split in two, as C99 guarantees strings of only 4,095 characters */
        "ldr r6, [sp, #20]\n\tldr r5, [sp, #36]\n\tmovs r4, #1\n\tlsls r4, r4, #14\n\t"
        MULW("r10", "4") TANH "asrs r3, r0, #16\n\t"
        MULW("r8", "0") SIGMOID "muls r3, r0, r3\n\tldr r0, [sp, #40]\n\tasrs r3, r3, r0\n\t"
        MULW("r9", "2") SIGMOID
        "ldr r1, [sp, #24]\n\tmovs r2, #0\n\tldrsh r2, [r1, r2]\n\tmuls r0, r2, r0\n\t"
        "adds r3, r3, r0\n\tadds r3, r3, r4\n\tasrs r3, r3, #15\n\t"
        "sxth r0, r3\n\tcmp r0, r3\n\tbeq 5f\n\t" /* else saturate: 2^15 - 1, or its complement */
        "asrs r3, r3, #31\n\tlsls r0, r4, #1\n\tsubs r0, #1\n\teors r3, r0\n"
        "5:\n\tstrh r3, [r1]\n\t"
        "ldr r1, [sp, #44]\n\tlsls r3, r3, r1\n\tlsls r0, r4, #5\n\tadds r0, r0, r3\n\t"
        TANH "asrs r3, r0, #16\n\t"
        MULW("r11", "6") SIGMOID "muls r0, r3, r0\n\tasrs r0, r0, #15\n\t"
        "ldr r1, [sp, #24]\n\tldr r2, [sp, #32]\n\tstrh r0, [r1, r2]\n\t"
        "adds r1, #2\n\tstr r1, [sp, #24]\n\tadds r6, #8\n\tstr r6, [sp, #20]\n\t"
        "ldr r2, [sp, #28]\n\tcmp r1, r2\n\tbeq 6f\n\tb 1b\n"
        "6:\n\tadd sp, #48\n\t"
        ES_THUMB1_RESTORE);
}

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    frame_t frame;
    unsigned unit;

    frame.below = below;
    frame.below_end = below + 2u * layer->wide_pairs + ES_QUAD * layer->below_quads; /* one of the two is 0 */
    frame.own = state;
    frame.own_end = cell;
    frame.below_quads = layer->below_quads;
    frame.block = layer->blocks;
    frame.cell = cell;
    frame.cell_end = cell + layer->hidden_size;
    frame.to_hidden = (uint32_t)scratch - (uint32_t)cell;
    frame.table = es_tanh_table;
    frame.product_shift = 15u - layer->cell_frac_bits;
    frame.argument_shift = ES_ARGUMENT_FRAC_BITS - layer->cell_frac_bits;
    es_lstm_units(&frame, layer->weights);
    for (unit = layer->hidden_size; unit % ES_QUAD != 0u; unit++) {
        scratch[unit] = 0;
    }
    for (unit = 0; unit < layer->hidden_size; unit += ES_QUAD) {
        state[unit] = scratch[unit];
        state[unit + 1u] = scratch[unit + 1u];
        state[unit + 2u] = es_operand(scratch[unit + 2u], 2u);
        state[unit + 3u] = es_operand(scratch[unit + 3u], 3u);
    }
}
#endif
