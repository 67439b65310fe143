/* Leaves a file beside itself, then returns what its library says; with an argument it tells what it maps. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int probe(void);

int main(int argc, char **argv) {
  char path[4096];
  if (argc > 1) {
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(path, sizeof path, maps))
      fputs(path, stdout);
    return 0;
  }
  snprintf(path, sizeof path, "%s", argv[0]);
  strcpy(strrchr(path, '/') + 1, "ran");
  close(open(path, O_CREAT | O_WRONLY, 0600));
  return probe();
}
