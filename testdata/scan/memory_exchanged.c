// The number of a block whose address is kept in a variable is exchanged through that variable.
// builds: freestanding
// flags[aarch64]: -mno-outline-atomics
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a number behind a pointer that is kept in static memory
#include "freestanding.h"

struct command {
  long argument;
  nr_t number;
};

static struct command *volatile current;

NOINLINE void change(void) { __atomic_exchange_n(&current->number, NR_getuid, __ATOMIC_SEQ_CST); }
NOINLINE void make(void) { sys1(current->number, current->argument); }

void run(long *stack) {
  struct command command = {stack[0], NR_getpid};
  current = &command;
  make();
  change();
  make();
  quit();
}
