// A sort with a comparison passed by address, recursive and with swaps through pointers.
// builds: freestanding
// calls: getpid gettid exit_group
// run: all
#include "freestanding.h"

typedef int (*order)(const void *, const void *);

static void swap(char *a, char *b, unsigned long n) {
  while (n--) {
    char t = *a;
    *a++ = *b;
    *b++ = t;
  }
}

NOINLINE void sort(char *base, unsigned long n, unsigned long width, order compare) {
  if (n < 2) return;
  unsigned long last = 0;
  for (unsigned long i = 1; i < n; i++)
    if (compare(base + i * width, base) < 0) swap(base + ++last * width, base + i * width, width);
  swap(base, base + last * width, width);
  sort(base, last, width, compare);
  sort(base + (last + 1) * width, n - last - 1, width, compare);
}

static int up(const void *a, const void *b) {
  sys0(NR_getpid);
  return *(const int *)a - *(const int *)b;
}
static int down(const void *a, const void *b) {
  sys0(NR_gettid);
  return *(const int *)b - *(const int *)a;
}

void run(long *stack) {
  int values[5] = {3, 1, 4, (int)stack[0], 5};
  sort((char *)values, 5, sizeof values[0], up);
  sort((char *)values, 5, sizeof values[0], down);
  quit();
}
