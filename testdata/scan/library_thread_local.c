// A function pointer in thread-local storage: its first value comes with the library.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid exit_group
// run: all
// flags: -ftls-model=initial-exec
#include "freestanding.h"

typedef long (*function)(long);
function *slot(void);

#ifdef LIBRARY
static long a(long x) { return sys1(NR_getpid, x); }
__thread function hook = a;
function *slot(void) { return &hook; }
#else
void run(long *stack) {
  (*slot())(stack[0]);
  quit();
}
#endif
