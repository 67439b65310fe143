/* POSIX threads, condition variables, thread-specific data and cancellation. Built static with glibc. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 6, ROUNDS = 500 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long total;
static int ended;
static int freed;

static void release(void *value) {
  pthread_mutex_lock(&lock);
  freed++;
  pthread_mutex_unlock(&lock);
  free(value);
}

static void make_key(void) { pthread_key_create(&key, release); }

static void *work(void *argument) {
  long number = (long)argument;
  pthread_once(&once, make_key);
  pthread_setspecific(key, malloc(64));
  for (int round = 0; round < ROUNDS; round++) {
    pthread_mutex_lock(&lock);
    total += number;
    pthread_mutex_unlock(&lock);
    sched_yield();
  }
  pthread_mutex_lock(&lock);
  ended++;
  pthread_cond_signal(&more);
  pthread_mutex_unlock(&lock);
  return argument;
}

static void *forever(void *argument) {
  for (;;)
    pause();
  return argument;
}

int main(void) {
  pthread_t workers[WORKERS], idle;
  for (long number = 0; number < WORKERS; number++)
    if (pthread_create(&workers[number], NULL, work, (void *)(number + 1)) != 0)
      return 1;
  pthread_mutex_lock(&lock);
  while (ended < WORKERS)
    pthread_cond_wait(&more, &lock);
  pthread_mutex_unlock(&lock);
  for (int number = 0; number < WORKERS; number++)
    pthread_join(workers[number], NULL);

  if (pthread_create(&idle, NULL, forever, NULL) != 0)
    return 1;
  pthread_cancel(idle);
  void *result;
  pthread_join(idle, &result);

  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&lock);
  int late = pthread_cond_timedwait(&more, &lock, &until);
  pthread_mutex_unlock(&lock);
  printf("total %ld, freed %d, cancelled %d, timed out %d\n", total, freed,
         result == PTHREAD_CANCELED, late == ETIMEDOUT);
  return 0;
}
