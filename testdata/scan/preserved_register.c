// The number lives in a register that callees keep, across two calls that use it themselves.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid gettid exit_group
// run: all
// not: unlink — what the callee puts into the same register, and restores
#include "freestanding.h"

__asm__(
    ".text\n.type busy, @function\nbusy:\n"
    "  push %rbx\n  mov $87, %ebx\n  mov $186, %eax\n  syscall\n  lea (%rbx,%rax), %rax\n"
    "  pop %rbx\n  ret\n.size busy, . - busy\n");
long busy(void);

void run(long *stack) {
  register nr_t number __asm__("rbx") = NR_getpid;
  (void)stack;
  __asm__ volatile("" : "+r"(number));
  busy();
  sys0(number);
  __asm__ volatile("mov $102, %0" : "=r"(number));
  busy();
  sys0(number);
  quit();
}
