// std::function, std::map and sort with comparisons: calls through templates of the library.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static | g++ -O2 -static -s
// scope: contains
// hosted: yes
// calls: getpid getuid getgid getppid exit_group
// run: all
// not: reboot — in a function that nobody calls
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "calls.h"

void KEEP(dead)() { sys0(NR_reboot); }

int main(int count, char **arguments) {
  std::map<std::string, std::function<long(long)>> commands;
  commands["process"] = [](long x) { return sys1(NR_getpid, x); };
  commands["user"] = [count](long x) { return sys1(NR_getuid, x + count); };
  long sum = 0;
  for (const auto &[name, f] : commands) sum += f(static_cast<long>(name.size()));
  std::vector<int> values{3, count, static_cast<int>(reinterpret_cast<long>(arguments) & 7)};
  std::sort(values.begin(), values.end(), [](int a, int b) {
    sys0(NR_getgid);
    return a < b;
  });
  std::function<long()> none;
  try {
    none();
  } catch (const std::bad_function_call &) {
    sys0(NR_getppid);
  }
  return sum == 12345;
}
