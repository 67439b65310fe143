// Objects in a list by a link in their middle: code refers to the links only, and goes back from them.
// builds: freestanding | layouts
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

struct link {
  struct link *next;
};
struct device {
  long (*open)(struct device *, long);
  long data;
  struct link link;
};

static long open_one(struct device *d, long x) { return sys1(NR_getpid, d->data += x); }
static long open_two(struct device *d, long x) { return sys1(NR_getuid, d->data -= x); }

static struct device one = {open_one, 1, {0}}, two = {open_two, 2, {0}};
static struct link *devices;

NOINLINE void add(struct link *l) {
  l->next = devices;
  devices = l;
}
NOINLINE void each(long x) {
  for (struct link *l = devices; l; l = l->next) {
    struct device *d = (struct device *)((char *)l - __builtin_offsetof(struct device, link));
    d->open(d, x);
  }
}

void run(long *stack) {
  add(&one.link);
  add(&two.link);
  each(stack[0]);
  quit();
}
