// Landing pads: what is done only when something was thrown, in the function and in its callers.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static | g++ -O2 -static -s
// scope: contains
// hosted: yes
// calls: getpid getuid getgid getppid umask exit_group
// run: all
// not: reboot — in the handler of a type that is never constructed in a function that is never called
#include <cstdio>
#include <stdexcept>
#include <string>

#include "calls.h"

struct Guard {
  long number;
  ~Guard() { sys0(NR_getgid); }
};

NOINLINE long thrower(long x) {
  if (x > 0) throw std::runtime_error(std::string(x, 'x'));
  return x;
}
NOINLINE long middle(long x) {
  Guard guard{x};
  return thrower(x) + 1;
}
NOINLINE long outer(long x) {
  try {
    return middle(x);
  } catch (const std::logic_error &) {
    return sys0(NR_getppid);
  } catch (const std::exception &e) {
    return sys0(NR_getpid) + e.what()[0];
  } catch (...) {
    return sys0(NR_getuid);
  }
}
NOINLINE void KEEP(dead)() {
  try {
    thrower(3);
  } catch (int) {
    sys0(NR_reboot);
  }
}

int main(int count, char **) {
  long sum = outer(count);
  sys1(NR_umask, 022);
  try {
    throw count;
  } catch (int n) {
    sum += sys0(NR_getuid) + n;
  }
  try {
    thrower(-1);
    throw std::logic_error("x");
  } catch (const std::logic_error &) {
    sum += sys0(NR_getppid);
  }
  return sum == 12345;
}
