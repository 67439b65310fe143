// Functions that a C library calls back: at exit, in sorts and searches, in trees of files and of
// nodes, for signals, threads' ends, streams. Each makes a call that nothing else here makes.
// builds: gcc -O2 | gcc -O0 -no-pie | gcc -O2 -static | gcc -O2 -static -s | musl-gcc -O2 -static | musl-gcc -Os -static -s | musl-gcc -O2
// scope: contains
// hosted: yes
// flags: -pthread -D_GNU_SOURCE
// calls: personality times sched_get_priority_max getpgrp getsid getpriority sched_getscheduler sched_getparam getitimer getresuid getresgid getppid sysinfo exit_group
// run: all
// not: reboot swapoff — in a comparison that is never passed; in a handler that is never registered
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "calls.h"

static void at_exit(void) { sys1(SYS_personality, 0xffffffff); }
static int compare(const void *a, const void *b) {
  sys1(SYS_times, -1);
  return *(const int *)a - *(const int *)b;
}
static int find(const void *a, const void *b) {
  sys1(SYS_sched_get_priority_max, 0);
  return *(const int *)a - *(const int *)b;
}
int KEEP(never)(const void *a, const void *b) {
  sys0(NR_reboot);
  return a < b;
}
static void on_signal(int number) { sys1(NR_getpgrp, number); }
void KEEP(on_no_signal)(int number) { sys1(SYS_swapoff, number); }
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void only_once(void) { sys1(SYS_getsid, -1); }
static void forget(void *value) { sys2(SYS_getpriority, -1, (long)value); }
static void clean(void *value) { sys1(SYS_sched_getscheduler, -(long)(value != 0)); }
static int order(const void *a, const void *b) { return a < b ? -1 : a > b; }
static void walk(const void *node, VISIT visit, int depth) {
  (void)node, (void)visit;
  sys2(SYS_sched_getparam, -1, depth);
}
static int file(const char *path, const struct stat *status, int kind, struct FTW *where) {
  (void)path, (void)status, (void)where;
  sys2(SYS_getitimer, -1, kind);
  return 0;
}
static int choose(const struct dirent *entry) {
  sys3(SYS_getresuid, 0, 0, entry->d_ino & 0);
  return 1;
}
static ssize_t writer(void *cookie, const char *text, size_t size) {
  (void)text;
  sys3(SYS_getresgid, (long)cookie & 0, 0, 0);
  return (ssize_t)size;
}
static void *start(void *key) {
  pthread_setspecific(*(pthread_key_t *)key, key);
  pthread_cleanup_push(clean, key);
  sys0(NR_getppid);
  pthread_exit(0);
  pthread_cleanup_pop(1);
}
__attribute__((destructor)) static void at_end(void) { sys1(SYS_sysinfo, 0); }

int main(int count, char **arguments) {
  int values[3] = {3, count, 1}, key = 3;
  (void)arguments;
  atexit(at_exit);
  qsort(values, 3, sizeof values[0], compare);
  if (bsearch(&key, values, 3, sizeof values[0], find) == 0) return 1;
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, 0);
  raise(SIGUSR1);
  pthread_once(&once, only_once);
  pthread_key_t own;
  pthread_t thread;
  pthread_key_create(&own, forget);
  if (pthread_create(&thread, 0, start, &own)) return 2;
  pthread_join(thread, 0);
  void *root = 0;
  tsearch("one", &root, order);
  twalk(root, walk);
  nftw("/proc/self/task", file, 4, FTW_PHYS);
  struct dirent **names;
  scandir("/proc/self/task", &names, choose, alphasort);
  cookie_io_functions_t functions = {.write = writer};
  FILE *stream = fopencookie(0, "w", functions);
  if (!stream) return 3;
  fputs("text", stream);
  fclose(stream);
  return 0;
}
