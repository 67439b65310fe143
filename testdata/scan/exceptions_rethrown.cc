// An exception that is caught, changed hands and thrown on: cleanups and handlers on its whole way.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static | g++ -O2 -static -s
// scope: contains
// hosted: yes
// calls: getpid getuid getgid getppid getpgrp gettid exit_group
// run: all
#include <exception>
#include <new>

#include "calls.h"

struct Guard {
  ~Guard() { sys0(std::uncaught_exceptions() ? NR_getpid : NR_getppid); }
};

NOINLINE void deep(int x) {
  Guard guard;
  if (x) throw x;
}
NOINLINE void passes_on(int x) {
  try {
    deep(x);
  } catch (...) {
    sys0(NR_getuid);
    throw;
  }
}
NOINLINE std::exception_ptr kept(int x) {
  try {
    passes_on(x);
  } catch (int) {
    sys0(NR_getgid);
    return std::current_exception();
  }
  return nullptr;
}
NOINLINE long tried(int x) try {
  passes_on(x);
  return 0;
} catch (const int &y) {
  return sys1(NR_getpgrp, y);
}
int main(int count, char **) {
  deep(0);
  tried(count);
  try {
    std::rethrow_exception(kept(count));
  } catch (int) {
    sys0(NR_gettid);
  }
  return 0;
}
