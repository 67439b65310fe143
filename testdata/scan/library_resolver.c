// Functions whose code a resolver chooses when the program is loaded.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getuid getgid exit_group
// run: some
// not: unlink — a variant that no resolver returns
#include "freestanding.h"

long choose(long x);

#ifdef LIBRARY
static long small(long x) { return sys1(NR_getpid, x); }
static long large(long x) { return sys1(NR_getuid, x); }
long KEEP(other)(long x) { return sys1(NR_unlink, x); }
#ifdef __aarch64__
static long (*resolve(unsigned long capabilities))(long) { return capabilities & 1 ? large : small; }
#else
static long (*resolve(void))(long) {
  unsigned a = 1, b, c, d;
  __asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
  return c & 1 ? large : small;
}
#endif
long choose(long x) __attribute__((ifunc("resolve")));
#else
void run(long *stack) {
  choose(stack[0]);
  sys0(NR_getgid);
  quit();
}
#endif
