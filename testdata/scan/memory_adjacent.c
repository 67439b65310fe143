// One table of numbers is written through the address behind it, which is the next one.
// builds: freestanding
// calls: getpid getppid getuid exit_group
// run: all
// gap: getpid getppid getuid — a pointer that comes from behind
// gap[x86_64 llvm]: getuid getppid — a pointer that comes from behind
// gap[aarch64 llvm]: getuid getppid — a pointer that comes from behind
#include "freestanding.h"

struct two { nr_t n[4]; };
static struct two first = {{NR_getpid, NR_getpid, NR_getpid, NR_getpid}};
static struct two second = {{NR_getppid, NR_getppid, NR_getppid, NR_getppid}};
NOINLINE void fill(nr_t *end) { end[-3] = NR_getuid; }
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }

void run(long *stack) {
  (void)stack;
  make(&first.n[1]); make(&second.n[1]);
  fill((nr_t *)(&first + 1));
  make(&first.n[1]); make(&second.n[1]);
  quit();
}
