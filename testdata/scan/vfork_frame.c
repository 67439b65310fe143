// A child that shares its parent's frame, and changes what that kept there; under an emulator
// each has its own.
// builds: freestanding
// calls[x86_64]: vfork exit wait4 getpid getuid exit_group
// calls[aarch64]: clone exit wait4 getpid getuid exit_group
// flags: -Wno-clobbered
// run: some
#include "freestanding.h"

#ifdef __aarch64__
// SIGCHLD, CLONE_VM and CLONE_VFORK, on the same stack.
__asm__(
    ".text\n.type split, %function\nsplit:\n"
    "  mov x0, #0x4111\n  mov x1, #0\n  mov x8, #220\n  svc #0\n  ret\n.size split, . - split\n");
#else
__asm__(
    ".text\n.type split, %function\nsplit:\n"
    "  pop %rdx\n  mov $58, %eax\n  syscall\n  push %rdx\n  ret\n.size split, . - split\n");
#endif
__attribute__((returns_twice)) long split(void);

void run(long *stack) {
  (void)stack;
  volatile nr_t number = NR_getpid;
  long child = split();
  if (child == 0) {
    number = NR_getuid;
    for (;;) sys1(NR_exit, 0);
  }
  sys4(NR_wait4, child, 0, 0, 0);
  sys0(number);
  quit();
}
