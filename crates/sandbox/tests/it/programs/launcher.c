/* A program whose launcher is looked at. Left alone it ends by itself, and says so. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t code;

static void ended(int signal) {
  code = signal == SIGTERM ? 50 : signal == SIGHUP ? 51 : signal == SIGINT ? 52 : 53;
  _exit(code);
}

static void alone(int signal) {
  (void)signal;
  static const char text[] = "alive\n";
  if (write(1, text, sizeof text - 1) < 0)
    _exit(71);
  _exit(70);
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  signal(SIGTERM, ended);
  signal(SIGHUP, ended);
  signal(SIGINT, ended);
  signal(SIGUSR1, ended);
  signal(SIGALRM, alone);
  alarm(8);
  if (strcmp(way, "leave-child"))
    dprintf(1, "program %d\n", getpid());
  if (!strcmp(way, "wait")) {
    for (;;)
      pause();
  } else if (!strcmp(way, "suspend")) {
    raise(SIGTSTP);
    return 6;
  } else if (!strcmp(way, "leave-child")) {
    int ready[2];
    char byte;
    if (pipe(ready))
      return 72;
    if (!fork()) {
      alarm(8);
      if (write(ready[1], "r", 1) != 1)
        _exit(73);
      for (;;)
        pause();
    }
    if (read(ready[0], &byte, 1) != 1)
      return 74;
    dprintf(1, "program %d\n", getpid());
    return 8;
  } else if (!strcmp(way, "fail")) {
    return 9;
  } else if (!strcmp(way, "denied")) {
    syscall(SYS_chroot, "/");
  }
  return 99;
}
