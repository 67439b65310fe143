// dynamic_cast and typeid decide what is done with an object.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static | g++ -O2 -static -s
// scope: contains
// hosted: yes
// calls: getpid getuid getgid exit_group
// run: all
// not: reboot — in a function that nobody calls
#include <typeinfo>

#include "calls.h"

struct Base {
  virtual ~Base() = default;
  virtual void work() {}
};
struct First : Base {
  void work() override { sys0(NR_getpid); }
};
struct Side {
  virtual void side() { sys0(NR_getuid); }
};
struct Second : Base, Side {};

NOINLINE void use(Base *base) {
  if (auto *first = dynamic_cast<First *>(base)) first->work();
  if (auto *side = dynamic_cast<Side *>(base)) side->side();
  if (typeid(*base) == typeid(Second)) sys0(NR_getgid);
}
void KEEP(dead)() { sys0(NR_reboot); }

int main(int count, char **) {
  First first;
  Second second;
  for (int i = 0; i <= count; i++) use(i ? static_cast<Base *>(&first) : &second);
  return 0;
}
