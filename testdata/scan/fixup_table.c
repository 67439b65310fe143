// A handler of faults looks the place up in a table and goes on at another one in the same function.
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
    ".Laccess: mov (%rdi), %rax\n  ret\n.Lfixup: mov $102, %eax\n  syscall\n  ret\n.size probe, . - probe\n"
    ".section .rodata\n.p2align 2\n.type places, @object\nplaces: .long .Laccess - places, .Lfixup - places\n"
    ".size places, 8\n.text\n");
long probe(long);
extern const int places[2];

static void handler(int number, void *information, unsigned long *context) {
  (void)number, (void)information;
  unsigned long at = (unsigned long)places;
  if (context[5 + 16] == at + places[0]) context[5 + 16] = at + places[1];
}

void run(long *stack) {
  struct action action = {handler, 0x04000004, restore, 0};
  sys4(NR_rt_sigaction, 11, (long)&action, 0, 8);
  probe((long)stack);
  probe(8);
  quit();
}
