// Tables of bytes and of halves without sign that count instructions from a label on, as LLVM makes
// them.
// only: aarch64 — its instructions
// builds: gcc -O2 | gcc -O0 | gcc -O2 -static-pie
// calls: getpid getuid getgid gettid exit_group
// run: some
// not: swapon — no entry leads there
#include "freestanding.h"

__asm__(
    ".text\n.type bytes, %function\nbytes:\n"
    "  cmp x0, #2\n  b.hi 9f\n"
    "  adrp x10, byte_table\n  add x10, x10, :lo12:byte_table\n"
    "  adr x11, 1f\n  ldrb w12, [x10, x0]\n  add x11, x11, x12, lsl #2\n  br x11\n"
    "1:  mov x8, #172\n  svc #0\n  ret\n"
    "  mov x8, #224\n  svc #0\n  ret\n"
    "2:  mov x8, #174\n  svc #0\n  ret\n"
    "9:  ret\n.size bytes, . - bytes\n"
    ".section .rodata\nbyte_table: .byte 0, (2b - 1b) / 4, (9b - 1b) / 4\n");
__asm__(
    ".text\n.type halves, %function\nhalves:\n"
    "  cmp w0, #1\n  b.hi 9f\n"
    "  adrp x10, half_table\n  add x10, x10, :lo12:half_table\n"
    "  adr x11, 1f\n  mov w9, w0\n  ldrh w12, [x10, x9, lsl #1]\n  add x11, x11, x12, lsl #2\n"
    "  br x11\n"
    "1:  mov x8, #176\n  svc #0\n  ret\n"
    "  mov x8, #224\n  svc #0\n  ret\n"
    "2:  mov x8, #178\n  svc #0\n"
    "9:  ret\n.size halves, . - halves\n"
    ".section .rodata\n.balign 2\nhalf_table: .hword 0, (2b - 1b) / 4\n.text\n");
void bytes(long x);
void halves(long x);

void run(long *stack) {
  bytes(stack[0]);
  halves(stack[0]);
  quit();
}
