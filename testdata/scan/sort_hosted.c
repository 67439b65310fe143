// The C library's own sort and search with comparisons of the program, and functions at exit.
// builds: musl-gcc -O2 -static | musl-gcc -Os -static -s | gcc -O2 -static -s | gcc -O2 | gcc -O0 -no-pie
// scope: contains
// hosted: yes
// calls: getppid getpgrp gettid getegid exit_group
// run: some
// not: reboot — in a function that is never passed
#include <stdlib.h>

#include "calls.h"

static int up(const void *a, const void *b) {
  sys0(NR_getppid);
  return *(const int *)a - *(const int *)b;
}
static int find(const void *a, const void *b) {
  sys0(NR_getpgrp);
  return *(const int *)a - *(const int *)b;
}
int KEEP(never)(const void *a, const void *b) {
  sys0(NR_reboot);
  return a < b;
}
static void last(void) { sys0(NR_gettid); }
__attribute__((destructor)) static void end(void) { sys0(NR_getegid); }

int main(int count, char **arguments) {
  int values[4] = {3, 1, count, (int)(long)arguments & 7}, key = 3;
  atexit(last);
  qsort(values, 4, sizeof values[0], up);
  return !bsearch(&key, values, 4, sizeof values[0], find);
}
