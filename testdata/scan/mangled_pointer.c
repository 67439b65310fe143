// A function pointer that is kept xored with a secret and rotated, as C libraries do.
// builds: freestanding
// calls: getpid exit_group
// run: all
// not: unlink — a function that nobody refers to
#include "freestanding.h"

static unsigned long secret, kept;

static void a(void) { sys0(NR_getpid); }
void KEEP(b)(void) { sys0(NR_unlink); }

NOINLINE void keep(void (*f)(void)) {
  unsigned long v = (unsigned long)f ^ secret;
  kept = v << 17 | v >> 47;
}
NOINLINE void fire(void) {
  unsigned long v = kept;
  ((void (*)(void))((v >> 17 | v << 47) ^ secret))();
}

void run(long *stack) {
  secret = (unsigned long)stack * 0x9e3779b97f4a7c15;
  keep(a);
  fire();
  quit();
}
