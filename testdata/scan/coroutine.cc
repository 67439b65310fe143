// A coroutine: its frame holds a pointer to the function that goes on, which tells by a number where.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// flags: -std=c++20 -fno-rtti -fno-exceptions
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — a coroutine that is never started
#include <coroutine>

#include "freestanding.h"

static char space[512];
void *operator new(unsigned long) { return space; }
void operator delete(void *) noexcept {}
void operator delete(void *, unsigned long) noexcept {}

struct Task {
  struct promise_type {
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
  std::coroutine_handle<promise_type> handle;
};

static Task work(long x) {
  sys1(NR_getpid, x);
  co_await std::suspend_always{};
  sys1(NR_getuid, x);
  co_await std::suspend_always{};
  sys1(NR_getgid, x);
}
Task KEEP(never)(long x) {
  sys1(NR_unlink, x);
  co_await std::suspend_always{};
}

NOINLINE void resume(std::coroutine_handle<> handle) { handle.resume(); }

void run(long *stack) {
  Task task = work(stack[0]);
  while (!task.handle.done()) resume(task.handle);
  quit();
}
