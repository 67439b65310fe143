// The index of a table is kept on the stack across a call; what is compared, twice, is the register that it was copied from.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid getppid exit_group
// run: some
// not: reboot — after the table's last entry
#include "freestanding.h"

__asm__(
    ".text\n.type between, @function\nbetween:\n  mov $110, %eax\n  syscall\n  ret\n.size between, . - between\n"
    ".type choose, @function\nchoose:\n  push %rbx\n  sub $16, %rsp\n  mov (%rdi), %rbx\n"
    "  mov %ebx, %edi\n  mov %rdi, 8(%rsp)\n  call between\n"
    "  cmp $64, %ebx\n  ja 9f\n  cmp $2, %ebx\n  ja 9f\n  mov 8(%rsp), %rdi\n"
    "  lea table(%rip), %rdx\n  movslq (%rdx,%rdi,4), %rax\n  add %rdx, %rax\n  jmp *%rax\n"
    ".La: mov $39, %eax\n  syscall\n  jmp 9f\n.Lb: mov $102, %eax\n  syscall\n  jmp 9f\n"
    ".Lc: mov $104, %eax\n  syscall\n9: add $16, %rsp\n  pop %rbx\n  ret\n"
    ".Ld: mov $169, %eax\n  syscall\n  jmp 9b\n.size choose, . - choose\n"
    ".section .rodata\n.p2align 2\ntable: .long .La - table, .Lb - table, .Lc - table\n"
    "other: .long .Ld - table, .Ld - table\n.text\n");
void choose(long *);

void run(long *stack) {
  choose(stack);
  quit();
}
