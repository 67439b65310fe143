// An option parser that ends the program on bad options, so that a hasty analysis takes it to
// never return: what follows its call in every caller was lost to one.
// builds: freestanding
// calls: getpid getuid sync write exit_group
// run: all
#include "freestanding.h"

__attribute__((noreturn)) NOINLINE void usage(long code) {
  sys3(NR_write, 2, (long)"usage\n", 6);
  sys1(NR_exit_group, code);
  __builtin_unreachable();
}

NOINLINE unsigned options(char **arguments, const char *known) {
  unsigned found = 0;
  for (char **a = arguments; *a; a++) {
    if ((*a)[0] != '-') continue;
    const char *k = known;
    while (*k && *k != (*a)[1]) k++;
    if (!*k) usage(1);
    found |= 1u << (k - known);
  }
  return found;
}

NOINLINE int sync_main(char **arguments) {
  unsigned found = options(arguments, "df");
  if (found == 3) usage(2);
  sys0(NR_sync);
  return (int)found;
}
NOINLINE int id_main(char **arguments) {
  options(arguments, "u");
  sys0(NR_getuid);
  return 0;
}

void run(long *stack) {
  char **arguments = (char **)(stack + 2);
  sync_main(arguments);
  id_main(arguments);
  sys0(NR_getpid);
  if (stack[0] < 40) usage(0);
  quit();
}
