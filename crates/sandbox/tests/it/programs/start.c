/* exit N | raise SIGNAL | use | state FD IGNORED: the ways in which a program starts and ends. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int use(void) {
  size_t size = 64 << 20;
  volatile char *memory = malloc(size);
  for (size_t i = 0; i < size; i += 4096)
    memory[i] = 1;
  struct timespec t;
  do
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  while (t.tv_sec == 0 && t.tv_nsec < 50 * 1000 * 1000);
  return 0;
}

/* Each wrong thing has a code of its own. */
static int state(int kept, unsigned long ignored) {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
    return 10;
  static const int signals[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,  SIGUSR1, SIGUSR2,
                                SIGALRM, SIGCONT, SIGTSTP, SIGPIPE, SIGWINCH};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction a;
    /* What whoever started the launcher ignores stays so (nohup); SIGPIPE only Rust ignores. */
    int inherited = signals[i] != SIGPIPE && (ignored >> (signals[i] - 1)) & 1;
    if (sigaction(signals[i], NULL, &a) || a.sa_handler != (inherited ? SIG_IGN : SIG_DFL))
      return 20 + i;
  }
  sigset_t mask, empty;
  sigemptyset(&empty);
  if (sigprocmask(SIG_SETMASK, NULL, &mask) || memcmp(&mask, &empty, sizeof(long)))
    return 40;
  if (fcntl(kept, F_GETFD) != 0)
    return 41;
  for (int fd = 3; fd < 1024; fd++)
    if (fd != kept && fcntl(fd, F_GETFD) != -1)
      return 42;
  const char *probe = getenv("PROBE");
  if (!probe || strcmp(probe, "kept"))
    return 43;
  if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
    return 44;
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && !strcmp(argv[1], "exit"))
    return atoi(argv[2]);
  if (argc > 2 && !strcmp(argv[1], "raise"))
    raise(atoi(argv[2]));
  if (argc > 1 && !strcmp(argv[1], "use"))
    return use();
  if (argc > 3 && !strcmp(argv[1], "state"))
    return state(atoi(argv[2]), strtoul(argv[3], NULL, 16));
  return 99;
}
