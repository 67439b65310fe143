/* Leaves a file beside itself, then returns what its library says. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int probe(void);

int main(int argc, char **argv) {
  (void)argc;
  char path[4096];
  snprintf(path, sizeof path, "%s", argv[0]);
  strcpy(strrchr(path, '/') + 1, "ran");
  close(open(path, O_CREAT | O_WRONLY, 0600));
  return probe();
}
