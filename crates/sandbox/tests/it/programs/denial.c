/* The ways in which a program makes a call that its filter kills, or seems to. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int after;

__attribute__((noinline)) static void forbidden(void) {
  syscall(SYS_chroot, "/denied/path", 0x1111L, 0x2222L);
  after = 1;
}

static void *in_thread(void *arg) {
  (void)arg;
  forbidden();
  after = 2;
  return NULL;
}

static void *after_leader(void *arg) {
  pthread_join(*(pthread_t *)arg, NULL);
  forbidden();
  after = 2;
  return NULL;
}

static void *raise_in_thread(void *arg) {
  (void)arg;
  raise(SIGSYS);
  return NULL;
}

/* Runs for ever at a place and with registers that a killed call would leave. */
static void *stand(void *arg) {
  (void)arg;
#if defined __x86_64__
  __asm__ volatile("lea 1f(%%rip), %%rcx\n1: jmp 1b" : : : "rcx");
#elif defined __aarch64__
  register long number __asm__("x8") = SYS_chroot;
  __asm__ volatile("b 1f\nsvc #0\n1: b 1b" : : "r"(number));
#endif
  return NULL;
}

static void *wait_forever(void *arg) {
  (void)arg;
  while (after != 1000)
    pause();
  return NULL;
}

static void nothing(int signal) { (void)signal; }

static void handler(int signal) {
  (void)signal;
  forbidden();
  after = 3;
}

/* Room for code that somebody else puts here, on a page of its own. */
__attribute__((noinline, aligned(65536))) static long replaced(void) {
  __asm__ volatile(".fill 32, 1, 0x90");
  return 0;
}

/* Says where that is, and runs it when told to. */
static int run_replaced(int fd_out, int fd_in) {
  char byte;
  /* Newer kernels let nobody but a tracer write to what the program itself may not. */
  if (mprotect((void *)replaced, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
    return 14;
  dprintf(fd_out, "%d %lx\n", getpid(), (unsigned long)replaced);
  if (read(fd_in, &byte, 1) != 1)
    return 12;
  return replaced() > 0 ? 0 : 13;
}

static char **exec_arguments;

static void *exec_in_thread(void *arg) {
  (void)arg;
  execv(exec_arguments[0], exec_arguments);
  _exit(98);
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  char *self[] = {"self", NULL};
  pthread_t thread;
  if (!strcmp(way, "main")) {
    forbidden();
    after = 4;
  } else if (!strcmp(way, "thread")) {
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
  } else if (!strcmp(way, "leaderless")) {
    static pthread_t leader;
    leader = pthread_self();
    pthread_create(&thread, NULL, after_leader, &leader);
    pthread_exit(NULL);
  } else if (!strcmp(way, "raise")) {
    raise(SIGSYS);
  } else if (!strcmp(way, "raise-thread")) {
    pthread_create(&thread, NULL, raise_in_thread, NULL);
    wait_forever(NULL);
  } else if (!strcmp(way, "raise-beside")) {
    clockid_t clock;
    struct timespec used;
    pthread_create(&thread, NULL, stand, NULL);
    pthread_getcpuclockid(thread, &clock);
    /* It has nothing else to use its time for. */
    do
      clock_gettime(clock, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 20 * 1000 * 1000);
    raise(SIGSYS);
  } else if (!strcmp(way, "raise-blocked")) {
    pthread_create(&thread, NULL, wait_forever, NULL);
    kill(getpid(), SIGSYS);
    wait_forever(NULL);
  } else if (!strcmp(way, "raise-handled-then-denied")) {
    signal(SIGSYS, nothing);
    raise(SIGSYS);
    forbidden();
  } else if (!strcmp(way, "child")) {
    pid_t child = fork();
    if (!child) {
      forbidden();
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 7 : 8;
#ifdef __x86_64__
  } else if (!strcmp(way, "int80")) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L));
    return 9;
#endif
  } else if (!strcmp(way, "execve")) {
    char *none[] = {NULL};
    execve("/proc/self/exe", self, none);
    return 10;
  } else if (!strncmp(way, "execveat", 8)) {
    int fd = open("/proc/self/exe", O_RDONLY);
    long cookie = !strcmp(way, "execveat-cookie-1") ? 1 : 0;
    char *none[] = {NULL};
    syscall(SYS_execveat, fd, "", self, none, AT_EMPTY_PATH, cookie);
    return 11;
  } else if (!strcmp(way, "exec-self")) {
    execv(argv[2], argv + 2);
  } else if (!strcmp(way, "exec-self-from-thread")) {
    exec_arguments = argv + 2;
    pthread_create(&thread, NULL, exec_in_thread, NULL);
    wait_forever(NULL);
  } else if (!strcmp(way, "vfork-exec-self")) {
    pid_t child = vfork();
    if (!child) {
      execv(argv[2], argv + 2);
      _exit(98);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 7 : 8;
  } else if (!strcmp(way, "replaced")) {
    return run_replaced(atoi(argv[2]), atoi(argv[3]));
  } else if (!strcmp(way, "in-handler")) {
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    after = 5;
  }
  return 99;
}
