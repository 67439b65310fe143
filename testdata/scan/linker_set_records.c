// Records that the linker collects in a section with a start and an end symbol, as kernels and tests do.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

struct record {
  void (*run)(long);
  long data;
};

#define REGISTER(f, data) \
  __attribute__((section("records"))) const struct record KEEP(f##_record) = {f, data}

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
REGISTER(a, 1);
REGISTER(b, 2);
REGISTER(c, 3);

extern const struct record __start_records[], __stop_records[];

void run(long *stack) {
  for (const struct record *r = __start_records; r < __stop_records; r++) r->run(r->data + stack[0]);
  quit();
}
