// A structure is passed by value on the stack, and the callee hands on where it lies.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap[x86_64]: getpid getuid — what callers put on the stack, read through a pointer
// gap[aarch64 llvm]: getpid getuid — what a part of the caller that the outliner made writes to the frame
#include "freestanding.h"

struct command {
  long arguments[3];
  nr_t number;
};

NOINLINE void make(const struct command *command) { sys0(command->number); }
NOINLINE void pass(struct command command) { make(&command); }

void run(long *stack) {
  struct command command = {{stack[0], 1, 2}, NR_getpid};
  pass(command);
  command.number = NR_getuid;
  pass(command);
  quit();
}
