// More functions that a C library calls back: of timers, forks, clones, formats, loaded objects, patterns,
// options and quick exits. Each makes a call that nothing else here makes.
// builds: gcc -O2 | gcc -O0 -no-pie | gcc -O2 -no-pie -fno-pie | gcc -O2 -static | gcc -O2 -static -s
// scope: contains
// hosted: yes
// flags: -pthread -D_GNU_SOURCE
// calls: personality times sched_get_priority_max getpgrp getsid getpriority sched_getscheduler sched_getparam getresuid getresgid getppid exit_group
// run: all
// run[aarch64]: some
// not: reboot — in a function that nobody passes
#include <argp.h>
#include <glob.h>
#include <link.h>
#include <printf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

static volatile int expired;

static void at_quick_end(void) { sys1(SYS_personality, 0xffffffff); }
static void timer(union sigval value) {
  sys1(SYS_times, value.sival_int - 1);
  expired = 1;
}
static int child(void *x) { return (int)sys1(SYS_sched_get_priority_max, (long)x & 0); }
static void prepare(void) { sys0(NR_getpgrp); }
static void in_parent(void) { sys1(SYS_getsid, 0); }
static void in_child(void) { sys2(SYS_getpriority, 0, 0); }
static int object(struct dl_phdr_info *info, unsigned long size, void *data) {
  (void)size;
  sys1(SYS_sched_getscheduler, (long)info->dlpi_phnum * (long)data * 0);
  return 0;
}
static int failed(const char *path, int error) {
  sys2(SYS_sched_getparam, 0, (long)path * 0);
  return error == 12345;
}
static int print(FILE *file, const struct printf_info *info, const void *const *arguments) {
  (void)info, (void)arguments;
  sys3(SYS_getresuid, 0, 0, 0);
  return fprintf(file, "x");
}
static int size(const struct printf_info *info, unsigned long n, int *types, int *sizes) {
  (void)info;
  if (n > 0) types[0] = PA_INT, sizes[0] = sizeof(int);
  return 1;
}
static error_t option(int key, char *argument, struct argp_state *state) {
  (void)argument, (void)state;
  if (key == 'a') sys3(SYS_getresgid, 0, 0, 0);
  return 0;
}
void KEEP(never)(void) { sys0(NR_reboot); }

int main(int count, char **arguments) {
  static char stack[65536];
  at_quick_exit(at_quick_end);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = timer};
  timer_t id;
  if (timer_create(CLOCK_MONOTONIC, &event, &id)) return 1;
  struct itimerspec soon = {{0, 0}, {0, 1000000}};
  timer_settime(id, 0, &soon, 0);
  int pid = clone(child, stack + sizeof stack, SIGCHLD, arguments);
  waitpid(pid, 0, 0);
  pthread_atfork(prepare, in_parent, in_child);
  pid = fork();
  if (!pid) _exit(0);
  waitpid(pid, 0, 0);
  dl_iterate_phdr(object, (void *)(long)count);
  glob_t found;
  static char pattern[400]; // too long for a directory's name
  for (int i = 0; i < 390; i++) pattern[i] = 'x';
  pattern[390] = '/', pattern[391] = '*';
  glob(pattern, GLOB_ERR, failed, &found);
  register_printf_specifier('Y', print, size);
  static volatile char format[] = "%Y\n";
  printf((const char *)format, count);
  static const struct argp_option options[] = {{"all", 'a', 0, 0, "all", 0}, {0}};
  static const struct argp parser = {.options = options, .parser = option};
  char *words[] = {"program", "-a", 0};
  argp_parse(&parser, 2, words, 0, 0, 0);
  while (!expired) usleep(1000);
  sys0(NR_getppid);
  quick_exit(0);
}
