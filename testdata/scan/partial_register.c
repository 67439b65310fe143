// Writes to parts of a register: al, ah and ax keep the rest, eax clears the upper half.
// builds: freestanding
// only: x86_64 — its assembly
// calls: clone getpid gettid exit_group 334
// run: some
// not: read — what a reader sees who forgets that al is a part of eax
#include "freestanding.h"

void run(long *stack) {
  long r;
  (void)stack;
  // musl's clone sets the number so. CLONE_VM without a stack is not asked for: flags are 0,
  // the child goes on and ends as the parent does.
  __asm__ volatile("xor %%edi, %%edi\n xor %%esi, %%esi\n xor %%edx, %%edx\n xor %%r10, %%r10\n"
                   "xor %%r8, %%r8\n xor %%eax, %%eax\n mov $0x38, %%al\n syscall"
                   : "=a"(r)::"rcx", "r11", "rdi", "rsi", "rdx", "r10", "r8", "memory");
  __asm__ volatile("mov $0xffffffff12340000, %%rax\n mov $0x27, %%ax\n mov %%eax, %%eax\n"
                   "and $0xffff, %%eax\n syscall"
                   : "=a"(r)::"rcx", "r11", "memory");
  __asm__ volatile("mov $-1, %%rax\n xor %%eax, %%eax\n mov $0xba, %%al\n syscall"
                   : "=a"(r)::"rcx", "r11", "memory");
  // 0x14e: the 1 is in ah. rseq with a length that no kernel takes.
  __asm__ volatile("xor %%edi, %%edi\n mov $1, %%esi\n xor %%eax, %%eax\n mov $1, %%ah\n"
                   "mov $0x4e, %%al\n syscall"
                   : "=a"(r)::"rcx", "r11", "rdi", "rsi", "memory");
  quit();
}
