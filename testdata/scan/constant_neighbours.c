// Two tables of functions side by side in protected data, without symbols: only one belongs to code
// that runs. The index of its access has no bound that could be found.
// builds: gcc -O2 -static-pie -s | gcc -O0 -static-pie -s | gcc -Os -static-pie -s
// calls: getpid getppid exit_group
// extra: getuid getgid — of neighbours, where the words on both sides look like one table's
// run: some
#include "freestanding.h"

static long first(void) { return sys0(NR_getpid); }
static long second(void) { return sys0(NR_getppid); }
static long other(void) { return sys0(NR_getuid); }
static long another(void) { return sys0(NR_getgid); }

typedef long (*function)(void);
static const function before[] = {another, another, another, another};
static const function table[] = {first, second, first, second};
static const function after[] = {other, other, other, other};

static volatile long chosen;

static __attribute__((noinline)) long pick(const function *from, long n) {
  __asm__("" : "+r"(from));
  return from[n]();
}

__attribute__((used, noinline)) static void never(void) {
  pick(before, chosen);
  pick(after, chosen);
}

void run(long *stack) {
  (void)stack;
  pick(table, chosen);
  quit();
}
