/*
 * What filters cost in the kernel, side by side.
 *
 *     calls ROUNDS FILE...
 *
 * Each file is a filter as seccomp(2) takes it. A round goes once through all filters, so that whatever else
 * happens on the machine happens to each of them. For every filter a child is made which installs it and
 * then makes calls; a line says, for each filter and round:
 *
 *     FILE INSTALL ALLOWED CHECKED
 *
 * in nanoseconds: one installation, one getppid(), and one personality(0xffffffff), which changes nothing
 * and whose argument filters look at. The file `-` is no filter, and its installation a getppid().
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 200000 };

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1e9 + at.tv_nsec;
}

static double of_calls(long number, unsigned long argument)
{
	double start = now();

	for (int n = 0; n < CALLS; n++)
		if (syscall(number, argument) < 0)
			return -1;
	return (now() - start) / CALLS;
}

/* In the child: what it measures goes to the descriptor. */
static void measure(const struct sock_fprog *filter, int out)
{
	double found[3], start;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	start = now();
	if (filter->len == 0)
		syscall(SYS_getppid);
	else if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) != 0)
		_exit(1);
	found[0] = now() - start;
	of_calls(SYS_getppid, 0);
	found[1] = of_calls(SYS_getppid, 0);
	found[2] = of_calls(SYS_personality, 0xffffffff);
	if (write(out, found, sizeof(found)) != sizeof(found))
		_exit(1);
	_exit(0);
}

static int once(const char *name)
{
	static struct sock_filter instructions[4096];
	struct sock_fprog filter = { 0, instructions };
	double found[3] = { 0 };
	int ends[2], status;
	pid_t child;

	if (strcmp(name, "-") != 0) {
		FILE *file = fopen(name, "rb");

		if (file == NULL)
			return -1;
		filter.len = fread(instructions, sizeof(*instructions), 4096, file);
		fclose(file);
	}
	if (pipe(ends) != 0 || (child = fork()) < 0)
		return -1;
	if (child == 0)
		measure(&filter, ends[1]);
	close(ends[1]);
	if (read(ends[0], found, sizeof(found)) != sizeof(found))
		errno = EPROTO;
	close(ends[0]);
	waitpid(child, &status, 0);
	if (status != 0)
		return -1;
	printf("%s %.0f %.2f %.2f\n", name, found[0], found[1], found[2]);
	return 0;
}

int main(int count, char **words)
{
	int rounds = count > 2 ? atoi(words[1]) : 0;

	for (int round = 0; round < rounds; round++)
		for (int n = 2; n < count; n++)
			if (once(words[n]) != 0) {
				perror(words[n]);
				return 1;
			}
	return 0;
}
