// Contexts that are switched with the C library's functions: started at a function's first
// instruction by a return, resumed in the middle.
// builds: gcc -O2 | gcc -O0 -no-pie | gcc -O2 -static -s
// scope: contains
// gap[x86_64]: times getsid — a frame that may be returned to again keeps no values between two calls
// hosted: yes
// flags: -D_GNU_SOURCE
// calls: getppid getpgrp getsid times exit_group
// run: all
// not: reboot — in a function that is never called
#include <setjmp.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "calls.h"

static ucontext_t main_context, other;
static char stack[65536];
static jmp_buf place;

void KEEP(never)(void) { sys0(NR_reboot); }

static void body(void) {
  sys0(NR_getppid);
  swapcontext(&other, &main_context);
  sys0(NR_getpgrp);
}
NOINLINE void back(int value) { longjmp(place, value); }

int main(void) {
  getcontext(&other);
  other.uc_stack.ss_sp = stack;
  other.uc_stack.ss_size = sizeof stack;
  other.uc_link = &main_context;
  makecontext(&other, body, 0);
  swapcontext(&main_context, &other);
  sys1(SYS_getsid, -1);
  swapcontext(&main_context, &other);
  if (setjmp(place) == 0) back(1);
  else sys1(SYS_times, -1);
  return 0;
}
