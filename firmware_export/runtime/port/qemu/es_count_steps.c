/* QEMU TCG plugin: how many instructions each call of a function takes, from its first to its return.
 *
 *     -plugin es_count_steps.so,step=ADDRESS,from=ADDRESS,to=ADDRESS,out=FILE
 *
 * step: of the function. It has returned as soon as an instruction of the harness runs, which lies in [from, to). out:
 * one count a line, in the order of the calls. Interface version 1 of plugins, declared here so that no header of QEMU
 * is needed. */
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
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation, void *to,
                                                uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, executed_t callback, int registers,
                                            void *data);
int qemu_plugin_install(plugin_id_t id, const void *info, int argc, char **argv);
extern int qemu_plugin_version;

enum { NO_REGISTERS = 0, ADD = 0 };

int qemu_plugin_version = 1;
static uint64_t instructions, step, from, to;
static int stepping;
static FILE *out;

static void on_step(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    instructions = 1; /* this one; it is not added inline, as the order of the two is not told */
    stepping = 1;
}

static void on_harness(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (stepping) {
        fprintf(out, "%" PRIu64 "\n", instructions);
        stepping = 0;
    }
}

static void on_translated(plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t index;
    (void)id;
    for (index = 0; index < qemu_plugin_tb_n_insns(block); index++) {
        struct qemu_plugin_insn *const one = qemu_plugin_tb_get_insn(block, index);
        const uint64_t address = qemu_plugin_insn_vaddr(one);
        if (address == step) {
            qemu_plugin_register_vcpu_insn_exec_cb(one, on_step, NO_REGISTERS, NULL);
        } else if (from <= address && address < to) {
            qemu_plugin_register_vcpu_insn_exec_cb(one, on_harness, NO_REGISTERS, NULL);
        } else {
            qemu_plugin_register_vcpu_insn_exec_inline(one, ADD, &instructions, 1);
        }
    }
}

static void on_end(plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    fclose(out);
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
        if (strcmp(argv[index], "step") == 0) {
            step = strtoull(value, NULL, 0);
        } else if (strcmp(argv[index], "from") == 0) {
            from = strtoull(value, NULL, 0);
        } else if (strcmp(argv[index], "to") == 0) {
            to = strtoull(value, NULL, 0);
        } else if (strcmp(argv[index], "out") == 0) {
            out = fopen(value, "w");
        } else {
            return -1;
        }
    }
    if (out == NULL) {
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
