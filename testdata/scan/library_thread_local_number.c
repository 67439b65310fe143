// A number in thread-local storage.
// builds: dynamic
// library: yes
// scope: program
// calls: getuid exit_group
// run: all
// gap: getuid — the values of thread-local storage
// flags: -ftls-model=initial-exec
#include "freestanding.h"

long make(void);

#ifdef LIBRARY
__thread volatile nr_t number = NR_getuid;
long make(void) { return sys0(number); }
#else
void run(long *stack) {
  (void)stack;
  make();
  quit();
}
#endif
