/* What a program sees of being observed; each wrong thing has a code of its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int outside(void) {
  pid_t first = 0;
  for (int i = 0; i < 3; i++) {
    pid_t parent = getppid();
    if (parent <= 0 || (first && parent != first))
      return 10;
    first = parent;
  }
  return 0;
}

static int refused(long result, int expected) { return result != -1 || errno != expected; }

static int core(void) {
  if (refused(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM))
    return 20;
  if (refused(syscall(SYS_unshare, CLONE_NEWUTS), EPERM))
    return 21;
  if (refused(syscall(SYS_mount, "none", "/", "tmpfs", 0x1000, 0), EPERM))
    return 22;
  if (refused(syscall(SYS_bpf, -1, 0, 0), EPERM))
    return 23;
  if (refused(syscall(SYS_seccomp, 99, 0, 0), EPERM))
    return 24;
  if (refused(syscall(SYS_setns, -1, 0), EPERM))
    return 25;
  if (refused(syscall(SYS_keyctl, 999, 0), EPERM))
    return 26;
  if (refused(syscall(SYS_open_by_handle_at, -1, 0, 0), EPERM))
    return 27;
  if (refused(syscall(SYS_io_uring_setup, 1, 0), ENOSYS))
    return 28;
  if (refused(syscall(SYS_clone3, 0, 0), ENOSYS))
    return 29;
  if (refused(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0), EPERM))
    return 30;
  pid_t child = fork();
  if (child == 0)
    _exit(0);
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || status)
    return 31;
  return 0;
}

/* A child sends signals while the parent waits; its end is a SIGCHLD as well. */
static void send_signals(int signal) {
  pid_t parent = getpid();
  if (fork())
    return;
  struct timespec pause = {0, 20 * 1000 * 1000};
  for (int i = 0; i < 5; i++) {
    nanosleep(&pause, NULL);
    kill(parent, signal);
  }
  _exit(0);
}

static void handler(int signal) { (void)signal; }

/* No other signal comes before it has returned. */
static void handler_that_raises(int signal) {
  (void)signal;
  raise(SIGUSR1);
}

static pid_t forked = -1;

static void handler_that_forks(int signal) {
  forked = fork();
  if (forked == 0)
    handler_that_raises(signal);
}

/* A wait that lets in SIGUSR2, which has the handler and was raised before; with SIGUSR1, which is ignored
 * and comes first (the lower number), if that was raised as well. */
static int wait_with(void (*handler)(int), int ignored_first) {
  struct sigaction action = {.sa_handler = handler};
  sigfillset(&action.sa_mask);
  sigaction(SIGUSR2, &action, NULL);
  signal(SIGUSR1, SIG_IGN);
  sigset_t blocked, none;
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  if (ignored_first)
    sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_SETMASK, &blocked, NULL);
  if (ignored_first)
    raise(SIGUSR1);
  raise(SIGUSR2);
  int epoll = epoll_create1(0);
  struct epoll_event event;
  return epoll_pwait(epoll, &event, 1, 5000, &none) == -1 && errno == EINTR ? 0 : 47;
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  if (!strcmp(way, "outside"))
    return outside();
  if (!strcmp(way, "core"))
    return core();
  if (!strcmp(way, "epoll")) {
    int epoll = epoll_create1(0);
    struct epoll_event event;
    send_signals(SIGWINCH);
    return epoll_wait(epoll, &event, 1, 300) == 0 ? 0 : 40;
  }
  if (!strcmp(way, "sigtimedwait")) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, SIG_IGN);
    struct timespec limit = {0, 300 * 1000 * 1000};
    send_signals(SIGUSR1);
    return sigtimedwait(&set, NULL, &limit) == -1 && errno == EAGAIN ? 0 : 41;
  }
  if (!strcmp(way, "semaphore")) {
    int id = semget(IPC_PRIVATE, 1, 0600);
    if (id < 0)
      return 42;
    struct sembuf take = {0, -1, 0};
    struct timespec limit = {0, 300 * 1000 * 1000};
    send_signals(SIGURG);
    int result = semtimedop(id, &take, 1, &limit);
    int error = errno;
    semctl(id, 0, IPC_RMID);
    return result == -1 && error == EAGAIN ? 0 : 43;
  }
  if (!strcmp(way, "receive")) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
      return 44;
    struct timeval limit = {0, 300 * 1000};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char byte;
    send_signals(SIGCHLD);
    return recv(pair[0], &byte, 1, 0) == -1 && errno == EAGAIN ? 0 : 45;
  }
  if (!strcmp(way, "handled")) {
    signal(SIGWINCH, handler);
    int epoll = epoll_create1(0);
    struct epoll_event event;
    send_signals(SIGWINCH);
    return epoll_wait(epoll, &event, 1, 5000) == -1 && errno == EINTR ? 0 : 46;
  }
  if (!strcmp(way, "ignored_first"))
    return wait_with(handler, 1);
  if (!strcmp(way, "ignored_in_handler"))
    return wait_with(handler_that_raises, 0);
  if (!strcmp(way, "forked")) {
    int seen = wait_with(handler_that_forks, 0);
    int status;
    if (forked > 0 && (waitpid(forked, &status, 0) != forked || status))
      return 48;
    return seen || forked < 0;
  }
  return 99;
}
