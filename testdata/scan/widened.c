// Numbers that sign and zero extensions of a register widen: cltq, movslq, movzbl, movsbl.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getuid getgid gettid getegid exit_group
// run: all
// not: unlink — what the wider register held before
#include "freestanding.h"

#define CALL(code) \
  __asm__ volatile(code "\n syscall" ::: "rax", "rcx", "rdx", "r11", "memory", "cc")

void run(long *stack) {
  (void)stack;
  CALL("movabs $0x5700000066, %%rax\n cltq");                        // 102 getuid
  CALL("movabs $0x57ffffff98, %%rdx\n movslq %%edx, %%rax\n neg %%rax"); // 104 getgid
  CALL("mov $0x57ba, %%ecx\n movzbl %%cl, %%eax");                   // 186 gettid
  CALL("mov $0x5794, %%ecx\n movsbl %%cl, %%eax\n neg %%eax");       // 108 getegid
  quit();
}
