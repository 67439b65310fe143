/*
 * The least that a confined start can cost: the same namespaces, mounts, Landlock rules and filter as those of
 * `portcullis run`, made by hand, with an init that reaps, and without anything that looks at what was made.
 *
 *     floor [--net] PLAN FILTER PROGRAM [ARGUMENT...]
 *
 * PLAN is a list of mounts, a line each, parents before children: a word and a path.
 *
 *     graft PATH    what the machine has there, read-only (write: writable, device: a device file)
 *     tmpfs PATH    an empty file system (devpts: of terminals)
 *     nodir PATH    an empty directory, read-only (nofile: an empty file)
 *     begin PATH    the working directory; the last line
 *
 * FILTER is a program as seccomp(2) takes it, which allows execveat. The exit code is the program's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOUNTS = 512, RECURSIVE = 0x8000, DETACH = 2, PRIVATE = 1 << 18 };
/* Newer than the headers of Debian 12. */
enum { TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15 };

struct mount {
	char what[8], path[512];
	int tree;
};

static struct mount mounts[MOUNTS];
static int count;
static char begin[512];
static struct sock_filter instructions[4096];
static struct sock_fprog filter = { 0, instructions };
static char **program;
static int go[2];

static void must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(125);
	}
}

static int copy(const char *path)
{
	int tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC | RECURSIVE);

	must(tree, path);
	return tree;
}

static void attributes(int tree, uint64_t set)
{
	struct mount_attr attr = { .attr_set = set, .propagation = PRIVATE };

	must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | RECURSIVE, &attr, sizeof(attr)), "mount_setattr");
}

static int attach(int tree, const char *path)
{
	return syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

static int fresh(const char *kind, const char *mode, uint64_t set)
{
	int context = syscall(SYS_fsopen, kind, FSOPEN_CLOEXEC), tree;

	must(context, kind);
	if (mode != NULL)
		must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", mode, 0), "mode");
	must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "create");
	tree = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, set);
	must(tree, "fsmount");
	close(context);
	return tree;
}

static int is(const struct mount *mount, const char *what)
{
	return strcmp(mount->what, what) == 0;
}

static int is_copy(const struct mount *mount)
{
	return is(mount, "graft") || is(mount, "write") || is(mount, "device");
}

static uint64_t of(const struct mount *mount)
{
	uint64_t base = MOUNT_ATTR_NOSUID;

	if (is(mount, "device"))
		return base | MOUNT_ATTR_NOEXEC;
	if (is(mount, "devpts"))
		return base | MOUNT_ATTR_NOEXEC;
	base |= MOUNT_ATTR_NODEV;
	if (is(mount, "graft"))
		return base | MOUNT_ATTR_RDONLY;
	if (is(mount, "nodir") || is(mount, "nofile"))
		return base | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
	return base;
}

/* What is attached needs something to be attached to. */
static void make_way(const struct mount *mount, int is_file)
{
	char path[512];

	strcpy(path, mount->path);
	for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = 0;
		mkdir(path, 0755);
		*at = '/';
	}
	if (is_file)
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
	else
		mkdir(path, 0755);
}

static void see(void)
{
	int root, processes, empty, dev = -1;
	struct stat status;

	for (int n = 0; n < count; n++)
		if (is_copy(&mounts[n])) {
			mounts[n].tree = copy(mounts[n].path);
			attributes(mounts[n].tree, of(&mounts[n]));
		}
	processes = fresh("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	root = copy("/");
	attributes(root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	must(attach(root, "/"), "attach the root");
	must(fchdir(root), "fchdir");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(syscall(SYS_umount2, ".", DETACH), "detach the former root");
	must(chdir("/"), "chdir");
	empty = fresh("tmpfs", "755", 0);
	must(attach(empty, "/proc"), "attach the empty places");
	must(mkdir("/proc/d", 0555), "mkdir");
	close(open("/proc/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
	for (int n = 0; n < count; n++) {
		struct mount *mount = &mounts[n];
		int is_file = is(mount, "device") || is(mount, "nofile");

		if (is(mount, "devpts"))
			mount->tree = fresh("devpts", "620", of(mount));
		else if (is(mount, "tmpfs"))
			mount->tree = fresh("tmpfs", strcmp(mount->path, "/dev") == 0 ? "755" : "1777", of(mount));
		else if (!is_copy(mount)) {
			mount->tree = copy(is_file ? "/proc/f" : "/proc/d");
			attributes(mount->tree, of(mount));
		} else if (fstat(mount->tree, &status) == 0)
			is_file = !S_ISDIR(status.st_mode);
		if (attach(mount->tree, mount->path) != 0) {
			make_way(mount, is_file);
			must(attach(mount->tree, mount->path), mount->path);
		}
		if (strcmp(mount->path, "/dev") == 0) {
			dev = mount->tree;
			symlink("/proc/self/fd", "/dev/fd");
			symlink("fd/0", "/dev/stdin");
			symlink("fd/1", "/dev/stdout");
			symlink("fd/2", "/dev/stderr");
			symlink("pts/ptmx", "/dev/ptmx");
		}
	}
	if (dev >= 0) {
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

		must(syscall(SYS_mount_setattr, dev, "", AT_EMPTY_PATH, &attr, sizeof(attr)), "seal /dev");
	}
	must(syscall(SYS_umount2, "/proc", DETACH), "detach the empty places");
	must(attach(processes, "/proc"), "attach /proc");
	for (const char *const *path = (const char *const[]){ "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus",
			"/proc/fs", "/proc/acpi", "/proc/scsi", NULL }; *path != NULL; path++)
		if (access(*path, F_OK) == 0) {
			int tree = copy(*path);

			attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
			must(attach(tree, *path), *path);
		}
	for (const char *const *path = (const char *const[]){ "/proc/kcore", "/proc/keys", "/proc/kpagecount",
			"/proc/kpageflags", "/proc/kpagecgroup", "/proc/timer_list", NULL }; *path != NULL; path++)
		if (access(*path, F_OK) == 0) {
			int tree = copy("/dev/null");

			attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
			must(attach(tree, *path), *path);
		}
	must(chdir(begin), begin);
}

static void allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { access, open(path, O_PATH | O_CLOEXEC) };
	struct stat status;

	if (rule.parent_fd < 0)
		return;
	if (fstat(rule.parent_fd, &status) == 0 && !S_ISDIR(status.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE
			| LANDLOCK_ACCESS_FS_READ_FILE | TRUNCATE | IOCTL_DEV;
	must(syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0), path);
	close(rule.parent_fd);
}

static void restrict_self(void)
{
	/* Files by ABI 5, signals and abstract sockets by ABI 6. */
	struct { uint64_t files, net, scopes; } handled = { 0xffff, 0, 3 };
	uint64_t read = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	int rules = syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);

	must(rules, "landlock_create_ruleset");
	allow(rules, "/", read);
	for (int n = 0; n < count; n++)
		if (strcmp(mounts[n].path, "/dev") == 0)
			allow(rules, "/dev", read | LANDLOCK_ACCESS_FS_WRITE_FILE | IOCTL_DEV);
		else if (is(&mounts[n], "tmpfs") || is(&mounts[n], "devpts") || is(&mounts[n], "write"))
			allow(rules, mounts[n].path, 0xffff);
	allow(rules, "/proc", read | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE);
	must(syscall(SYS_landlock_restrict_self, rules, 0), "landlock_restrict_self");
}

static void lower(void)
{
	uint64_t kept = geteuid() == 0 ? 0x405fb : 0;
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { kept, kept, 0 }, { 0, 0, 0 } };

	for (int n = 0; n < 64; n++)
		if (!(kept & 1ULL << n) && prctl(PR_CAPBSET_DROP, n, 0, 0, 0) != 0)
			break;
	must(syscall(SYS_capset, &header, data), "capset");
}

static void execute(void)
{
	extern char **environ;
	int file;

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	file = open(program[0], O_RDONLY | O_CLOEXEC);
	must(file, program[0]);
	restrict_self();
	lower();
	must(syscall(SYS_close_range, 3, ~0U, 4), "close_range");
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
	syscall(SYS_execveat, file, "", program, environ, AT_EMPTY_PATH);
	_exit(126);
}

static int first(void)
{
	int status = 0;
	pid_t child;
	char word;

	must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "parent-death signal");
	close(go[1]);
	if (read(go[0], &word, 1) != 1)
		_exit(125);
	see();
	child = fork();
	must(child, "fork");
	if (child == 0)
		execute();
	for (;;) {
		int ended;
		pid_t pid = waitpid(-1, &ended, __WALL);

		if (pid == child)
			status = ended;
		if (pid == child || (pid < 0 && errno == ECHILD))
			break;
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void put(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = open(path, O_WRONLY | O_CLOEXEC);
	must(file, path);
	must(write(file, text, strlen(text)), path);
	close(file);
}

static void map_ids(pid_t pid)
{
	char text[64];

	if (geteuid() == 0) {
		put(pid, "uid_map", "0 0 4294967295");
		put(pid, "gid_map", "0 0 4294967295");
		return;
	}
	snprintf(text, sizeof(text), "%d %d 1", geteuid(), geteuid());
	put(pid, "uid_map", text);
	put(pid, "setgroups", "deny");
	snprintf(text, sizeof(text), "%d %d 1", getegid(), getegid());
	put(pid, "gid_map", text);
}

int main(int argc, char **words)
{
	long flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | SIGCHLD;
	FILE *file;
	int status;
	pid_t pid;

	if (argc > 1 && strcmp(words[1], "--net") == 0) {
		flags |= CLONE_NEWNET;
		words++;
		argc--;
	}
	if (argc < 4) {
		fprintf(stderr, "usage: floor [--net] PLAN FILTER PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	file = fopen(words[1], "r");
	if (file == NULL)
		must(-1, words[1]);
	while (count < MOUNTS && fscanf(file, "%7s %511[^\n]", mounts[count].what, mounts[count].path) == 2)
		if (strcmp(mounts[count].what, "begin") == 0)
			strcpy(begin, mounts[count].path);
		else
			count++;
	fclose(file);
	file = fopen(words[2], "rb");
	if (file == NULL)
		must(-1, words[2]);
	filter.len = fread(instructions, sizeof(*instructions), 4096, file);
	fclose(file);
	program = words + 3;
	must(pipe2(go, O_CLOEXEC), "pipe");
	pid = syscall(SYS_clone, flags, 0, 0, 0, 0);
	must(pid, "clone");
	if (pid == 0)
		return first();
	map_ids(pid);
	must(write(go[1], "G", 1), "write");
	must(waitpid(pid, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
