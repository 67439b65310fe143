// The index grows by one between its check and the jump through the table.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid geteuid exit_group
// run: some
#include "freestanding.h"

__asm__(
    ".text\n.type choose, @function\nchoose:\n  cmp $2, %rdi\n  ja 9f\n  inc %rdi\n"
    "  lea table(%rip), %rdx\n  mov (%rdx,%rdi,8), %rax\n  jmp *%rax\n9: ret\n"
    ".La: mov $39, %eax\n  syscall\n  ret\n.Lb: mov $102, %eax\n  syscall\n  ret\n"
    ".Lc: mov $104, %eax\n  syscall\n  ret\n.size choose, . - choose\n"
    ".section .data.rel.ro,\"aw\"\n.p2align 3\ntable: .quad 0, .La, .Lb, .Lc\n.text\n");
void choose(long);

void run(long *stack) {
  choose(stack[0]);
  sys0(NR_geteuid);
  quit();
}
