// The number in a bit field between others, of a word that is passed by value.
// builds: gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -Os -s | gcc -O3 -fcf-protection=none -fomit-frame-pointer | gcc -O2 -static-pie | musl-gcc -O2 -fno-omit-frame-pointer
// calls: getpid gettid exit_group
// run: all
// not: unlink — in the field beside it
#include "freestanding.h"

struct request {
  unsigned kind : 3, number : 9, other : 8, rest : 12;
};

NOINLINE long serve(struct request r) { return sys1(r.number, r.kind); }

void run(long *stack) {
  (void)stack;
  serve((struct request){5, NR_getpid, NR_unlink, 1});
  serve((struct request){2, NR_gettid, NR_unlink, 9});
  quit();
}
