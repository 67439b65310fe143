// Instructions that change the number without naming it: lods, xlat, cmpxchg, in-place parts.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// residuals: number
// run: all
// gap: getpid getuid — values that such instructions load
// not: unlink — the number before
#include "freestanding.h"

static const int numbers[2] = {NR_getpid, NR_getuid};
static const unsigned char bytes[4] = {0, 0, NR_getuid, 0};

void run(long *stack) {
  (void)stack;
  const int *from = numbers;
  __asm__ volatile("mov $87, %%eax\n lodsl\n syscall"
                   : "+S"(from)::"rax", "rcx", "r11", "memory");
  __asm__ volatile("mov $2, %%eax\n xlatb\n syscall" ::"b"(bytes)
                   : "rax", "rcx", "r11", "memory");
  __asm__ volatile("mov $87, %%eax\n mov $39, %%edx\n push %%rdx\n cmpxchg %%rcx, (%%rsp)\n"
                   "pop %%rdx\n syscall" ::
                       : "rax", "rcx", "rdx", "r11", "memory", "cc");
  quit();
}
