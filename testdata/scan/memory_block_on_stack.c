// A block that says which call to make lies in the caller's frame, two levels up.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap[aarch64 llvm]: getpid getuid — what a part of the caller that the outliner made writes to the frame
#include "freestanding.h"

struct command {
  long argument;
  nr_t number;
};

NOINLINE void make(const struct command *command) { sys1(command->number, command->argument); }
NOINLINE void pass(const struct command *command, long *result) {
  make(command);
  *result = command->argument;
}

NOINLINE void first(long argument, long *result) {
  struct command command = {argument, NR_getpid};
  pass(&command, result);
}
NOINLINE void second(long argument, long *result) {
  struct command command = {argument, NR_getuid};
  pass(&command, result);
}

void run(long *stack) {
  long result;
  first(stack[0], &result);
  second(result, &result);
  quit();
}
