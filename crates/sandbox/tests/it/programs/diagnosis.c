/* Answers of a filter other than the end of the process, and what only looks like one. Each way ends with a code
 * that says what the program itself saw. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* siginfo.h has it for the kernel only in old C libraries. */
#define FROM_FILTER 1

static volatile int after;

__attribute__((noinline)) static long forbidden(void) {
  long value = syscall(SYS_chroot, "/denied/path", 0x1111L, 0x2222L);
  after = 1;
  return value;
}

static int failed_with(int expected) {
  errno = 0;
  return forbidden() == -1 && errno == expected;
}

static void *in_thread(void *arg) {
  (void)arg;
  prctl(PR_SET_NAME, "wor\033ker");
  forbidden();
  after = 2;
  return NULL;
}

/* A filter of this program's own. */
static int filter_own(unsigned answer) {
  struct sock_filter rows[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chroot, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof rows / sizeof *rows, rows};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void *wait_forever(void *end) {
  char byte;
  /* Nothing is written there. */
  if (read(*(int *)end, &byte, 1) < 0)
    after = 4;
  return NULL;
}

static siginfo_t got;

static void take(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)context;
  got = *info;
  after = 3;
}

static void handle(void) {
  struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, NULL);
}

/* A signal that says it came from a filter, for a call that was not made. */
static void pretend(void) {
  siginfo_t info = {.si_signo = SIGSYS, .si_code = FROM_FILTER};
  info.si_syscall = SYS_chroot;
  info.si_call_addr = (void *)forbidden;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGSYS, &info);
}

#if defined __x86_64__
/* mov eax, N; syscall; ret */
static const unsigned char CODE[] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3};
static void number(unsigned char *at, unsigned value) { memcpy(at + 1, &value, 4); }
#elif defined __aarch64__
/* movz w8, N; svc 0; ret */
static const unsigned char CODE[] = {8, 0, 0x80, 0x52, 1, 0, 0, 0xd4, 0xc0, 3, 0x5f, 0xd6};
static void number(unsigned char *at, unsigned value) {
  unsigned word = 0x52800008 | value << 5;
  memcpy(at, &word, 4);
}
#endif

/* One call at a thousand places, then another one. */
static int flood(void) {
  enum { PLACES = 1000, ROOM = 16 };
  unsigned char *code = mmap(NULL, PLACES * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED)
    return 20;
  for (int i = 0; i < PLACES; i++) {
    memcpy(code + i * ROOM, CODE, sizeof CODE);
    number(code + i * ROOM, SYS_getppid);
  }
  if (mprotect(code, PLACES * ROOM, PROT_READ | PROT_EXEC))
    return 21;
  __builtin___clear_cache((char *)code, (char *)code + PLACES * ROOM);
  for (int i = 0; i < PLACES; i++)
    if (((long (*)(void))(code + i * ROOM))() != -EACCES)
      return 22;
  return failed_with(EACCES) ? 5 : 23;
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  pthread_t thread;
  sigset_t all;
  int status;
  sigfillset(&all);
  if (!strcmp(way, "errno")) {
    for (int i = 0; i < 3; i++)
      if (!failed_with(EACCES))
        return 10;
    return 5;
  } else if (!strcmp(way, "thread")) {
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    /* A thread that was killed wakes who waits for it all the same. */
    return after == 0 ? 6 : 11;
  } else if (!strcmp(way, "main")) {
    forbidden();
    return 12;
  } else if (!strcmp(way, "handled")) {
    handle();
    forbidden();
    if (after != 1 || got.si_code != FROM_FILTER || got.si_syscall != SYS_chroot || got.si_errno != 7)
      return 13;
    /* Behind the instruction that made the call, in the C library. */
    return got.si_call_addr != NULL && got.si_arch != 0 ? 5 : 14;
  } else if (!strcmp(way, "blocked")) {
    sigprocmask(SIG_BLOCK, &all, NULL);
    forbidden();
    return 15;
  } else if (!strcmp(way, "ignored")) {
    signal(SIGSYS, SIG_IGN);
    forbidden();
    return 16;
  } else if (!strcmp(way, "pretended")) {
    pretend();
    return 17;
  } else if (!strcmp(way, "pretended-handled")) {
    handle();
    pretend();
    return after == 3 ? 5 : 18;
  } else if (!strcmp(way, "sent")) {
    pid_t child = fork();
    if (!child)
      for (;;)
        pause();
    kill(child, SIGSYS);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 5 : 19;
  } else if (!strcmp(way, "thinned-then-raised")) {
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    raise(SIGSYS);
  } else if (!strcmp(way, "thinned-then-killed")) {
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    raise(SIGKILL);
  } else if (!strcmp(way, "vfork")) {
    pid_t child = vfork();
    if (!child) {
      syscall(SYS_chroot, "/denied/path", 0x1111L, 0x2222L);
      _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 7 : 8;
  } else if (!strcmp(way, "own-kill")) {
    int ends[2];
    /* Another one that stands in a call of its own. */
    if (pipe(ends) || pthread_create(&thread, NULL, wait_forever, &ends[0]) || filter_own(SECCOMP_RET_KILL_PROCESS))
      return 24;
    forbidden();
    return 25;
  } else if (!strcmp(way, "own-kill-thread")) {
    if (filter_own(SECCOMP_RET_KILL_THREAD))
      return 24;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    return after == 0 ? 6 : 25;
  } else if (!strcmp(way, "own-only-thread")) {
    if (filter_own(SECCOMP_RET_KILL_THREAD))
      return 24;
    forbidden();
    return 25;
  } else if (!strcmp(way, "own-child")) {
    pid_t child = fork();
    if (!child) {
      filter_own(SECCOMP_RET_KILL_PROCESS);
      forbidden();
      _exit(25);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 7 : 8;
  } else if (!strcmp(way, "own-raised")) {
    if (filter_own(SECCOMP_RET_KILL_PROCESS))
      return 24;
    raise(SIGSYS);
    return 25;
  } else if (!strcmp(way, "flood")) {
    return flood();
  }
  return 99;
}
