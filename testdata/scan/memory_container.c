// Only the address of a member goes round, and the structure around it is found from that.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — a member beside the one whose address was kept
#include "freestanding.h"

struct entry {
  nr_t number;
  long links[2];
};

static struct entry entry = {NR_getpid, {1, 2}};
static long *volatile kept;

NOINLINE void change(long *links) {
  struct entry *around = (struct entry *)((char *)links - __builtin_offsetof(struct entry, links));
  around->number = NR_getuid;
}
NOINLINE void make(void) { sys0(*(volatile nr_t *)&entry.number); }

void run(long *stack) {
  (void)stack;
  make();
  kept = entry.links;
  change(kept);
  make();
  quit();
}
