// A thread by raw clone: its function and argument lie on its new stack.
// builds: freestanding
// calls: clone getuid getpid sched_yield exit exit_group
// phase: main/startup clone sched_yield getpid exit_group -getuid -exit
// phase: spawn/main getuid exit -sched_yield -getpid -exit_group
// run: all
// run[aarch64]: some — the emulator loses lines of threads
#include "freestanding.h"

// CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM
#define FLAGS 0x50f00

#ifdef __aarch64__
__asm__(
    ".text\n.type spawn, %function\nspawn:\n"
    "  stp x2, x3, [x1, #-16]!\n  mov x2, #0\n  mov x3, #0\n  mov x4, #0\n"
    "  mov x8, #220\n  svc #0\n  cbnz w0, 1f\n"
    "  mov x29, #0\n  ldp x1, x0, [sp], #16\n  blr x1\n"
    "  mov x0, #0\n  mov x8, #93\n  svc #0\n  udf #0\n"
    "1: ret\n.size spawn, . - spawn\n");
#else
__asm__(
    ".text\n.type spawn, @function\nspawn:\n"
    "  sub $16, %rsi\n  mov %rdx, (%rsi)\n  mov %rcx, 8(%rsi)\n"
    "  xor %edx, %edx\n  xor %r10d, %r10d\n  xor %r8d, %r8d\n"
    "  mov $56, %eax\n  syscall\n  test %eax, %eax\n  jnz 1f\n"
    "  xor %ebp, %ebp\n  pop %rax\n  pop %rdi\n  call *%rax\n"
    "  xor %edi, %edi\n  mov $60, %eax\n  syscall\n  hlt\n"
    "1: ret\n.size spawn, . - spawn\n");
#endif
long spawn(long flags, void *stack, void (*start)(void *), void *argument);

static volatile int done;
static char stack_of_thread[16384] __attribute__((aligned(16)));

static void start(void *argument) {
  sys0(NR_getuid);
  *(volatile int *)argument = 1;
}

void run(long *stack) {
  (void)stack;
  sys0(NR_sched_yield);
  spawn(FLAGS, stack_of_thread + sizeof stack_of_thread, start, (void *)&done);
  while (!done) sys0(NR_sched_yield);
  sys0(NR_getpid);
  quit();
}
