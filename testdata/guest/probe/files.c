/* Namespaces, mounts, and ways to a file. */
#include "probe.h"
#include <dirent.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>

/* Of sys/mount.h, which cannot be read beside linux/mount.h before glibc 2.37. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#define MS_REC 16384
#endif

static int write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	int done = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);

	if (file >= 0)
		close(file);
	return done;
}

/* A user namespace in which this process's user is root. */
static int become_root(void)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1", getegid());
	return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups) &&
	       geteuid() == 0;
}

static int find_userns(void)
{
	return become_root() && unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
					CLONE_NEWUTS) == 0;
}

/* Mounts of our own: as root, or as root of a user namespace. */
static int own_mounts(void)
{
	if (geteuid() != 0 && !become_root())
		return 0;
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A file in what is mounted there now. */
static int create_below(const char *directory)
{
	return chdir(directory) == 0 ? open("new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
}

static int find_mounts(void)
{
	return own_mounts() && mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0 && create_below("/tmp") >= 0;
}

/* A new tmpfs, mounted nowhere. */
static int detached(void)
{
	int context = syscall(SYS_fsopen, "tmpfs", 0);

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -1;
	return syscall(SYS_fsmount, context, 0, 0);
}

static int attach(int tree)
{
	return syscall(SYS_move_mount, tree, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

static int find_mount_api(void)
{
	int tree = own_mounts() ? detached() : -1;

	return tree >= 0 && attach(tree) && create_below("/tmp") >= 0;
}

static int find_mount_setattr(void)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	int tree = own_mounts() ? detached() : -1;

	return tree >= 0 &&
	       syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) == 0 &&
	       attach(tree) && create_below("/tmp") == -1 && errno == EROFS;
}

/* The descriptor of a user namespace in which user 0 is user 4711 outside. */
static int foreign_users(void)
{
	int told[2], go[2], file = -1;
	char byte = 0, path[64];
	pid_t child;

	if (pipe(told) != 0 || pipe(go) != 0)
		return -1;
	child = fork();
	if (child == 0) {
		byte = unshare(CLONE_NEWUSER) == 0;
		if (write(told[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1)
			_exit(0);
		_exit(1);
	}
	if (read(told[0], &byte, 1) == 1 && byte) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", child);
		if (write_file(path, "0 4711 1")) {
			snprintf(path, sizeof(path), "/proc/%d/gid_map", child);
			write_file(path, "0 4711 1");
			snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
			file = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	if (write(go[1], "x", 1) != 1)
		kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return file;
}

/* A file that root made on a tmpfs belongs to another where the mount says so (Linux 6.3). */
static int find_idmapped_tmpfs(void)
{
	struct mount_attr mapped = { .attr_set = MOUNT_ATTR_IDMAP };
	struct stat found;
	int tree, users, made;

	if (geteuid() != 0 || !own_mounts())
		return 0;
	users = foreign_users();
	tree = detached();
	made = tree >= 0 ? openat(tree, "new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
	if (users < 0 || made < 0)
		return 0;
	/* A mount with a file that is open for writing is not mapped any more. */
	close(made);
	mapped.userns_fd = users;
	return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &mapped, sizeof(mapped)) == 0 &&
	       fstatat(tree, "new", &found, 0) == 0 && found.st_uid == 4711;
}

static int find_openat2(void)
{
	struct open_how beneath = { .flags = O_PATH | O_DIRECTORY, .resolve = RESOLVE_BENEATH };
	int directory = open("/proc", O_PATH | O_DIRECTORY);

	return syscall(SYS_openat2, directory, "self", &beneath, sizeof(beneath)) >= 0 &&
	       syscall(SYS_openat2, directory, "../proc", &beneath, sizeof(beneath)) == -1 &&
	       errno == EXDEV;
}

/* The file behind a mapping, whatever its path is now. */
static int find_map_files(void)
{
	DIR *directory = opendir("/proc/self/map_files");
	struct dirent *entry;
	int found = 0;

	while (directory != NULL && !found && (entry = readdir(directory)) != NULL)
		found = entry->d_name[0] != '.' &&
			openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC) >= 0;
	return found;
}

const struct probe file_probes[] = {
	{ "userns", find_userns },
	{ "mounts", find_mounts },
	{ "mount-api", find_mount_api },
	{ "mount-setattr", find_mount_setattr },
	{ "idmapped-tmpfs", find_idmapped_tmpfs },
	{ "openat2", find_openat2 },
	{ "map-files", find_map_files },
	{ 0 },
};
