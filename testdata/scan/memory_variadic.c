// The address of a number is the last of many arguments that a callee takes one by one.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — what callers put on the stack, read through a pointer
#include "freestanding.h"
#include <stdarg.h>

NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }
NOINLINE void change(long count, ...) {
  va_list all; va_start(all, count);
  while (count-- > 0) { nr_t *p = va_arg(all, nr_t *); if (p) *p = NR_getuid; }
  va_end(all);
}

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  make(&number);
  nr_t *z = 0;
  change(16,z,z,z,z,z,z,z,z,z,z,z,z,z,z,z,&number);
  make(&number);
  quit();
}
