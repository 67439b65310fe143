// Threads, a lock and output with a C library that is linked in: which calls it makes itself is
// its affair, but those of the thread and of its end are in the set.
// builds: musl-gcc -O0 -static | musl-gcc -O2 -static | musl-gcc -Os -static -s | musl-gcc -O2 | gcc -O2 -static | gcc -O2 -static -s | gcc -O2 -static-pie | gcc -O2 | gcc -O2 -no-pie
// scope: contains
// hosted: yes
// calls: clone exit futex mmap munmap mprotect getppid getpgrp exit_group
// run: some
// flags: -pthread
// not: reboot — in a function that is never called
#include <pthread.h>
#include <stdio.h>

#include "calls.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;

NOINLINE void KEEP(dead)(void) { sys0(NR_reboot); }

static void *work(void *argument) {
  for (int i = 0; i < 100; i++) {
    pthread_mutex_lock(&lock);
    total += (long)argument + sys0(NR_getpgrp);
    pthread_mutex_unlock(&lock);
  }
  return 0;
}

int main(void) {
  pthread_t threads[3];
  for (long i = 0; i < 3; i++)
    if (pthread_create(&threads[i], 0, work, (void *)i)) return 1;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
  printf("%d\n", total == 3 * sys0(NR_getppid));
  return 0;
}
