/* QEMU TCG plugin (API version 1; declared here, so that no header of QEMU is needed): how often each instruction ran
 * between two marker functions.   -plugin count_plugin.so,begin=ADDRESS,end=ADDRESS,out=FILE
 * Writes "address count" a line, in hexadecimal and decimal. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*executed_t)(unsigned int cpu, void *data);
typedef void (*ended_t)(qemu_plugin_id_t id, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_t callback);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ended_t callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int add, void *to, uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, executed_t callback, int registers,
                                            void *data);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);
extern int qemu_plugin_version;

#define CODE_BYTES (4u << 20) /* code is looked for in the first 4 MB */

int qemu_plugin_version = 1;
static uint64_t counts[CODE_BYTES / 2], kept[CODE_BYTES / 2], begin, end;
static char path[4096];

static void on_begin(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    memset(counts, 0, sizeof counts);
}

static void on_end(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    memcpy(kept, counts, sizeof counts);
}

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t index;
    (void)id;
    for (index = 0; index < qemu_plugin_tb_n_insns(block); index++) {
        struct qemu_plugin_insn *const instruction = qemu_plugin_tb_get_insn(block, index);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (address == begin || address == end) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, address == begin ? on_begin : on_end, 0, NULL);
        } else if (address < CODE_BYTES) {
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, 0, &counts[address / 2], 1);
        }
    }
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    FILE *const file = fopen(path, "w");
    size_t index;
    (void)id;
    (void)data;
    if (file == NULL) {
        abort();
    }
    for (index = 0; index < CODE_BYTES / 2; index++) {
        if (kept[index] != 0) {
            fprintf(file, "%zx %" PRIu64 "\n", 2 * index, kept[index]);
        }
    }
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    int index;
    (void)info;
    for (index = 0; index < argc; index++) {
        if (strncmp(argv[index], "begin=", 6) == 0) {
            begin = strtoull(argv[index] + 6, NULL, 0);
        } else if (strncmp(argv[index], "end=", 4) == 0) {
            end = strtoull(argv[index] + 4, NULL, 0);
        } else if (strncmp(argv[index], "out=", 4) == 0) {
            strncpy(path, argv[index] + 4, sizeof path - 1);
        } else {
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
