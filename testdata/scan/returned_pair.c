// A pair comes back in two registers, and the second is a table of functions: the vtable of a
// trait object, or a structure of two pointers.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

typedef struct { long (*const *calls)(void); } row_t;
typedef struct { const void *data; const row_t *table; } pair_t;

static long first(void) { return sys0(NR_getpid); }
static long second(void) { return sys0(NR_getuid); }
static long (*const calls[])(void) = {first, second};
static const row_t row = {calls};

NOINLINE pair_t make(const void *data) {
  pair_t made = {data, &row};
  return made;
}

void run(long *stack) {
  pair_t made = make(stack);
  for (long n = 0; n < 2; n++) made.table->calls[n]();
  quit();
}
