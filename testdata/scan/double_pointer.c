// A function pointer behind two constant pointers and a number behind three.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

static long a(void) { return sys0(NR_getpid); }
typedef long (*const function)(void);
static function one = a;
static function *const two = &one;
static function *const *const three = &two;

static const nr_t n0 = NR_getuid;
static const nr_t *const n1 = &n0;
static const nr_t *const *const n2 = &n1;

struct pair {
  function *const *const *f;
  const nr_t *const *const *n;
};
static const struct pair both = {&three, &n2};

NOINLINE void use(const struct pair *p) {
  (***p->f)();
  sys0(***p->n);
}

void run(long *stack) {
  (void)stack;
  use(&both);
  quit();
}
