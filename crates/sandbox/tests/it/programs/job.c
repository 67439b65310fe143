/* say WORD... | copy | mark PATH | wait | descriptors | denied | leave: what a job of an embedding process does. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Its words, then its environment, a line each. */
static int say(char **words) {
  for (; *words; words++)
    puts(*words);
  for (char **variable = environ; *variable; variable++)
    puts(*variable);
  return 0;
}

static int copy(void) {
  char bytes[4096];
  ssize_t n;
  while ((n = read(0, bytes, sizeof bytes)) > 0)
    if (write(1, bytes, n) != n)
      return 1;
  return n != 0;
}

/* What is open, but for the directory in which it looks. */
static int descriptors(void) {
  DIR *all = opendir("/proc/self/fd");
  struct dirent *one;
  while (all && (one = readdir(all)))
    if (one->d_name[0] != '.' && atoi(one->d_name) != dirfd(all))
      puts(one->d_name);
  return all == NULL;
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  if (!strcmp(way, "say"))
    return say(argv + 2);
  if (!strcmp(way, "copy"))
    return copy();
  if (!strcmp(way, "mark"))
    return open(argv[2], O_CREAT | O_EXCL | O_WRONLY, 0600) < 0;
  if (!strcmp(way, "descriptors"))
    return descriptors();
  if (!strcmp(way, "denied"))
    return chroot("/");
  if (!strcmp(way, "leave")) {
    if (fork() == 0)
      for (;;)
        pause();
    return 0;
  }
  puts("waits");
  fflush(stdout);
  for (;;)
    pause();
}
