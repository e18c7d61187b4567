/* QEMU TCG plugin: counts the instructions of each call of a function, from its first instruction to its return,
 * and how often each address was executed. It works in QEMU's system mode and in its user mode.
 *
 *     -plugin es_count_steps.so,step=ADDRESS,begin=ADDRESS,end=ADDRESS,window=CALLS,out=FILE
 *
 * step: address of the function. It has returned when the instruction behind its call runs. All code is in [begin,
 * end). out: one count per line, in the order of the calls; then a line "ADDRESS TIMES" for each address that was
 * executed during calls window + 1 to 2 * window. The plugin interface, version 1, is
 * declared here, so that no header of QEMU is needed. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_t)(plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*executed_t)(unsigned int cpu, void *data);
typedef void (*ended_t)(plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id_t id, translated_t callback);
void qemu_plugin_register_atexit_cb(plugin_id_t id, ended_t callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, executed_t callback, int registers,
                                            void *data);
int qemu_plugin_install(plugin_id_t id, const void *info, int argc, char **argv);
extern int qemu_plugin_version;

enum { NO_REGISTERS = 0 };

int qemu_plugin_version = 1;
static uint64_t step, begin, end, window;
static uint64_t calls, instructions;
static uint64_t latest;        /* address of the instruction before this one */
static uint64_t back;          /* where the function returns to */
static uint64_t *times;        /* [end - begin], executions during the second window */
static unsigned char *lengths; /* [end - begin], bytes of the instruction at an address */
static int stepping;
static FILE *out;

static int is_code(uint64_t address)
{
    return begin <= address && address < end;
}

static void on_executed(unsigned int cpu, void *data)
{
    const uint64_t address = (uint64_t)(uintptr_t)data;
    (void)cpu;
    if (address == step && !stepping && is_code(latest)) {
        stepping = 1;
        instructions = 0;
        calls++;
        back = latest + lengths[latest - begin];
    }
    if (stepping && address == back) {
        fprintf(out, "%" PRIu64 "\n", instructions);
        stepping = 0;
    }
    if (stepping) {
        instructions++;
        if (window < calls && calls <= 2 * window && is_code(address)) {
            times[address - begin]++;
        }
    }
    latest = address;
}

static void on_translated(plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t index;
    (void)id;
    for (index = 0; index < qemu_plugin_tb_n_insns(block); index++) {
        struct qemu_plugin_insn *const one = qemu_plugin_tb_get_insn(block, index);
        const uint64_t address = qemu_plugin_insn_vaddr(one);
        if (is_code(address)) {
            lengths[address - begin] = (unsigned char)qemu_plugin_insn_size(one);
        }
        qemu_plugin_register_vcpu_insn_exec_cb(one, on_executed, NO_REGISTERS, (void *)(uintptr_t)address);
    }
}

static void on_end(plugin_id_t id, void *data)
{
    uint64_t at;
    (void)id;
    (void)data;
    for (at = 0; at < end - begin; at++) {
        if (times[at] > 0) {
            fprintf(out, "%" PRIu64 " %" PRIu64 "\n", begin + at, times[at]);
        }
    }
    fclose(out);
}

static uint64_t *place_of(const char *name)
{
    static const char *const names[] = {"step", "begin", "end", "window"};
    static uint64_t *const places[] = {&step, &begin, &end, &window};
    size_t index;
    for (index = 0; index < sizeof names / sizeof names[0]; index++) {
        if (strcmp(name, names[index]) == 0) {
            return places[index];
        }
    }
    return NULL;
}

int qemu_plugin_install(plugin_id_t id, const void *info, int argc, char **argv)
{
    int index;
    (void)info;
    for (index = 0; index < argc; index++) {
        char *value = strchr(argv[index], '=');
        if (value == NULL) {
            return -1;
        }
        *value++ = 0;
        if (strcmp(argv[index], "out") == 0) {
            out = fopen(value, "w");
        } else if (place_of(argv[index]) != NULL) {
            *place_of(argv[index]) = strtoull(value, NULL, 0);
        } else {
            return -1;
        }
    }
    times = end > begin ? calloc((size_t)(end - begin), sizeof *times) : NULL;
    lengths = end > begin ? calloc((size_t)(end - begin), sizeof *lengths) : NULL;
    if (out == NULL || times == NULL || lengths == NULL) {
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
