// The address of a number goes through a pipe, and is written through behind it.
// builds: freestanding
// calls: pipe getpid write read getuid exit_group
// calls[aarch64]: pipe2 getpid write read getuid exit_group
// run: all
// gap: getpid getuid — a pointer that the kernel carries
#include "freestanding.h"

static int ends[2];
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }
NOINLINE void send(nr_t *where) {
  nr_t *volatile p = where;
  sys3(NR_write, ends[1], (long)&p, sizeof p);
}
NOINLINE void change(void) {
  nr_t *volatile p;
  sys3(NR_read, ends[0], (long)&p, sizeof p);
  *p = NR_getuid;
}

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
#ifdef __aarch64__
  sys2(59, (long)ends, 0);
#else
  sys1(22, (long)ends);
#endif
  make(&number);
  send(&number);
  change();
  make(&number);
  quit();
}
