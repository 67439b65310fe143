/* attempt WHAT [WHERE]: does one thing, in the mildest way that shows whether it can be done. Ends with 0 when
   it can, else with the error number. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int result(long value) { return value == -1 ? errno : 0; }

static int opens(const char *path, int flags) { return result(open(path, flags | O_CLOEXEC, 0600)); }

static struct sockaddr_in at(const char *port) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(port)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* With a socket of this kind. */
static int calls_port(const char *port, int kind, int protocol) {
  struct sockaddr_in address = at(port);
  int made = socket(AF_INET, kind, protocol);
  return made < 0 ? errno : result(connect(made, (struct sockaddr *)&address, sizeof address));
}

/* What is sent makes the connection. */
static int sends_to(const char *port, const char *by) {
  struct sockaddr_in address = at(port);
  struct iovec part = {"x", 1};
  struct mmsghdr message = {{&address, sizeof address, &part, 1, NULL, 0, 0}, 0};
  int made = socket(AF_INET, SOCK_STREAM, 0);
  if (!strcmp(by, "sendto"))
    return result(sendto(made, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&address, sizeof address));
  if (!strcmp(by, "sendmsg"))
    return result(sendmsg(made, &message.msg_hdr, MSG_FASTOPEN));
  return result(sendmmsg(made, &message, 1, MSG_FASTOPEN));
}

/* A daemon of its own session that would still be there after the program, with a file locked; stopped, if so. */
static int leaves(const char *path, int stopped) {
  int ready[2];
  char byte;
  if (pipe(ready))
    return errno;
  if (fork() == 0) {
    setsid();
    if (fork() == 0 && flock(open(path, O_RDONLY), LOCK_EX) == 0 && write(ready[1], "l", 1) == 1) {
      if (stopped)
        raise(SIGSTOP);
      sleep(30);
    }
    _exit(0);
  }
  close(ready[1]);
  return read(ready[0], &byte, 1) == 1 ? 0 : 97;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "", *where = argc > 2 ? argv[2] : "";
#define IS(name) (!strcmp(what, name))
  if (IS("read"))
    return opens(where, O_RDONLY);
  if (IS("write"))
    return opens(where, O_WRONLY);
  if (IS("create"))
    return opens(where, O_WRONLY | O_CREAT);
  if (IS("tcp"))
    return calls_port(where, SOCK_STREAM, 0);
  if (IS("udp"))
    return calls_port(where, SOCK_DGRAM, 0);
  if (IS("mptcp"))
    return calls_port(where, SOCK_STREAM, 262);
  if (IS("sendto") || IS("sendmsg") || IS("sendmmsg"))
    return sends_to(where, what);
  if (IS("put-off")) {
    int on = 1;
    return result(setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on));
  }
  if (IS("listen"))
    return result(listen(socket(AF_INET, SOCK_STREAM, 0), 1));
  if (IS("bind")) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listens = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof address;
    if (bind(listens, (struct sockaddr *)&address, length) || listen(listens, 1) ||
        getsockname(listens, (struct sockaddr *)&address, &length))
      return errno;
    return result(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, length));
  }
  if (IS("first")) /* Not even root signals the init from below (pid_namespaces(7)). */
    return result(kill(1, SIGKILL));
  if (IS("own")) {
    char name[32];
    int own = open("/proc/self/exe", O_PATH);
    snprintf(name, sizeof name, "/proc/self/fd/%d", own);
    execl(where, where, "write", name, (char *)0);
    return 98;
  }
  if (IS("leave"))
    return leaves(where, 0);
  if (IS("leave-stopped"))
    return leaves(where, 1);
  if (IS("fork")) {
    int count = 0;
    while (count < atoi(where)) {
      pid_t child = fork();
      if (child < 0)
        return errno;
      if (child == 0) {
        pause();
        _exit(0);
      }
      count++;
    }
    return 0;
  }
  if (IS("spin"))
    for (;;)
      ;
  if (IS("spin-elsewhere")) { /* In a child that nobody waits for. */
    if (fork() == 0)
      for (;;)
        ;
    pause();
  }
  if (IS("wait"))
    for (;;)
      pause();
  if (IS("memory")) {
    size_t size = (size_t)atoi(where) << 20;
    char *memory = malloc(size);
    if (!memory)
      return errno;
    for (size_t at = 0; at < size; at += 4096)
      ((volatile char *)memory)[at] = 1;
    return 0;
  }
  if (IS("again")) {
    execv(where, argv + 2);
    return 98;
  }
  if (IS("execute")) { /* What was written. */
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return errno;
    *memory = 1;
    return result(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
  }
  if (IS("fill")) { /* Until there is no more room. */
    static char bytes[1 << 16];
    int file = open(where, O_WRONLY | O_CREAT | O_APPEND, 0600);
    while (file >= 0 && write(file, bytes, sizeof bytes) > 0)
      ;
    return errno;
  }
  if (IS("files")) {
    for (int count = 0; count < atoi(where); count++)
      if (dup(0) < 0)
        return errno;
    return 0;
  }
  if (IS("output")) { /* So many bytes to both; then it waits, as nothing else ends it. */
    for (long left = atol(where); left > 0; left--)
      if (write(1 + left % 2, "o", 1) != 1)
        return errno;
    if (argc > 3)
      for (;;)
        pause();
    return 0;
  }
  if (IS("uptime")) {
    struct timespec up;
    return clock_gettime(CLOCK_BOOTTIME, &up) ? errno : up.tv_sec / 3600;
  }
  if (IS("file-size")) {
    char byte = 0;
    int file = chdir("/tmp") ? -1 : open("long", O_WRONLY | O_CREAT, 0600);
    return result(pwrite(file, &byte, 1, atoi(where)));
  }
  if (IS("number"))
    return getpid();
  if (IS("become")) { /* As servers do, of a group that is not the user's number. */
    if (setgroups(0, NULL) || setresgid(34, 34, 34) || setresuid(33, 33, 33))
      return errno;
    return opens(where, O_WRONLY | O_CREAT);
  }
  if (IS("user"))
    return getuid() == (uid_t)atol(where) ? 0 : 1;
  return 99;
}
