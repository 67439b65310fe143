// A jump to a base plus an index times sixteen: rows of code of equal size, without a table.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -static-pie | gcc -O2 -static-pie -s -fno-asynchronous-unwind-tables
// only: x86_64 — its assembly
// calls: getpid getuid getgid getppid exit_group
// run: some
#include "freestanding.h"

__asm__(
    ".text\n.type rows, @function\nrows:\n  and $3, %edi\n  shl $4, %edi\n  lea row(%rip), %rax\n"
    "  add %rdi, %rax\n  jmp *%rax\n  .balign 16\n"
    "row: mov $39, %eax\n  syscall\n  ret\n  .balign 16\n"
    "  mov $102, %eax\n  syscall\n  ret\n  .balign 16\n"
    "  mov $104, %eax\n  syscall\n  ret\n  .balign 16\n"
    "  mov $110, %eax\n  syscall\n  ret\n.size rows, . - rows\n");
long rows(long);

void run(long *stack) {
  rows(stack[0]);
  quit();
}
