/* Control groups: each limit is set on a group of our own and run into. */
#include "probe.h"
#include <dirent.h>
#include <linux/sched.h>
#include <mntent.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { LIMIT = 16 << 20 };

/* A new group below the mount of `type` whose options have `word`; its parent may hand `controller` down. */
static int make(char *path, size_t size, const char *type, const char *word, const char *controller)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *one;
	int control;

	while (mounts != NULL && (one = getmntent(mounts)) != NULL) {
		if (strcmp(one->mnt_type, type) != 0 || (word != NULL && hasmntopt(one, word) == NULL))
			continue;
		if (word == NULL && controller != NULL) {
			snprintf(path, size, "%s/cgroup.subtree_control", one->mnt_dir);
			control = open(path, O_WRONLY | O_CLOEXEC);
			if (control < 0 || write(control, controller, strlen(controller)) < 0)
				return 0;
			close(control);
		}
		snprintf(path, size, "%s/portcullis-probe-%d", one->mnt_dir, getpid());
		return mkdir(path, 0755) == 0;
	}
	return 0;
}

static int put(const char *group, const char *file, const char *text)
{
	char path[256];
	int control, done;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	control = open(path, O_WRONLY | O_CLOEXEC);
	done = control >= 0 && write(control, text, strlen(text)) == (ssize_t)strlen(text);
	if (control >= 0)
		close(control);
	return done;
}

/* Forks into the group once it may go, and runs `body`; the status, -1 when it could not be moved. */
static int ended_in(const char *group, void (*body)(void))
{
	int go[2], status = -1, moved;
	char number[16], byte;
	pid_t child;

	if (pipe(go) != 0)
		return -1;
	child = fork();
	if (child == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			body();
		_exit(0);
	}
	close(go[0]);
	snprintf(number, sizeof(number), "%d", child);
	moved = put(group, "cgroup.procs", number) && write(go[1], "x", 1) == 1;
	close(go[1]);
	waitpid(child, &status, 0);
	return moved ? status : -1;
}

static void forks(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	/* The group can be removed only when this one is gone too. */
	if (child > 0)
		waitpid(child, NULL, 0);
	_exit(child == -1 && errno == EAGAIN ? 3 : 0);
}

static void allocates(void)
{
	char *memory = mmap(NULL, 4 * LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t at = 0; memory != MAP_FAILED && at < 4 * LIMIT; at += 4096)
		memory[at] = 1;
}

static int pids_hold(const char *type, const char *word)
{
	char group[192];
	int held;

	if (!make(group, sizeof(group), type, word, "+pids"))
		return 0;
	held = put(group, "pids.max", "1") && WEXITSTATUS(ended_in(group, forks)) == 3;
	rmdir(group);
	return held;
}

static int memory_holds(const char *type, const char *word, const char *file)
{
	char group[192], limit[16];
	int status = 0;

	if (!make(group, sizeof(group), type, word, "+memory"))
		return 0;
	snprintf(limit, sizeof(limit), "%d", LIMIT);
	if (put(group, file, limit))
		status = ended_in(group, allocates);
	rmdir(group);
	return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int find_cgroup1_pids(void)
{
	return pids_hold("cgroup", "pids");
}

static int find_cgroup1_memory(void)
{
	return memory_holds("cgroup", "memory", "memory.limit_in_bytes");
}

static int find_cgroup1_freezer(void)
{
	char group[192];
	int held;

	if (!make(group, sizeof(group), "cgroup", "freezer", NULL))
		return 0;
	held = put(group, "freezer.state", "FROZEN") && put(group, "freezer.state", "THAWED");
	rmdir(group);
	return held;
}

static int find_cgroup2(void)
{
	char group[192];
	int status;

	if (!make(group, sizeof(group), "cgroup2", NULL, NULL))
		return 0;
	status = ended_in(group, forks);
	rmdir(group);
	return status == 0;
}

static int find_cgroup2_pids(void)
{
	return pids_hold("cgroup2", NULL);
}

static int find_cgroup2_memory(void)
{
	return memory_holds("cgroup2", NULL, "memory.max");
}

/* A child that is created in a group, and everything in the group killed at once. */
static int in_group_from_birth(int kill_all)
{
	char group[192], list[256], line[32] = "";
	struct clone_args arguments = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int directory, status = 0;
	FILE *members;
	pid_t child;

	if (!make(group, sizeof(group), "cgroup2", NULL, NULL))
		return 0;
	directory = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	arguments.cgroup = directory;
	child = syscall(NR_CLONE3, &arguments, sizeof(arguments));
	if (child == 0)
		wait_forever();
	if (child > 0) {
		snprintf(list, sizeof(list), "%s/cgroup.procs", group);
		members = fopen(list, "re");
		if (members != NULL && fgets(line, sizeof(line), members) == NULL)
			line[0] = 0;
		if (!kill_all || !put(group, "cgroup.kill", "1"))
			kill(child, kill_all ? SIGTERM : SIGKILL);
		waitpid(child, &status, 0);
	}
	/* The group is empty when its dead are reaped. */
	rmdir(group);
	return child > 0 && atoi(line) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int find_clone_into_cgroup(void)
{
	return in_group_from_birth(0);
}

static int find_cgroup_kill(void)
{
	return in_group_from_birth(1);
}

const struct probe cgroup_probes[] = {
	{ "cgroup1-pids", find_cgroup1_pids },
	{ "cgroup1-memory", find_cgroup1_memory },
	{ "cgroup1-freezer", find_cgroup1_freezer },
	{ "cgroup2", find_cgroup2 },
	{ "cgroup2-pids", find_cgroup2_pids },
	{ "cgroup2-memory", find_cgroup2_memory },
	{ "clone-into-cgroup", find_clone_into_cgroup },
	{ "cgroup-kill", find_cgroup_kill },
	{ 0 },
};
