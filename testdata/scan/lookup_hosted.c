// Functions that nothing but their name leads to: looked up by constant names, one of them
// through a function that passes it on.
// builds: gcc -O2 | gcc -O0 -no-pie | gcc -O2 -s -rdynamic
// scope: contains
// hosted: yes
// calls: pkey_alloc pkey_free swapoff exit_group
// run: some
// not: acct reboot — the one is exported, but nobody names it; the other's name is not passed
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

#include "calls.h"

int KEEP(never)(void) { return (int)sys0(NR_reboot); }

static NOINLINE void *find(const char *name) { return dlsym(RTLD_DEFAULT, name); }

int main(int count, char **arguments) {
  int (*take)(int, int) = (int (*)(int, int))dlsym(RTLD_DEFAULT, "pkey_alloc");
  int (*give)(int) = (int (*)(int))find("pkey_free");
  int (*other)(const char *) = (int (*)(const char *))find(count > 9 ? "swapoff" : "puts");
  (void)arguments;
  int key = take ? take(0, 0) : -1;
  if (give && key >= 0) give(key);
  if (other) other("acct");
  return 0;
}
