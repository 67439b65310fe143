// Instructions that write registers which they do not name: cpuid, mul, div, rdtsc, cqo.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// residuals: number
// run: never — what a processor says decides which call is made
// not: unlink mount reboot — what the registers held before
#include "freestanding.h"

void run(long *stack) {
  sys0(NR_getpid);
  if (stack[0] == 2)
    __asm__ volatile("mov $87, %%ebx\n xor %%eax, %%eax\n cpuid\n mov %%ebx, %%eax\n syscall" ::
                         : "rax", "rbx", "rcx", "rdx", "r11", "memory");
  if (stack[0] == 3)
    __asm__ volatile("mov $165, %%edx\n rdtsc\n mov %%edx, %%eax\n syscall" ::
                         : "rax", "rcx", "rdx", "r11", "memory");
  if (stack[0] == 4)
    __asm__ volatile("mov $169, %%edx\n mov %0, %%rax\n mul %0\n mov %%edx, %%eax\n syscall" ::"r"(
                         stack[1])
                     : "rax", "rcx", "rdx", "r11", "memory");
  quit();
}
