// The main function, which the C library enters because the start code says so, and a thread with the
// name of its start routine.
// builds: musl-gcc -O0 -static | musl-gcc -O2 -static | gcc -O2 -static | gcc -O2 | musl-gcc -O2
// scope: contains
// hosted: yes
// calls: getppid getpgrp clone exit exit_group
// phase: main/main getppid clone exit_group -getpgrp
// phase: work/main getpgrp exit
// run: some
// flags: -pthread
#include <pthread.h>

#include "calls.h"

static void *work(void *argument) {
  sys0(NR_getpgrp);
  return argument;
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, 0, work, 0)) return 1;
  pthread_join(thread, 0);
  return sys0(NR_getppid) < 0;
}
