// A local variable that a callee changes before it returns, but not before it throws.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static
// scope: contains
// hosted: yes
// calls: getpid getuid exit_group
// gap: getuid — a frame that what unwinds the stack may write to
// run: some
#include "calls.h"

NOINLINE void change(nr_t *number, int when) {
  if (when > 1) throw 1;
  *number = NR_getuid;
}

int main(int count, char **) {
  nr_t number = NR_getpid;
  try {
    change(&number, count);
    sys0(number);
  } catch (int) {
    sys0(number);
  }
}
