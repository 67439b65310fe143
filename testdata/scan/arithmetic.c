// Numbers by arithmetic on constants: lea, neg, not, shifts, or -1, sbb, bswap, imul.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid geteuid getegid getppid gettid getpgrp exit_group
// gap: gettid — bswap of half a register
// extra: read — the carry flag is not followed: sbb gives 0 or -1
// run: all
#include "freestanding.h"

#define CALL(code) \
  __asm__ volatile(code "\n syscall" ::: "rax", "rcx", "rdx", "r11", "memory", "cc")

void run(long *stack) {
  (void)stack;
  CALL("mov $19, %%eax\n lea 1(%%rax,%%rax), %%eax");           // 39 getpid
  CALL("mov $-102, %%rax\n neg %%rax");                         // 102 getuid
  CALL("mov $-105, %%rax\n not %%rax");                         // 104 getgid
  CALL("mov $107, %%edx\n shl $8, %%rdx\n mov %%rdx, %%rax\n shr $8, %%rax"); // 107 geteuid
  CALL("or $-1, %%rax\n add $109, %%rax");                      // 108 getegid
  CALL("stc\n sbb %%rax, %%rax\n and $110, %%eax");             // 110 getppid
  CALL("mov $0xba000000, %%eax\n bswap %%eax");                 // 186 gettid
  CALL("mov $37, %%edx\n imul $3, %%rdx, %%rax"); // 111 getpgrp
  quit();
}
