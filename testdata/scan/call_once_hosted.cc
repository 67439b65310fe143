// What is done once: the library keeps the function and its arguments in thread-local storage.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -no-pie -fno-pie | g++ -O0 -no-pie -fno-pie | g++ -O2 -static
// scope: contains
// hosted: yes
// flags: -pthread
// calls: getppid getpgrp getegid exit_group
// run: some
// gap[x86_64]: getegid — without optimisation, what is in the frame after a call whose target is not known
#include <mutex>
#include <thread>

#include "calls.h"

static std::once_flag first, second;

static void start(int x) { sys1(NR_getppid, x); }

int main(int count, char **) {
  std::thread thread([=] {
    std::call_once(first, start, count);
    std::call_once(second, [] { sys0(NR_getpgrp); });
  });
  thread.join();
  sys0(NR_getegid);
  return 0;
}
