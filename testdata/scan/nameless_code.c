// Code without a symbol and without unwind information between two functions, which only a word in
// data leads to.
// builds: freestanding | layouts
// calls: getpid getuid exit_group
// run: all
// not: unlink — nameless too, and in no word that reached code can read
#include "freestanding.h"

#ifdef __aarch64__
__asm__(
    ".text\n.p2align 4\n.type before, %function\nbefore:\n  mov x8, #172\n  svc #0\n  ret\n"
    ".size before, . - before\n"
    "  .p2align 4\n.Lnameless: mov x8, #174\n  svc #0\n  ret\n"
    "  .p2align 4\n.Lunused: mov x8, #35\n  svc #0\n  ret\n"
    ".section .data.rel.ro,\"aw\"\n.p2align 3\n.type entry, %object\nentry: .quad .Lnameless\n"
    ".size entry, 8\n.text\n");
#else
__asm__(
    ".text\n.p2align 4\n.type before, @function\nbefore:\n  mov $39, %eax\n  syscall\n  ret\n"
    ".size before, . - before\n"
    "  .p2align 4\n.Lnameless: mov $102, %eax\n  syscall\n  ret\n"
    "  .p2align 4\n.Lunused: mov $87, %eax\n  syscall\n  ret\n"
    ".section .data.rel.ro,\"aw\"\n.p2align 3\n.type entry, @object\nentry: .quad .Lnameless\n"
    ".size entry, 8\n.text\n");
#endif
long before(void);
extern long (*const entry)(void);

void run(long *stack) {
  (void)stack;
  before();
  entry();
  quit();
}
