/*
 * The first process of a test machine: sets it up, runs the steps of /plan one after the other, tells on the
 * console what each wrote and how it ended, and turns the machine off.
 *
 * A line of the plan is one of (words are separated by tabs):
 *   cgroup v2|v1|none
 *   run USER SECONDS VARIABLE... PROGRAM ARGUMENT...
 * where a variable is NAME=VALUE, and the program a path from the root.
 * What is told, each on a line of its own; bytes that are not printable, and backslashes, as \xHH:
 *   @begin NUMBER        @out BYTES        @err BYTES
 *   @end MILLISECONDS exit CODE      or signal NUMBER, late, lost REASON
 *   @done COUNT
 * Other lines are the kernel's. After a step everything that it left running is killed: in this process's
 * namespace that is kill(-1).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 64, BYTES = 512 };

static int console = -1;

/* Writes all of it; a console that takes nothing ends the machine's run by its deadline. */
static void tell(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t done = write(console, text, length);
		if (done <= 0)
			return;
		text += done;
		length -= done;
	}
}

static void tell_line(const char *line)
{
	tell(line, strlen(line));
	tell("\n", 1);
}

static void tell_bytes(const char *kind, const unsigned char *bytes, size_t count)
{
	char line[16 + 4 * BYTES];
	size_t at = sprintf(line, "@%s ", kind);

	for (size_t i = 0; i < count; i++) {
		if (bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '\\')
			line[at++] = bytes[i];
		else
			at += sprintf(line + at, "\\x%02x", bytes[i]);
	}
	line[at++] = '\n';
	tell(line, at);
}

static void mounted(const char *type, const char *where, const char *options)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, options) != 0) {
		char line[256];
		snprintf(line, sizeof(line), "init: mount %s on %s: %s", type, where, strerror(errno));
		tell_line(line);
	}
}

/*
 * A machine without devices gathers no randomness, and getrandom(2) would wait for it (random(4),
 * RNDADDENTROPY). Nothing here is secret.
 */
static void give_entropy(void)
{
	struct {
		struct rand_pool_info head;
		unsigned char bytes[64];
	} given = { .head = { .entropy_count = 8 * 64, .buf_size = 64 } };
	int random = open("/dev/urandom", O_RDWR | O_CLOEXEC);

	if (read(random, given.bytes, sizeof(given.bytes)) != sizeof(given.bytes) ||
	    ioctl(random, RNDADDENTROPY, &given) != 0)
		tell_line("init: the machine has no randomness");
	close(random);
}

/* As on every machine that has been started. */
static void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (ioctl(any, SIOCSIFFLAGS, &request) != 0)
		tell_line("init: lo cannot be brought up");
	close(any);
}

/* The file systems that every machine has, its console, and its network. */
static void set_up(void)
{
	struct termios raw;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mounted("devpts", "/dev/pts", "mode=620");
	console = open("/dev/console", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tcgetattr(console, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(console, TCSANOW, &raw);
	}
	/* Only what the kernel says when it dies comes between the lines (syslog(2), console_loglevel). */
	klogctl(8, NULL, 1);
	give_entropy();
	mounted("proc", "/proc", NULL);
	/* As everywhere; TOMOYO resolves it when a program is executed by a descriptor (until Linux 6.13). */
	if (symlink("/proc/self/fd", "/dev/fd") != 0)
		tell_line("init: no /dev/fd");
	mounted("sysfs", "/sys", NULL);
	mounted("tmpfs", "/dev/shm", "mode=1777");
	mounted("tmpfs", "/tmp", "mode=1777");
	bring_loopback_up();
}

static void set_up_cgroups(const char *layout)
{
	/* As systemd lays them out: processor time is counted where it is shared out. */
	static const char *const controllers[] = { "cpu,cpuacct", "memory", "pids", "freezer" };

	if (strcmp(layout, "v2") == 0)
		mounted("cgroup2", "/sys/fs/cgroup", NULL);
	if (strcmp(layout, "v1") != 0)
		return;
	mounted("tmpfs", "/sys/fs/cgroup", "mode=755");
	for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++) {
		char where[64];
		snprintf(where, sizeof(where), "/sys/fs/cgroup/%s", controllers[i]);
		mkdir(where, 0755);
		/* A kernel that lacks one: the probes find it missing. */
		mount("cgroup", where, "cgroup", 0, controllers[i]);
	}
}

static void fail(const char *what)
{
	dprintf(2, "init: %s: %s\n", what, strerror(errno));
	_exit(127);
}

/* The child of a step: becomes the user and executes. */
static void execute(uid_t user, char **words, int out, int err)
{
	static char home[32] = "HOME=/tmp";
	char *environment[WORDS + 4] = { "PATH=/", home, "LANG=C" };
	char **variable = environment + 3, *directory = home + strlen("HOME=");

	while (words[0] != NULL && words[0][0] != '/')
		*variable++ = *words++;

	/* A directory of the user's own. */
	snprintf(home + strlen(home), sizeof(home) - strlen(home), "/%u", user);
	if (mkdir(directory, 0755) == 0 && chown(directory, user, user) != 0)
		fail(directory);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(out, 1);
	dup2(err, 2);
	setsid();
	if (chdir(directory) != 0)
		fail(directory);
	if (user != 0 && (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0))
		fail("become the user");
	execve(words[0], words, environment);
	fail(words[0]);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Passes on what the step writes until both ends are closed; false when its time is over. */
static int pass_on(int out, int err, long until)
{
	struct pollfd ends[2] = { { out, POLLIN, 0 }, { err, POLLIN, 0 } };
	static const char *const kinds[] = { "out", "err" };
	unsigned char bytes[BYTES];

	while (ends[0].fd >= 0 || ends[1].fd >= 0) {
		long left = until - now_ms();
		if (left <= 0 || poll(ends, 2, left) == 0)
			return 0;
		for (int i = 0; i < 2; i++) {
			ssize_t count;
			if (ends[i].fd < 0 || ends[i].revents == 0)
				continue;
			count = read(ends[i].fd, bytes, sizeof(bytes));
			if (count > 0)
				tell_bytes(kinds[i], bytes, count);
			else
				ends[i].fd = -1;
		}
	}
	return 1;
}

/* Reaps everything; the status of `child` among it. */
static int reap(pid_t child)
{
	int status, own = -1;
	pid_t pid;

	while ((pid = wait(&status)) > 0)
		if (pid == child)
			own = status;
	return own;
}

static void run(char **words)
{
	uid_t user = strtoul(words[0], NULL, 10);
	long begin = now_ms(), until = begin + 1000 * strtol(words[1], NULL, 10), took;
	int out[2], err[2], status, in_time;
	char line[64];
	pid_t child;

	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 || (child = fork()) < 0) {
		tell_line("@end 0 lost no process");
		return;
	}
	if (child == 0)
		execute(user, words + 2, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	in_time = pass_on(out[0], err[0], until);
	if (in_time)
		waitpid(child, &status, 0);
	kill(-1, SIGKILL);
	if (in_time)
		reap(0);
	else
		status = reap(child);
	close(out[0]);
	close(err[0]);
	took = now_ms() - begin;
	if (!in_time)
		snprintf(line, sizeof(line), "@end %ld late", took);
	else if (WIFSIGNALED(status))
		snprintf(line, sizeof(line), "@end %ld signal %d", took, WTERMSIG(status));
	else
		snprintf(line, sizeof(line), "@end %ld exit %d", took, WEXITSTATUS(status));
	tell_line(line);
}

int main(void)
{
	char *line = NULL, *words[WORDS], note[32];
	size_t size = 0;
	unsigned steps = 0;
	FILE *plan;

	set_up();
	plan = fopen("/plan", "re");
	while (plan != NULL && getline(&line, &size, plan) > 0) {
		size_t count = 0;
		char *rest = line;

		line[strcspn(line, "\n")] = 0;
		while (count < WORDS - 1 && (words[count] = strsep(&rest, "\t")) != NULL)
			count++;
		words[count] = NULL;
		if (count == 2 && strcmp(words[0], "cgroup") == 0)
			set_up_cgroups(words[1]);
		if (count < 4 || strcmp(words[0], "run") != 0)
			continue;
		snprintf(note, sizeof(note), "@begin %u", steps++);
		tell_line(note);
		run(words + 1);
	}
	snprintf(note, sizeof(note), "@done %u", steps);
	tell_line(note);
	tcdrain(console);
	reboot(RB_POWER_OFF);
	return 1;
}
