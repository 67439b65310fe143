// The cold part of a function lies elsewhere and is entered by a jump with the frame live.
// builds: freestanding | gcc -O2 -freorder-blocks-and-partition -fno-asynchronous-unwind-tables -s | gcc -O3 -freorder-blocks-and-partition
// calls: getpid getuid write exit_group
// run: some
#include "freestanding.h"

__attribute__((cold)) NOINLINE void complain(long x) { sys3(NR_write, 2, (long)"", x & 0); }

NOINLINE long work(long a, long b) {
  volatile nr_t number = NR_getuid;
  long sum = sys1(NR_getpid, a);
  if (__builtin_expect(a > 7, 0)) {
    complain(b);
    sum += sys1(number, b);
    complain(sum);
  }
  return sum + b;
}

void run(long *stack) {
  work(stack[0], stack[0] + 1);
  quit();
}
