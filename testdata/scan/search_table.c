// A table sorted by name, searched by halving: what comes from the outside decides which entry is called.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid exit_group
// run: some
#include "freestanding.h"

struct command {
  const char *name;
  void (*run)(long);
};

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
static void d(long x) { sys1(NR_geteuid, x); }
static void e(long x) { sys1(NR_getegid, x); }

static const struct command commands[] = {{"alpha", a}, {"beta", b}, {"gamma", c}, {"kappa", d}, {"omega", e}};

NOINLINE int compare(const char *x, const char *y) {
  while (*x && *x == *y) x++, y++;
  return (unsigned char)*x - (unsigned char)*y;
}

NOINLINE const struct command *find(const char *name) {
  unsigned low = 0, high = sizeof commands / sizeof *commands;
  while (low < high) {
    unsigned middle = (low + high) / 2;
    int order = compare(name, commands[middle].name);
    if (!order) return &commands[middle];
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return 0;
}

void run(long *stack) {
  const struct command *found = find((const char *)stack[1]);
  if (found) found->run(stack[0]);
  quit();
}
