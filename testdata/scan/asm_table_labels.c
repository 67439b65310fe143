// A table in assembly with a label in its middle, walked from its start to its end.
// builds: freestanding | layouts
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

void KEEP(a)(long x) { sys1(NR_getpid, x); }
void KEEP(b)(long x) { sys1(NR_getuid, x); }
void KEEP(c)(long x) { sys1(NR_getgid, x); }

__asm__(
    ".section .data.rel.ro,\"aw\"\n.p2align 3\ntable: .quad a\nmiddle: .quad b, c\ntable_end:\n.text\n");
extern void (*const table[])(long), (*const table_end[])(long);

void run(long *stack) {
  for (void (*const *f)(long) = table; f < table_end; f++) (*f)(stack[0]);
  quit();
}
