// A number that looks like the address of a place inside of an instruction, where a callee is not known.
// builds: gcc -O0 | gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -Os -s | musl-gcc -O2
// only: x86_64 — an instruction of aarch64 begins where it is aligned
// calls: read getpid exit_group
// run: all
// not: unlink — the bytes 0f 05 of an immediate
#include "freestanding.h"

__asm__(
    ".text\n.type hidden, @function\nhidden:\n  .cfi_startproc\n  mov $87, %eax\n"
    "  cmp $0x9090050f, %eax\n  ret\n  .cfi_endproc\n.size hidden, . - hidden\n"
    ".data\n.p2align 3\nnumbers: .quad hidden + 6, 0\n.text\n");
void hidden(void);
extern volatile long numbers[];

NOINLINE void told(long x) { sys1(NR_getpid, x); }

static void (*volatile callee)(long) = told;

void run(long *stack) {
  hidden();
  sys3(NR_read, 0, (long)&callee, 0);
  callee(numbers[stack[0] & 1]);
  quit();
}
