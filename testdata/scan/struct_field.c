// The number is a field of a structure on the caller's stack, passed by address.
// builds: freestanding
// calls: getpid umask exit_group
// run: all
// not: unlink — another field of the same structure
#include "freestanding.h"

struct request {
  long forbidden;
  nr_t number;
  long argument;
};

NOINLINE long serve(const struct request *r) { return sys1(r->number, r->argument); }

void run(long *stack) {
  (void)stack;
  struct request one = {NR_unlink, NR_getpid, 0};
  struct request two = {NR_unlink, NR_umask, 022};
  struct request end = {NR_unlink, NR_exit_group, 0};
  serve(&one);
  serve(&two);
  serve(&end);
}
