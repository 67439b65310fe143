// Several names of one function: weak and hidden ones, and one that stands in for what is not there.
// builds: freestanding | layouts
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
// not: unlink — what a name had stood for that is defined elsewhere
#include "freestanding.h"

NOINLINE long strong(long x) { return sys1(NR_getpid, x); }
long also(long x) __attribute__((weak, alias("strong")));
long inside(long x) __attribute__((visibility("hidden"), alias("strong")));

__asm__(
    ".text\n.weak chosen\n.type chosen, @function\nchosen: mov $102, %eax\n  syscall\n  ret\n"
    ".size chosen, . - chosen\n.globl preferred\n.set preferred, chosen\n"
    ".type standard, @function\nstandard: mov $87, %eax\n  syscall\n  ret\n.size standard, . - standard\n");
long preferred(long x);
long (*const table[])(long) = {inside, preferred};

void run(long *stack) {
  also(stack[0]);
  for (int i = 0; i < 2; i++) table[i](stack[0]);
  quit();
}
