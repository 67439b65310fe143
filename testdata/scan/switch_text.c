// A command is told by its first letters and then by comparing strings.
// builds: freestanding
// calls: getpid getuid getgid getppid exit_group
// run: some
#include "freestanding.h"

NOINLINE int equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

NOINLINE void command(const char *text) {
  switch (text[0]) {
    case 'g': case 'G':
      if (equal(text + 1, "id")) sys0(NR_getgid);
      break;
    case 'p':
      if (equal(text, "parent")) sys0(NR_getppid);
      else sys0(NR_getpid);
      break;
    case 'u': case 'U': sys0(NR_getuid); break;
    default: break;
  }
}

void run(long *stack) {
  for (char **argument = (char **)(stack + 1); *argument; argument++) command(*argument);
  quit();
}
