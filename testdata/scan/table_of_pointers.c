// A constant table of pointers to structures that hold the numbers.
// builds: freestanding | layouts
// calls: getpid getuid exit_group
// run: all
// gap[x86_64 llvm]: getpid getuid exit_group — a counter that is compared for equality
// not: unlink — a structure of the same kind that no reached table names
#include "freestanding.h"

struct entry {
  const char *name;
  int number;
};

static const struct entry a = {"a", NR_getpid}, b = {"b", NR_getuid}, c = {"c", NR_exit_group};
static const struct entry d = {"d", NR_unlink};
static const struct entry *const table[] = {&a, &b, &c};
const struct entry *const KEEP(unused)[] = {&d};

void run(long *stack) {
  (void)stack;
  for (int i = 0; i < 3; i++) sys1(table[i]->number, 0);
}
