// A thread that ends in the middle, by itself or because it is cancelled, unwinds its frames: cleanups run.
// builds: gcc -O2 | gcc -O0 -no-pie | gcc -O2 -static | gcc -O2 -static -s
// hosted: yes
// scope: contains
// flags: -pthread -fexceptions
// calls: getppid getpgrp gettid getegid exit exit_group
// run: all
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "calls.h"

static void ended(long *x) { sys1(NR_getppid, *x); }
static void cancelled(long *x) { sys1(NR_getpgrp, *x); }
static void handler(void *x) { sys1(NR_gettid, (long)x); }

NOINLINE void deep(long x) {
  if (x) pthread_exit(0);
}
static void *ends(void *x) {
  __attribute__((cleanup(ended))) long y = (long)x + 1;
  deep(y);
  return 0;
}
static int ready;
static void *waits(void *x) {
  __attribute__((cleanup(cancelled))) long y = (long)x;
  pthread_cleanup_push(handler, x);
  __atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
  for (;;) pause();
  pthread_cleanup_pop(0);
  return (void *)y;
}

int main(int count, char **arguments) {
  pthread_t one, two;
  (void)arguments;
  if (pthread_create(&one, 0, ends, (void *)(long)count) || pthread_create(&two, 0, waits, 0)) return 1;
  pthread_join(one, 0);
  // One that is cancelled before it begins has no frame to unwind.
  while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST)) sched_yield();
  pthread_cancel(two);
  pthread_join(two, 0);
  sys0(NR_getegid);
  return 0;
}
