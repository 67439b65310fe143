// A callback gets a pointer into the middle of its object and goes back to its start.
// builds: freestanding | layouts
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

struct link {
  long (*notify)(const struct link *, long);
};
struct device {
  long (*open)(long);
  long data;
  struct link link;
};

static long open_one(long x) { return sys1(NR_getpid, x); }
static long open_two(long x) { return sys1(NR_getuid, x); }
static long notify(const struct link *l, long x) {
  const struct device *d = (const struct device *)((const char *)l - __builtin_offsetof(struct device, link));
  return d->open(x + d->data);
}

static const struct device one = {open_one, 1, {notify}}, two = {open_two, 2, {notify}};

NOINLINE long send(const struct link *l, long x) { return l->notify(l, x); }

void run(long *stack) {
  send(&one.link, stack[0]);
  send(&two.link, stack[0]);
  quit();
}
