// A table of differences between functions and the table, as position-independent tables and
// relative virtual tables are.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — a function that nobody refers to
#include "freestanding.h"

__attribute__((used)) static void a(void) { sys0(NR_getpid); }
__attribute__((used)) static void b(void) { sys0(NR_getuid); }
__attribute__((used)) static void c(void) { sys0(NR_unlink); }

__asm__(
    ".section .rodata\n.balign 4\n.type relative, @object\nrelative: .long a - relative, b - relative\n"
    ".size relative, 8\n.text\n");
extern const int relative[2];

void run(long *stack) {
  const int *table = relative;
  (void)stack;
  HIDE(table);
  for (int i = 0; i < 2; i++) ((void (*)(void))((const char *)table + table[i]))();
  quit();
}
