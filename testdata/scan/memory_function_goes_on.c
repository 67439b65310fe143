// A function whose address lies in a structure that is passed round is handed to somebody else,
// who calls it with a number of his own.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a function that is handed on and called by somebody unknown
// gap[aarch64 llvm]: getpid — what the part that goes on is passed
#include "freestanding.h"

struct operations {
  long (*call)(nr_t);
};

NOINLINE long call(nr_t number) { return sys0(number); }

static struct operations operations = {call};
static long (*volatile kept)(nr_t);

NOINLINE void use(struct operations *all) { all->call(NR_getpid); }
NOINLINE void hand_on(struct operations *all) { kept = all->call; }
NOINLINE void other(void) { kept(NR_getuid); }

void run(long *stack) {
  (void)stack;
  use(&operations);
  hand_on(&operations);
  other();
  quit();
}
