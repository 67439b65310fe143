// Functions of .init_array and .fini_array, walked between two symbols as a C library does.
// builds: freestanding | gcc -O2 --no-section-headers | gcc -O0 -static-pie -s --no-section-headers | gcc -O2 -Wl,-z,noseparate-code -s | gcc -O2 -mcmodel=large
// calls: getpid getuid getgid exit_group
// run: all
// not[x86_64]: unlink — a constructor of a section that nobody walks
// extra[aarch64]: unlink — that section begins where .fini_array ends, whose end is named
#include "freestanding.h"

typedef void (*function)(void);
extern function __init_array_start[], __init_array_end[];
extern function __fini_array_start[], __fini_array_end[];

__attribute__((constructor)) static void first(void) { sys0(NR_getpid); }
__attribute__((constructor(200))) static void second(void) { sys0(NR_getuid); }
__attribute__((destructor)) static void last(void) { sys0(NR_getgid); }
static void never(void) { sys0(NR_unlink); }
__attribute__((section("other_array"))) function KEEP(other) = never;

void run(long *stack) {
  (void)stack;
  for (function *f = __init_array_start; f < __init_array_end; f++) (*f)();
  for (function *f = __fini_array_end; f > __fini_array_start;) (*--f)();
  quit();
}
