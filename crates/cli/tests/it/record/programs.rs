//! Programs that make a few calls each of which nothing else makes.

/// Four threads with many calls each, and then one that is new to all but the first.
///
/// A thread that has ended is waited for without a call: whether pthread_join(3) makes one is chance.
pub(crate) const BUSY: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <sys/syscall.h>

static pthread_barrier_t all;

static void *busy(void *own) {
  for (int i = 0; i < 20000; i++) syscall(SYS_getppid);
  pthread_barrier_wait(&all);
  fcntl(-1, F_GETOWN);
  if (own) sched_yield();
  else syscall(SYS_getpgid, 0), getpgrp();
  return 0;
}

int main(void) {
  pthread_t threads[3];
  pthread_barrier_init(&all, 0, 4);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], 0, busy, &all);
  busy(0);
  for (int i = 0; i < 3; i++)
    while (pthread_tryjoin_np(threads[i], 0) == EBUSY) {}
  return 0;
}
"#;

/// Children by fork, vfork and posix_spawn, one of them another program, after its parent's filter.
pub(crate) const CHILDREN: &str = r#"
#define _GNU_SOURCE
#include <sched.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
  if (argc > 1) {
    syscall(SYS_getppid);
    return 0;
  }
  char *other[] = {"./other", "x", 0};
  if (fork() == 0) {
    getpgrp();
    _exit(0);
  }
  wait(0);
  for (int i = 0; i < 20000; i++) syscall(SYS_getppid);
  if (fork() == 0) {
    getsid(0);
    if (fork() == 0) {
      getpriority(PRIO_PROCESS, 0);
      _exit(0);
    }
    wait(0);
    execve(other[0], other, environ);
    _exit(1);
  }
  wait(0);
  if (vfork() == 0) {
    execve(other[0], other, environ);
    _exit(1);
  }
  wait(0);
  pid_t pid;
  posix_spawn(&pid, other[0], 0, 0, other, environ);
  waitpid(pid, 0, 0);
  sched_yield();
  return 0;
}
"#;

/// Children by vfork that execute nothing: one exits, one is killed, and one leaves a thread behind, which waits for
/// its creator to go on.
pub(crate) const VFORKS: &str = r#"
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char stack[1 << 16] __attribute__((aligned(16)));
static volatile int goes_on;

static int waits(void *unused) {
  do syscall(SYS_sched_yield);
  while (!goes_on);
  syscall(SYS_getpgid, 0);
  syscall(SYS_exit, 0);
  return 0;
}

int main(void) {
  int status;
  if (vfork() == 0) _exit(3);
  if (wait(&status) < 0 || WEXITSTATUS(status) != 3) return 1;
  if (vfork() == 0) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    _exit(0);
  }
  if (wait(&status) < 0 || WTERMSIG(status) != SIGKILL) return 2;
  if (vfork() == 0) {
    clone(waits, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0);
    syscall(SYS_exit, 0);
  }
  goes_on = 1;
  if (wait(&status) < 0 || !WIFEXITED(status)) return 3;
  syscall(SYS_getsid, 0);
  return 0;
}
"#;

/// Does much, its memory grows and moves, and then it becomes another program.
pub(crate) const BECOMES: &str = r#"
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/mman.h>

int main(void) {
  char *other[] = {"./other", 0};
  char *memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 600; i++) getpgrp();
  for (size_t pages = 1; pages < 20; pages++) {
    memory = mremap(memory, pages * 4096, (pages + 1) * 4096, MREMAP_MAYMOVE);
    if (memory == MAP_FAILED) return 1;
    for (int i = 0; i < 50; i++) getpgrp();
  }
  execve(other[0], other, 0);
  return 1;
}
"#;

/// Starts others and does little beside, and then runs code that it did not have before: in the same task, or in a
/// thread of it.
pub(crate) const GROWS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* sched_yield(), which nothing else makes. */
static const unsigned char code[] = {
#ifdef __x86_64__
  0xb8, SYS_sched_yield, 0, 0, 0, 0x0f, 0x05, 0xc3
#else
  /* movz w8, number; svc 0; ret */
  8 | (SYS_sched_yield & 7) << 5, SYS_sched_yield >> 3, 0x80, 0x52,
  0x01, 0, 0, 0xd4, 0xc0, 0x03, 0x5f, 0xd6
#endif
};

static void *grows(void *unused) {
  char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code);
  __builtin___clear_cache(page, page + sizeof code);
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC)) _exit(1);
  ((void (*)(void))page)();
  return unused;
}

static void start(int child_executes) {
  char *other[] = {"./other", 0};
  if (vfork() == 0) {
    if (child_executes) execve(other[0], other, 0);
    _exit(child_executes);
  }
  wait(0);
}

int main(int argc, char **argv) {
  for (int i = 0; i < 300; i++) start(i % 30 == 0);
  getsid(0);
  for (int i = 0; i < 10; i++) start(1);
  if (argc > 1) {
    pthread_t thread;
    if (pthread_create(&thread, 0, grows, 0)) return 1;
    while (pthread_tryjoin_np(thread, 0) == EBUSY) {}
  } else {
    grows(0);
  }
  for (int i = 0; i < 10; i++) start(0);
  getpgrp();
  return 0;
}
"#;

/// A filter of its own, after many calls, that denies one.
pub(crate) const DENIES: &str = r#"
#include <errno.h>
#include <stddef.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int main(void) {
  for (int i = 0; i < 20000; i++) syscall(SYS_getppid);
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 2;
  for (int i = 0; i < 2000; i++) syscall(SYS_getppid);
  return !(acct(0) == -1 && errno == EACCES);
}
"#;

/// Asks to be traced.
pub(crate) const TRACES: &str = r#"
#include <errno.h>
#include <sys/ptrace.h>

int main(void) {
  return !(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
}
"#;

/// A child that stops and is continued, and a handler that interrupts many calls.
pub(crate) const STOPS: &str = r#"
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile int handled;
static void handle(int signal) { handled++; }

int main(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    _exit(3);
  }
  waitpid(child, &status, WUNTRACED);
  if (WIFSTOPPED(status)) printf("stopped ");
  kill(child, SIGCONT);
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) printf("continued ");
  signal(SIGUSR1, handle);
  for (int i = 0; i < 300; i++) {
    for (int n = 0; n < 20; n++) syscall(SYS_getppid);
    kill(getpid(), SIGUSR1);
  }
  printf("handled %d\n", handled);
  return 0;
}
"#;

/// Ends with a code, or by a signal.
pub(crate) const ENDS: &str = r#"
#include <signal.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc > 2) raise(atoi(argv[1]));
  return atoi(argv[1]);
}
"#;

/// Says that it waits, and waits.
pub(crate) const WAITS: &str = r#"
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>

int main(void) {
  getpgrp();
  write(1, "waiting\n", 8);
  for (;;) pause();
}
"#;

/// Ends with 1 when something lies below the stack with which it begins; makes a call more once there is a file.
/// It has no C library, which would have used that stack before.
pub(crate) const AGAIN: &str = r#"
static long call(long number, long a, long b) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
    return x0;
#endif
}
#include <sys/syscall.h>
#include <fcntl.h>
void _start(void) {
    volatile char *stack = __builtin_frame_address(0);
    int code = 0;
    for (int i = 512; i < 32768; i++) code |= stack[-i] != 0;
    if (call(SYS_truncate, (long)"there", 0) == 0) call(SYS_getpid, 0, 0);
    for (int i = 0; i < 30; i++) call(SYS_getuid, 0, 0);
    call(SYS_exit_group, code, 0);
    __builtin_unreachable();
}
"#;

/// Says whether something stands behind the end of its vdso, and ends by 1 when a register, a flag or what lies below
/// its stack is not as it is in a program that begins.
pub(crate) const FRESH: &str = r#"
#include <elf.h>
#include <sys/syscall.h>
unsigned long registers[16];
char own[65536];
__asm__(
  ".globl _start\n_start:\n"
  "mov %rax, registers(%rip)\n mov %rbx, registers+8(%rip)\n mov %rcx, registers+16(%rip)\n"
  "mov %rdx, registers+24(%rip)\n mov %rsi, registers+32(%rip)\n mov %rdi, registers+40(%rip)\n"
  "mov %rbp, registers+48(%rip)\n mov %r8, registers+56(%rip)\n mov %r9, registers+64(%rip)\n"
  "mov %r10, registers+72(%rip)\n mov %r11, registers+80(%rip)\n mov %r12, registers+88(%rip)\n"
  "mov %r13, registers+96(%rip)\n mov %r14, registers+104(%rip)\n mov %r15, registers+112(%rip)\n"
  "mov %rsp, %rdi\n lea own+65536(%rip), %rsp\n pushf\n pop registers+120(%rip)\n call look\n");
static void call(long number, long a, const void *b, long c) {
  __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
}
void look(unsigned long *stack) {
  int changed = registers[15] != 0x202;
  for (int i = 0; i < 15; i++) changed |= registers[i] != 0;
  for (int i = 1; i < 1024; i++) changed |= ((volatile unsigned long *)stack)[-i] != 0;
  unsigned long *vector = stack + stack[0] + 2;
  while (*vector++) ;
  while (*vector != 33) vector += 2;
  Elf64_Ehdr *vdso = (void *)vector[1];
  unsigned long at = vdso->e_shoff + (unsigned long)vdso->e_shnum * vdso->e_shentsize;
  int more = 0;
  for (; at % 4096; at++) more |= ((volatile char *)vdso)[at] != 0;
  call(SYS_write, 1, more ? "more\n" : "none\n", 5);
  call(SYS_exit_group, changed, 0, 0);
  __builtin_unreachable();
}
"#;

/// Makes calls that a policy denies, before and after its known calls run free; ends by itself when they fail, and
/// by one more, with an argument, in another way.
pub(crate) const ASKS: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>

int main(int argc, char **argv) {
  int denied = 0;
  for (int i = 0; i < 5; i++) denied += getsid(0) == -1 && errno == EXDEV;
  for (int i = 0; i < 20000; i++) syscall(SYS_getppid);
  for (int i = 0; i < 5; i++) denied += getsid(0) == -1 && errno == EXDEV;
  for (int i = 0; i < 5; i++) denied += getpriority(0, 0) == -1 && errno == EDOM;
  printf("%d\n", denied);
  fflush(stdout);
  if (argc > 1) sync();
  return 0;
}
"#;

/// Asks for a child without a tracer, when its known calls run free.
pub(crate) const UNTRACED: &str = r#"
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  struct clone_args args;
  memset(&args, 0, sizeof args);
  args.exit_signal = SIGCHLD;
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 2000; j++) syscall(SYS_getppid);
    args.flags = i ? CLONE_UNTRACED : 0;
    if (syscall(SYS_clone3, &args, sizeof args) == 0) {
      if (i) getpgrp();
      _exit(0);
    }
    wait(0);
  }
  return 0;
}
"#;

/// A thread that is not the first executes another program.
#[cfg(feature = "ebpf")]
pub(crate) const LEADS: &str = r#"
#include <pthread.h>
#include <unistd.h>

static void *executes(void *unused) {
  char *other[] = {"./other", 0};
  getpgrp();
  execve(other[0], other, 0);
  return unused;
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, 0, executes, 0)) return 1;
  for (;;) {}
}
"#;

/// A filter of its own that ends it.
#[cfg(feature = "ebpf")]
pub(crate) const KILLS: &str = r#"
#include <stddef.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int main(void) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 2;
  acct(0);
  return 0;
}
"#;

/// Makes one call with many values, or calls of many numbers.
#[cfg(feature = "ebpf")]
pub(crate) const MANY: &str = r#"
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "values") == 0)
    for (int i = 0; i < 1000; i++) madvise(0, 0, 1000 + i);
  else
    for (int i = 0; i < 40000; i++) syscall(100000 + i);
  return 0;
}
"#;
