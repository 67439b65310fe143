// Constructors and destructors of a library, which the dynamic loader calls; the destructor only
// when somebody asks it to.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getuid exit_group
// run: all
// extra: getgid — a destructor: the loader's function that calls it is not called here
#include "freestanding.h"

#ifdef LIBRARY
__attribute__((constructor)) static void start(void) { sys0(NR_getpid); }
__attribute__((destructor)) static void end(void) { sys0(NR_getgid); }
long use(long x) { return x; }
#else
long use(long);
void run(long *stack) {
  sys1(NR_getuid, use(stack[0]));
  quit();
}
#endif
