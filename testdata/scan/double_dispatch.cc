// A visitor: the class of the one is told by a virtual call, that of the other by a second one.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid geteuid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

struct Leaf;
struct Pair;
struct Visitor {
  virtual long leaf(const Leaf &, long x) const = 0;
  virtual long pair(const Pair &, long x) const = 0;
};
struct Node {
  virtual long accept(const Visitor &, long x) const = 0;
};
struct Leaf : Node {
  long accept(const Visitor &v, long x) const override { return v.leaf(*this, x); }
};
struct Pair : Node {
  const Node *left, *right;
  Pair(const Node *l, const Node *r) : left(l), right(r) {}
  long accept(const Visitor &v, long x) const override { return v.pair(*this, x); }
};
struct First : Visitor {
  long leaf(const Leaf &, long x) const override { return sys1(NR_getpid, x); }
  long pair(const Pair &p, long x) const override {
    return sys1(NR_getuid, x) + p.left->accept(*this, x) + p.right->accept(*this, x);
  }
};
struct Second : Visitor {
  long leaf(const Leaf &, long x) const override { return sys1(NR_getgid, x); }
  long pair(const Pair &p, long x) const override {
    return sys1(NR_geteuid, x) + p.right->accept(*this, x);
  }
};

EXTERN_C void __cxa_pure_virtual() { quit(); }

NOINLINE long walk(const Node &node, const Visitor &visitor, long x) { return node.accept(visitor, x); }

void run(long *stack) {
  Leaf leaf;
  Pair pair(&leaf, &leaf);
  walk(pair, First(), stack[0]);
  walk(pair, Second(), stack[0]);
  quit();
}
