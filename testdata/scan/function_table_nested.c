// Tables of tables: only what a reached table leads to is reached.
// builds: freestanding | layouts
// calls: getpid getuid getppid exit_group
// run: some
// extra: unlink mount — in a stripped program nothing says where the tables beside end: a second tree of tables that nothing reached leads to
#include "freestanding.h"

struct command {
  const char *name;
  long (*run)(void);
};
struct group {
  int count;
  const struct command *commands;
};

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long c(void) { return sys0(NR_getppid); }
static long d(void) { return sys0(NR_unlink); }
static long e(void) { return sys0(NR_mount); }

static const struct command first[] = {{"a", a}, {"b", b}};
static const struct command second[] = {{"c", c}};
static const struct command third[] = {{"d", d}, {"e", e}};
static const struct group groups[] = {{2, first}, {1, second}};
const struct group KEEP(dead)[] = {{2, third}};

void run(long *stack) {
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < groups[i].count; k++)
      if (groups[i].commands[k].name[0] == (char)stack[0]) groups[i].commands[k].run();
  quit();
}
