// A library's own names of operations are turned into the kernel's by a switch.
// builds: gcc -O0 | gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -O3 -fcf-protection=none -fomit-frame-pointer | gcc -O2 -static-pie | gcc -O0 -static-pie -s | musl-gcc -O2 -fno-omit-frame-pointer
// calls: fcntl exit_group
// tuples: fcntl _ 1; fcntl _ 3; fcntl _ 0x406
// run: some
#include "freestanding.h"

enum operation { FLAGS = 100, STATUS, COPY, OWNER };

NOINLINE long control(int fd, enum operation what) {
  switch (what) {
    case FLAGS: return sys3(NR_fcntl, fd, 1, 0);
    case STATUS: return sys3(NR_fcntl, fd, 3, 0);
    case COPY: return sys3(NR_fcntl, fd, 0x406, 0);
    default: return -1;
  }
}

void run(long *stack) {
  control(0, (enum operation)stack[0]);
  control(1, FLAGS);
  sys1(NR_exit_group, 0);
}
