// A small program with a static C library: what it surely does is there, and what no way leads to
// is not.
// builds: musl-gcc -O2 -static | musl-gcc -Os -static -s | musl-gcc -O0 -static -Wl,--gc-sections | musl-gcc -O2
// scope: contains
// hosted: yes
// calls: open read readv close writev lseek ioctl exit_group
// run: some
// not: reboot mount ptrace socket connect bind clone fork execve unlink rename setuid — no function that makes them is linked in
#include <stdio.h>
#include <string.h>

int main(void) {
  char line[64];
  FILE *file = fopen("/proc/self/comm", "r");
  if (!file) return 1;
  if (!fgets(line, sizeof line, file)) return 2;
  fclose(file);
  printf("%zu %s", strlen(line), line);
  return 0;
}
