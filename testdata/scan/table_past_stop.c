// A jump through a table in a loop, beside a call that does not return: what would come after that
// call is the loop's code, with another address in the table's register. The number is in the frame:
// only who knows that the jump stays in its function can tell it.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// not: getppid — named by the part of the table that its index cannot reach
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type stop, @function\nstop:\n  mov $231, %eax\n  xor %edi, %edi\n  syscall\n  hlt\n"
    ".size stop, . - stop\n"
    ".type pick, @function\npick:\n  push %rbx\n  push $102\n  lea table(%rip), %rbx\n"
    ".Lagain:\n  cmp $2, %edi\n  ja .Lbad\n  mov %edi, %eax\n  movslq (%rbx,%rax,4), %rax\n"
    "  add %rbx, %rax\n  jmp *%rax\n"
    ".Lone:\n  mov $39, %eax\n  syscall\n  mov $1, %edi\n  jmp .Lagain\n"
    ".Lbad:\n  mov (%rsi), %rbx\n  call stop\n"
    ".Ltwo:\n  mov (%rsp), %rax\n  syscall\n  mov $2, %edi\n  jmp .Lagain\n"
    ".Lend:\n  pop %rax\n  pop %rbx\n  ret\n.size pick, . - pick\n"
    ".Lnever:\n  mov $110, %eax\n  syscall\n  hlt\n"
    ".section .rodata\n.balign 4\ntable:\n  .long .Lone - table, .Ltwo - table, .Lend - table\n"
    "  .long .Lnever - table\n.text\n");
void pick(long, long *);

void run(long *stack) {
  pick(*stack > 0 ? 0 : *stack, stack);
  quit();
}
