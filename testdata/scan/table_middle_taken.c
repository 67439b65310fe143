// Records of 32 bytes that end with an empty one; code compares with the address of one in their middle.
// builds: freestanding | layouts | gcc -O1 -static-pie -s | gcc -O3 -static-pie -s
// calls: getpid getuid getgid geteuid exit_group
// run: all
#include "freestanding.h"

struct command {
  const char *name;
  void (*run)(long);
  const char *help;
  long flags;
};

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
static void d(long x) { sys1(NR_geteuid, x); }

static const struct command commands[] = {
    {"a", a, "", 1}, {"b", b, "", 2}, {"c", c, "", 3}, {"d", d, "", 4}, {0, 0, 0, 0}};

NOINLINE void all(const struct command *command, long x) {
  for (; command->name; command++) command->run(x);
}
NOINLINE int is_standard(const void *command) { return command == &commands[2]; }

void run(long *stack) {
  if (is_standard(stack)) quit();
  all(commands, stack[0]);
  quit();
}
