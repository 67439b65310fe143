// The instruction with prefixes that change nothing, and branches with prefixes that linkers write.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid geteuid getegid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type padded, @function\npadded:\n"
    "  mov $39, %eax\n  .byte 0x48, 0x0f, 0x05\n"
    "  mov $102, %eax\n  .byte 0x66, 0x0f, 0x05\n"
    "  mov $104, %eax\n  .byte 0x2e, 0x3e, 0x0f, 0x05\n"
    "  .byte 0x67\n  call 1f\n"
    "  test %eax, %eax\n  .byte 0x3e\n  jns 2f\n  ud2\n"
    "1: mov $107, %eax\n  .byte 0xf3, 0x0f, 0x05\n  repz ret\n"
    "2: mov $108, %eax\n  .byte 0x67, 0x0f, 0x05\n  .byte 0xf2\n  ret\n"
    ".size padded, . - padded\n");
void padded(void);

void run(long *stack) {
  (void)stack;
  padded();
  quit();
}
