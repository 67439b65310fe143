// Objects of threads: made at their first use, destroyed when the thread ends.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static | g++ -O2 -static -s
// scope: contains
// hosted: yes
// calls: getpid getuid getgid getppid exit exit_group
// run: all
// flags: -pthread
// not: reboot — in a function that nobody calls
#include <thread>

#include "calls.h"

struct Owned {
  long value;
  Owned() : value(sys0(NR_getpid)) {}
  ~Owned() { sys1(NR_getuid, value); }
};
static thread_local Owned owned;
struct Global {
  ~Global() { sys0(NR_getppid); }
};
static Global global;

NOINLINE long use() { return owned.value + sys0(NR_getgid); }
void KEEP(dead)() { sys0(NR_reboot); }

int main() {
  std::thread thread([] { use(); });
  thread.join();
  return use() == -1;
}
