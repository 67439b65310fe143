// Pointers that the linker collects in a section with a start and an end symbol, which is walked: the
// symbol at its start is that of the first pointer alone.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

typedef void (*function)(long);

#define REGISTER(f) __attribute__((section("records"))) function KEEP(f##_record) = f

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
REGISTER(a);
REGISTER(b);
REGISTER(c);

extern function __start_records[], __stop_records[];

void run(long *stack) {
  for (function *f = __start_records; f < __stop_records; f++) (*f)(stack[0]);
  quit();
}
