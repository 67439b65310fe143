// Thread-local storage that the program sets up itself, with a function pointer in it.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O1 -fno-asynchronous-unwind-tables -s | musl-gcc -O2
// calls: arch_prctl getpid getuid exit_group
// calls[aarch64]: getpid getuid exit_group
// run: all
// only[llvm]: x86_64 — LLVM asks a resolver that is not there for the address
#include "freestanding.h"

typedef void (*function)(long);

static void first(long x) { sys1(NR_getpid, x); }
static void second(long x) { sys1(NR_getuid, x); }

static __thread function hook;

NOINLINE void use(long x) { hook(x); }

void run(long *stack) {
  static long block[32];
#ifdef __aarch64__
  // The storage lies after two words at the thread's pointer.
  __asm__ volatile("msr tpidr_el0, %0" : : "r"(block) : "memory");
#else
  block[31] = (long)&block[31];
  sys2(158, 0x1002, block[31]);
#endif
  hook = first;
  use(stack[0]);
  hook = second;
  use(stack[0]);
  quit();
}
