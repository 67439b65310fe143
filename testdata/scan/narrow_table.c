// A table of functions with 32-bit entries, which only a program at low fixed addresses can have:
// no relocation, no symbol type, no alignment of eight says that these are addresses.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -fno-asynchronous-unwind-tables -s
// calls: getpid getuid exit_group
// run: all
// not: unlink — a function that nobody refers to
#include "freestanding.h"

__attribute__((used)) static void a(void) { sys0(NR_getpid); }
__attribute__((used)) static void b(void) { sys0(NR_getuid); }
__attribute__((used)) static void c(void) { sys0(NR_unlink); }

__asm__(".section .rodata\n.balign 4\nnarrow: .long a, b\n.size narrow, 8\n.text\n");
extern const unsigned narrow[2];

void run(long *stack) {
  (void)stack;
  for (int i = 0; i < 2; i++) ((void (*)(void))(unsigned long)narrow[i])();
  quit();
}
