// A packed structure has the address of the number where no word begins.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — an address in data that is not followed
#include "freestanding.h"

static nr_t number = NR_getpid;
struct __attribute__((packed)) s { char c; nr_t *p; };
static volatile struct s s = {1, &number};
NOINLINE void make(nr_t *w) { sys3(*w, 0, 0, 0); }
NOINLINE void change(void) { *s.p = NR_getuid; }

void run(long *stack) {
  (void)stack;
  make(&number);
  change();
  make(&number);
  quit();
}
