// A function whose code a resolver chooses, in programs that relocate themselves.
// builds: gcc -O2 -static | gcc -O0 -static | gcc -O2 -static -s | gcc -O2 -static-pie | gcc -O2 | gcc -O2 -no-pie
// hosted: yes
// scope: contains
// calls: getppid getpgrp gettid exit_group
// run: some
// not: reboot — of a function that the resolver does not know
#include "calls.h"

static long one(void) { return sys0(NR_getppid); }
static long two(void) { return sys0(NR_getpgrp); }
long KEEP(three)(void) { return sys0(NR_reboot); }
#ifdef __aarch64__
static long (*choose(unsigned long capabilities))(void) { return capabilities & 1 ? one : two; }
#else
static long (*choose(void))(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") ? one : two;
}
#endif
long chosen(void) __attribute__((ifunc("choose")));
static long (*volatile pointer)(void) = chosen;

int main(void) { return chosen() + pointer() + sys0(NR_gettid) == 1; }
