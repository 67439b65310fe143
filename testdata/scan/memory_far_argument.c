// The seventeenth argument is the address of a number; who is called is not known.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// gap: getpid getuid — what a callee that is not known writes
#include "freestanding.h"

typedef void fn(long,long,long,long,long,long,long,long,long,long,long,long,long,long,long,long,nr_t*);
NOINLINE void make(nr_t *where) { sys3(*where, 0, 0, 0); }
NOINLINE void change(long a,long b,long c,long d,long e,long f,long g,long h,long i,long j,long k,long l,long m,long n,long o,long p,nr_t*q) { *q = NR_getuid+((a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p)&0); }
static fn *volatile kept = change;

void run(long *stack) {
  nr_t number = NR_getpid;
  (void)stack;
  make(&number);
  kept(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,&number);
  make(&number);
  quit();
}
