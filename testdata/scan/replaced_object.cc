// One object's place is taken by an object of another class: the table of functions changes.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

void *operator new(unsigned long, void *where) noexcept { return where; }

struct State {
  virtual void next(long x) = 0;
};
struct Second : State {
  void next(long x) override { sys1(NR_getuid, x); }
};
struct First : State {
  void next(long x) override {
    sys1(NR_getpid, x);
    new (this) Second;
  }
};

EXTERN_C void __cxa_pure_virtual() { quit(); }

NOINLINE void step(State *state, long x) { state->next(x); }

void run(long *stack) {
  static long space[4];
  State *state = new (space) First;
  step(state, stack[0]);
  step(reinterpret_cast<State *>(space), stack[0]);
  quit();
}
