/* Files, memory, time and pipes from plain C; no thread, no other program. Built static with musl. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen;

static void on_signal(int number) { seen += number; }

static int by_length(const void *left, const void *right) {
  return (int)strlen(*(char *const *)left) - (int)strlen(*(char *const *)right);
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "files.out";
  FILE *file = fopen(name, "w+");
  if (!file) {
    fprintf(stderr, "%s: %s\n", name, strerror(errno));
    return 1;
  }
  for (int line = 0; line < 2000; line++)
    fprintf(file, "line %d of %s\n", line, "many");
  fflush(file);
  rewind(file);
  char text[64];
  int lines = 0;
  while (fgets(text, sizeof text, file))
    lines++;
  fclose(file);

  struct stat about;
  if (stat(name, &about) != 0 || rename(name, "files.renamed") != 0)
    return 1;
  int fd = open("files.renamed", O_RDONLY);
  char *map = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    return 1;
  unsigned sum = 0;
  for (off_t at = 0; at < about.st_size; at++)
    sum = sum * 31 + (unsigned char)map[at];
  munmap(map, (size_t)about.st_size);
  close(fd);
  unlink("files.renamed");

  int ends[2];
  if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1)
    return 1;
  struct pollfd wait = {.fd = ends[0], .events = POLLIN};
  int ready = poll(&wait, 1, 1000);

  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  struct timespec pause = {.tv_nsec = 1000000};
  nanosleep(&pause, NULL);

  char *words[] = {"portcullis", "a", "filter", "of"};
  qsort(words, 4, sizeof *words, by_length);
  char *block = malloc(4 << 20);
  memset(block, 7, 4 << 20);
  int last = block[(4 << 20) - 1];
  free(block);
  printf("%d lines, sum %u, ready %d, signal %d, first %s, last %d\n", lines, sum, ready,
         seen == SIGUSR1, words[0], last);
  return 3;
}
