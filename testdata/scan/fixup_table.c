// A handler of faults looks the place up in a table and goes on at another one in the same function.
// builds: freestanding
// calls: rt_sigaction rt_sigreturn getpid getuid exit_group
// run: all
#include "signals.h"

struct action {
  void (*handler)(int, void *, unsigned long *);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

#ifdef __aarch64__
__asm__(
    ".text\n.type probe, %function\nprobe:\n  mov x3, x0\n  mov x8, #172\n  svc #0\n"
    ".Laccess: ldr x0, [x3]\n  ret\n.Lfixup: mov x8, #174\n  svc #0\n  ret\n.size probe, . - probe\n"
    ".section .rodata\n.p2align 2\n.type places, %object\nplaces: .word .Laccess - places, .Lfixup - places\n"
    ".size places, 8\n.text\n");
#else
__asm__(
    ".text\n.type probe, @function\nprobe:\n  mov $39, %eax\n  syscall\n"
    ".Laccess: mov (%rdi), %rax\n  ret\n.Lfixup: mov $102, %eax\n  syscall\n  ret\n.size probe, . - probe\n"
    ".section .rodata\n.p2align 2\n.type places, @object\nplaces: .long .Laccess - places, .Lfixup - places\n"
    ".size places, 8\n.text\n");
#endif
long probe(long);
extern const int places[2];

static void handler(int number, void *information, unsigned long *context) {
  (void)number, (void)information;
  unsigned long at = (unsigned long)places;
  if (context[PLACE] == at + places[0]) context[PLACE] = at + places[1];
}

void run(long *stack) {
  struct action action = {handler, RESTORER | SIGINFO, restore, 0};
  sys4(NR_rt_sigaction, 11, (long)&action, 0, 8);
  probe((long)stack);
  probe(8);
  quit();
}
