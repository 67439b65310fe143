// A structure that one function copies for all: each caller finds in its copy what its own source holds.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — copied by the same function for somebody else, and handed to no call
#include "freestanding.h"

struct record {
  nr_t number;
  long rest[4];
};

static struct record mine = {NR_getpid, {1, 2, 3, 4}};
static const struct record others = {NR_unlink, {5, 6, 7, 8}};

NOINLINE void copy(struct record *to, const struct record *from) {
  to->number = from->number;
  to->rest[0] = from->rest[0];
  to->rest[1] = from->rest[1];
  to->rest[2] = from->rest[2];
  to->rest[3] = from->rest[3];
}

NOINLINE void set(void) { mine.number = NR_getuid; }

NOINLINE void look(void) {
  struct record record;
  copy(&record, &others);
  __asm__ volatile("" ::"r"(record.number + record.rest[2]));
}

NOINLINE void make(void) {
  struct record record;
  copy(&record, &mine);
  sys0(record.number);
}

void run(long *stack) {
  (void)stack;
  look();
  make();
  set();
  make();
  quit();
}
