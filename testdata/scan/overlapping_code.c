// Jumps past a prefix, and into the immediate of another instruction.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: some
// not: unlink — bytes that no way decodes as a call
#include "freestanding.h"

__asm__(
    ".text\n.type twice, @function\ntwice:\n  push $39\n  mov %edi, %ecx\n  test %edi, %edi\n"
    "  je 1f\n  .byte 0xf0\n1: addq $0, (%rsp)\n  pop %rax\n  syscall\n"
    "  mov $102, %eax\n  cmp $1, %ecx\n  ja 2f\n  jmp 2f\n"
    "  .byte 0x3d\n2: .byte 0x0f, 0x05, 0x90, 0x90\n  ret\n.size twice, . - twice\n"
    ".type hidden, @function\nhidden:\n  mov $87, %eax\n  cmp $0x9090050f, %eax\n  ret\n"
    ".size hidden, . - hidden\n");
long twice(long);
long hidden(void);

void run(long *stack) {
  twice(stack[0]);
  hidden();
  quit();
}
