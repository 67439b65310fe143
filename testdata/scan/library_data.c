// A table of functions and a number in the library's data, used by the program; a copy relocation
// when the program is not position independent.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getuid getgid exit_group
// run: all
// extra[aarch64]: unlink — without symbols the tables in the library are not told apart
// not[x86_64]: unlink — in a table that the library exports and the program does not use
#include "freestanding.h"

typedef long (*function)(void);
extern const function table[2];
extern const nr_t number;

#ifdef LIBRARY
static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long c(void) { return sys0(NR_unlink); }
const function table[2] = {a, b};
const function unused[2] = {c, c};
const nr_t number = NR_getgid;
#else
void run(long *stack) {
  (void)stack;
  for (int i = 0; i < 2; i++) table[i]();
  sys0(number);
  quit();
}
#endif
