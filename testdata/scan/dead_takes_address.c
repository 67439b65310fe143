// Dead code and dead data take the address of a function; live code calls through a pointer
// that nobody can tell.
// builds: freestanding
// calls: getpid exit_group
// run: all
// not: unlink mount — taken by a dead function only; named by dead data only
#include "freestanding.h"

typedef long (*function)(void);

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_unlink); }
static long c(void) { return sys0(NR_mount); }

static function volatile hook;
function KEEP(data)[2] = {c, c};

NOINLINE void KEEP(dead)(void) { hook = b; }

void run(long *stack) {
  (void)stack;
  hook = a;
  hook();
  quit();
}
