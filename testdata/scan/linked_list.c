// Handlers in a linked list of writable nodes, walked through their pointers.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// extra: unlink — in a node beside those of the list: a base that is kept in memory covers what is around it
#include "freestanding.h"

struct node {
  struct node *next;
  void (*f)(struct node *);
};

static void a(struct node *n) { sys1(NR_getpid, (long)n); }
static void b(struct node *n) { sys1(NR_getuid, (long)n); }
static void c(struct node *n) { sys1(NR_unlink, (long)n); }

static struct node first = {0, a}, second = {0, b};
struct node KEEP(lonely) = {0, c};
static struct node *head;

NOINLINE void insert(struct node *n) {
  n->next = head;
  head = n;
}

void run(long *stack) {
  (void)stack;
  insert(&first);
  insert(&second);
  for (struct node *n = head; n; n = n->next) n->f(n);
  quit();
}
