// The page of an address is passed to code that adds the rest: an outliner of compilers makes functions
// of instructions that are repeated, without regard to what they are part of.
// builds: freestanding
// only: aarch64 — the rest of an address in an instruction of its own
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

NOINLINE void first(void) { sys3(NR_getpid, 0, 0, 0); }
NOINLINE void second(void) { sys3(NR_getuid, 0, 0, 0); }
NOINLINE void third(void) { sys3(NR_getgid, 0, 0, 0); }
static void (*volatile kept)(void);
static void (*const volatile table[])(void) __attribute__((used)) = {third};

// Each in a register of its own, as an outliner finds them.
#define OUTLINED(name, symbol, rest) \
  __asm__(".text\n.type " name ", %function\n" name ":\n" \
          "add x0, x0, :lo12:" symbol "\n" rest "\nret\n.size " name ", .-" name "\n" \
          ".type to_" name ", %function\nto_" name ":\nstp x29, x30, [sp, -16]!\nadrp x0, " symbol "\nbl " name \
          "\nldp x29, x30, [sp], 16\nret\n.size to_" name ", .-to_" name "\n")
OUTLINED("outlined_result", "first", "");
OUTLINED("outlined_store", "second", "adrp x1, kept\nstr x0, [x1, :lo12:kept]");
OUTLINED("outlined_data", "table", "");
extern void (*to_outlined_result(void))(void);
extern void to_outlined_store(void);
extern void (*const *to_outlined_data(void))(void);

void run(long *stack) {
  (void)stack;
  (void)table;
  to_outlined_result()();
  to_outlined_store();
  kept();
  to_outlined_data()[0]();
  quit();
}
