// A handler of faults goes on at an address that code keeps: a label in the function that faulted.
// builds: freestanding
// only: x86_64 — its assembly
// calls: rt_sigaction rt_sigreturn getpid getuid exit_group
// run: all
#include "freestanding.h"

struct action {
  void (*handler)(int, void *, unsigned long *);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

__asm__(
    ".text\n.type restore, @function\nrestore:\n  mov $15, %eax\n  syscall\n"
    ".size restore, . - restore\n");
void restore(void);

__asm__(
    ".text\n.type probe, @function\nprobe:\n  mov $39, %eax\n  syscall\n"
    "  lea .Lfixup(%rip), %rdx\n  mov %rdx, fixup(%rip)\n  mov (%rdi), %rax\n  ret\n"
    ".Lfixup: mov $102, %eax\n  syscall\n  ret\n.size probe, . - probe\n");
long probe(long);
unsigned long KEEP(fixup);

static void handler(int number, void *information, unsigned long *context) {
  (void)number, (void)information;
  context[5 + 16] = fixup;
}

void run(long *stack) {
  struct action action = {handler, 0x04000004, restore, 0};
  sys4(NR_rt_sigaction, 11, (long)&action, 0, 8);
  probe((long)stack);
  probe(8);
  quit();
}
