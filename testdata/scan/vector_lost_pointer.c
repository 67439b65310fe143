// The address of a table of functions that goes through vector registers in a way that is not followed:
// what the table holds can still be called.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// run: all
#include "freestanding.h"

static long a(void) { return sys0(NR_getpid); }
static long (*const table[])(void) = {a, 0};

void run(long *stack) {
  long (*const *found)(void) = 0;
  (void)stack;
  __asm__ volatile("lea %1, %%rax\n movq %%rax, %%xmm0\n pshufd $0x4e, %%xmm0, %%xmm0\n"
                   "psrldq $8, %%xmm0\n movdqu %%xmm0, -64(%%rsp)\n mov -64(%%rsp), %0"
                   : "=r"(found)
                   : "m"(table)
                   : "rax", "xmm0", "memory");
  found[0]();
  quit();
}
