/*
 * Probes: each tries one mechanism of the kernel and looks at its effect.
 *
 * A probe runs in a process of its own, so that what it takes on or gives up is gone with it. It returns the
 * level that it found: 0 for "not there", 1 for "there", more where a mechanism has levels.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct probe {
	const char *name;
	int (*find)(void);
};

/* Each list ends with a name that is null. */
extern const struct probe seccomp_probes[], process_probes[], file_probes[], landlock_probes[],
	cgroup_probes[];

/* The status with which the child that runs `body` ends; -1 when there is none. */
int ended(void (*body)(void));
/* Has made a child of its own and waits for it forever; for what must be killed from outside. */
_Noreturn void wait_forever(void);
/* Loads a filter that answers one call and allows the others; as seccomp(2), -1 with errno. */
int filter_one(unsigned flags, unsigned number, unsigned answer);

/* Calls that the headers of the oldest supported compiler do not name; one number on all architectures. */
enum {
	NR_CLONE3 = 435,
	NR_MSEAL = 462,
};
