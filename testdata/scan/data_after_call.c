// Data right after a call that does not return: a message whose bytes read as a call of their own.
// builds: freestanding
// calls: getpid write exit_group
// run: all
// not: unlink — what the message would do as code
#include "freestanding.h"

#ifdef __aarch64__
__asm__(
    ".text\n.type fatal, %function\nfatal:\n"
    "  mov x1, x30\n  mov x0, #-1\n  mov x2, #8\n  mov x8, #64\n  svc #0\n"
    "  mov x8, #94\n  mov x0, #0\n  svc #0\n  udf #0\n.size fatal, . - fatal\n"
    ".type check, %function\ncheck:\n  mov x3, x0\n  mov x8, #172\n  svc #0\n  cbnz x3, 1f\n  ret\n"
    "1: bl fatal\n  mov x8, #35\n  svc #0\n.size check, . - check\n");
#else
__asm__(
    ".text\n.type fatal, @function\nfatal:\n"
    "  pop %rsi\n  mov $-1, %edi\n  mov $7, %edx\n  mov $1, %eax\n  syscall\n"
    "  mov $231, %eax\n  xor %edi, %edi\n  syscall\n  ud2\n.size fatal, . - fatal\n"
    ".type check, @function\ncheck:\n  mov $39, %eax\n  syscall\n  test %rdi, %rdi\n  jne 1f\n  ret\n"
    "1: call fatal\n  .byte 0xb8, 87, 0, 0, 0, 0x0f, 0x05\n.size check, . - check\n");
#endif
long check(long);

void run(long *stack) {
  check(0);
  check(stack[0]);
  quit();
}
