// An object with a pointer to a class with a pointer to a table of operations, all constant, and
// functions that get the object back.
// builds: freestanding | layouts
// calls: getpid getuid getgid exit_group
// run: all
// extra: unlink — of a table that nobody refers to, where all is one writable segment (-N)
#include "freestanding.h"

struct object;
struct operations {
  long (*open)(const struct object *);
  long (*close)(const struct object *, long);
};
struct class {
  const char *name;
  const struct operations *operations;
};
struct object {
  const struct class *class;
  long data;
};

static long open_file(const struct object *o) { return sys1(NR_getpid, o->data); }
static long close_file(const struct object *o, long x) { return sys1(NR_getuid, o->data + x); }
static long close_pipe(const struct object *o, long x) { return sys1(NR_getgid, o->data - x); }
static long never(const struct object *o) { return sys1(NR_unlink, o->data); }

static const struct operations file_operations = {open_file, close_file};
static const struct operations pipe_operations = {0, close_pipe};
__attribute__((section("others"))) const struct operations KEEP(unused) = {never, 0};
static const struct class file_class = {"file", &file_operations};
static const struct class pipe_class = {"pipe", &pipe_operations};
static const struct object file = {&file_class, 1}, pipe = {&pipe_class, 2};

NOINLINE void use(const struct object *o, long x) {
  const struct operations *operations = o->class->operations;
  if (operations->open) operations->open(o);
  if (operations->close) operations->close(o, x);
}

void run(long *stack) {
  use(&file, stack[0]);
  use(&pipe, stack[0]);
  quit();
}
