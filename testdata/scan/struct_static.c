// The number is a field of a constant structure; only its address is passed.
// builds: freestanding | layouts
// calls: getpid getgid exit_group
// run: all
// not: unlink mount — another field; a structure that nobody refers to
#include "freestanding.h"

struct request {
  const char *name;
  nr_t number;
  long other;
};

static const struct request pid = {"pid", NR_getpid, NR_unlink};
static const struct request gid = {"gid", NR_getgid, NR_unlink};
static const struct request end = {"end", NR_exit_group, NR_unlink};
const struct request KEEP(unused) = {"unused", NR_mount, NR_mount};

NOINLINE long serve(const struct request *r) { return sys1(r->number, 0); }

void run(long *stack) {
  (void)stack;
  serve(&pid);
  serve(&gid);
  serve(&end);
}
