// Division by a constant as compilers write it: a multiplication whose upper part is shifted.
// builds: gcc -O0 | gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -O3 -fcf-protection=none -fomit-frame-pointer | gcc -O2 -static-pie | gcc -O0 -static-pie -s | musl-gcc -O2 -fno-omit-frame-pointer
// calls: getpid getgid exit_group
// run: all
#include "freestanding.h"

void run(long *stack) {
  unsigned small = NR_getpid * 10 + 7;
  int below = -NR_getgid * 10;
  (void)stack;
  HIDE(small);
  HIDE(below);
  sys0(small / 10);
  sys0(-(below / 10));
  quit();
}
