// Numbers that are loaded from absolute addresses, with 32 and with 64 bits of address.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -fno-asynchronous-unwind-tables -s | gcc -O2 --no-section-headers
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
// not: unlink — beside the numbers
#include "freestanding.h"

const long KEEP(numbers)[4] = {NR_unlink, NR_getpid, NR_getuid, NR_unlink};

void run(long *stack) {
  (void)stack;
  __asm__ volatile("mov numbers + 8, %%rax\n syscall" ::: "rax", "rcx", "r11", "memory");
  __asm__ volatile("movabs numbers + 16, %%rax\n syscall" ::: "rax", "rcx", "r11", "memory");
  quit();
}
