// A function like the C library's syscall(): the number first, then what may follow.
// builds: freestanding
// calls: getpid umask write exit_group
// run: all
#include "freestanding.h"

typedef __builtin_va_list list;

NOINLINE long call(nr_t number, ...) {
  list all;
  __builtin_va_start(all, number);
  long a = __builtin_va_arg(all, long), b = __builtin_va_arg(all, long);
  long c = __builtin_va_arg(all, long), d = __builtin_va_arg(all, long);
  __builtin_va_end(all);
  return sys4(number, a, b, c, d);
}

void run(long *stack) {
  (void)stack;
  call(NR_getpid);
  call(NR_umask, 022L);
  call(NR_write, 1L, "", 0L);
  call(NR_exit_group, 0L);
}
