// A number from the outside, but behind comparisons that leave one, two or a range.
// builds: freestanding
// calls: read getpid getuid getgid 103 105 exit_group
// calls[aarch64]: io_setup getpid getuid geteuid getgid getegid exit_group
// run: some
// gap[x86_64 llvm]: none
// doubt[aarch64 llvm]: number — a range that begins below zero, of a choice by a conditional compare
// not: unlink — the other side of the comparison makes another call
#include "freestanding.h"

void run(long *stack) {
  nr_t a = stack[0] + 6, b = a;
  HIDE(b);
  if (a == NR_getpid) sys0(a);
  HIDE(a);
  if (!a) sys3(a, -1, 0, 0);
  HIDE(a);
  if (a >= NR_getuid && a <= NR_getuid + 3) sys1(a, -1);
  if (b != NR_getuid && b != NR_getpid) quit();
  sys0(b);
  quit();
}
