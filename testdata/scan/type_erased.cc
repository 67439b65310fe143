// Erased types: an object on the stack with a pointer to what calls it and what copies it.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

class Callable {
  long space[2];
  long (*invoke)(const long *, long) = nullptr;
  void (*copy)(long *, const long *) = nullptr;

 public:
  template <typename F> Callable(F f) {
    new_at(f);
    invoke = [](const long *s, long x) { return (*reinterpret_cast<const F *>(s))(x); };
    copy = [](long *to, const long *from) {
      *reinterpret_cast<F *>(to) = *reinterpret_cast<const F *>(from);
      sys0(NR_getgid);
    };
  }
  Callable(const Callable &other) : invoke(other.invoke), copy(other.copy) {
    copy(space, other.space);
  }
  long operator()(long x) const { return invoke(space, x); }

 private:
  template <typename F> void new_at(F &f) {
    static_assert(sizeof(F) <= sizeof space);
    __builtin_memcpy(space, &f, sizeof f);
  }
};

struct Plain {
  long add;
  long operator()(long x) const { return sys1(NR_getpid, x + add); }
};
struct Two {
  long a, b;
  long operator()(long x) const { return sys2(NR_getuid, x + a, b); }
};

NOINLINE long use(Callable c, long x) { return c(x); }

void run(long *stack) {
  Callable plain(Plain{stack[0]}), two(Two{stack[0], 2});
  use(plain, 1);
  use(two, 2);
  quit();
}
