// A structure that points to the number is copied byte by byte, and the copy is written through.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a pointer that was copied in parts
#include "freestanding.h"

struct command {
  nr_t *number;
  long other;
};

NOINLINE void copy(volatile char *to, const volatile char *from, long size) {
  for (long n = 0; n < size; n++) to[n] = from[n];
}
NOINLINE void change(struct command *command) { *command->number = NR_getuid; }
NOINLINE void make(nr_t *number) { sys0(*number); }

void run(long *stack) {
  nr_t number = NR_getpid;
  struct command command = {&number, stack[0]}, second;
  make(&number);
  copy((char *)&second, (char *)&command, sizeof command);
  change(&second);
  make(&number);
  quit();
}
