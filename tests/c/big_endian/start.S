/* A big-endian Cortex-A under qemu-system-arm -M virt: no library, no interrupts. qemu sees from the file that data are
 * big-endian; setend makes it so wherever it does not. */
    .arm
    .global _start
_start:
    setend be
    mov sp, #0x48000000
    bl main
    mov r0, #0x84000000     /* PSCI SYSTEM_OFF */
    add r0, r0, #8
    hvc #0
1:  b 1b
