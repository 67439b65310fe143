// A function's address is stored into thread-local storage as an immediate and called from there.
// builds: gcc -O2 -no-pie -fno-pie | gcc -O2 -static -fno-pie | musl-gcc -O2 -static -fno-pie | gcc -O2 | gcc -O0 -no-pie
// hosted: yes
// scope: contains
// calls: getppid getpgrp exit_group
// run: all
#include "calls.h"

typedef void (*function)(long);

static void first(long x) { sys1(NR_getppid, x); }
static void second(long x) { sys1(NR_getpgrp, x); }
static const function table[] = {second};
static __thread function hook;
static __thread const function *hooks;

NOINLINE void use(long x) {
  hook(x);
  hooks[0](x);
}

int main(int count, char **arguments) {
  (void)arguments;
  hook = first;
  hooks = table;
  use(count);
  return 0;
}
