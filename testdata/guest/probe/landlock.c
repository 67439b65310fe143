/*
 * Landlock: the version that the kernel names, as far as what came with each version works. What came with
 * 12 and later is taken at the kernel's word.
 */
#include "probe.h"
#include <netinet/in.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* include/uapi/linux/landlock.h; older headers lack what is newer than they are. */
enum {
	CREATE_RULESET_VERSION = 1,
	FS_READ_FILE = 1 << 2,
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	FS_RESOLVE_UNIX = 1 << 16,
	NET_BIND_TCP = 1 << 0,
	NET_BIND_UDP = 1 << 2,
	SCOPE_SIGNAL = 1 << 1,
	LOG_SAME_EXEC_OFF = 1 << 0,
	ALL_THREADS = 1 << 3,
	NO_NEW_PRIVS = 1 << 4,
	TESTED = 11,
};

struct ruleset {
	uint64_t fs, net, scoped;
};

/* Takes what the rule set names from this process; the size is that of the version. */
static int restricted(const struct ruleset *rules, size_t size, unsigned flags)
{
	int file = syscall(SYS_landlock_create_ruleset, rules, size, 0);

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return file >= 0 && syscall(SYS_landlock_restrict_self, file, flags) == 0;
}

static void no_reading(void)
{
	_exit(!(restricted(&(struct ruleset){ .fs = FS_READ_FILE }, 8, 0) &&
		open("/proc/version", O_RDONLY) == -1 && errno == EACCES));
}

static void no_linking_elsewhere(void)
{
	_exit(!restricted(&(struct ruleset){ .fs = FS_REFER }, 8, 0));
}

static void no_truncating(void)
{
	char name[] = "probe-XXXXXX";
	int file = mkstemp(name), refused;

	refused = file >= 0 && ftruncate(file, 1) == 0 &&
		  restricted(&(struct ruleset){ .fs = FS_TRUNCATE }, 8, 0) && truncate(name, 0) == -1 &&
		  errno == EACCES;
	unlink(name);
	_exit(!refused);
}

static int binding_is_refused(int type, uint64_t right)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int own = socket(AF_INET, type, 0);

	return own >= 0 && restricted(&(struct ruleset){ .net = right }, 16, 0) &&
	       bind(own, (struct sockaddr *)&any, sizeof(any)) == -1 && errno == EACCES;
}

static void no_binding(void)
{
	_exit(!binding_is_refused(SOCK_STREAM, NET_BIND_TCP));
}

static void no_binding_of_udp(void)
{
	_exit(!binding_is_refused(SOCK_DGRAM, NET_BIND_UDP));
}

static void no_requests(void)
{
	int file, before, after, count;

	/* The right is looked at when the device is opened. */
	file = open("/dev/zero", O_RDONLY);
	ioctl(file, TCGETS, &count);
	before = errno;
	if (!restricted(&(struct ruleset){ .fs = FS_IOCTL_DEV }, 16, 0))
		_exit(1);
	file = open("/dev/zero", O_RDONLY);
	ioctl(file, TCGETS, &count);
	after = errno;
	_exit(!(before == ENOTTY && after == EACCES));
}

static void no_signals_out(void)
{
	_exit(!(kill(getppid(), 0) == 0 && restricted(&(struct ruleset){ .scoped = SCOPE_SIGNAL }, 24, 0) &&
		kill(getppid(), 0) == -1 && errno == EPERM));
}

static void no_records(void)
{
	_exit(!restricted(&(struct ruleset){ .fs = FS_READ_FILE }, 24, LOG_SAME_EXEC_OFF));
}

static pthread_barrier_t taken;

static void *tries_to_read(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&taken);
	return (void *)(long)(open("/proc/version", O_RDONLY) == -1 && errno == EACCES);
}

static void no_reading_by_threads(void)
{
	void *refused = NULL;
	pthread_t thread;

	pthread_barrier_init(&taken, NULL, 2);
	if (pthread_create(&thread, NULL, tries_to_read, NULL) != 0 ||
	    !restricted(&(struct ruleset){ .fs = FS_READ_FILE }, 8, ALL_THREADS))
		_exit(1);
	pthread_barrier_wait(&taken);
	pthread_join(thread, &refused);
	_exit(refused == NULL);
}

/* A socket that was bound before is outside. */
static void no_sockets_by_path(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), refused;

	snprintf(name.sun_path, sizeof(name.sun_path), "probe-%d", getpid());
	refused = bind(server, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(server, 1) == 0 &&
		  restricted(&(struct ruleset){ .fs = FS_RESOLVE_UNIX }, 8, 0) &&
		  connect(client, (struct sockaddr *)&name, sizeof(name)) == -1 && errno == EACCES;
	unlink(name.sun_path);
	_exit(!refused);
}

static void no_new_privileges_with_it(void)
{
	struct ruleset rules = { .fs = FS_READ_FILE };
	int file = syscall(SYS_landlock_create_ruleset, &rules, 8, 0);

	_exit(!(file >= 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 &&
		syscall(SYS_landlock_restrict_self, file, NO_NEW_PRIVS) == 0 &&
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1));
}

static int find_landlock(void)
{
	static void (*const came_with[TESTED])(void) = {
		no_reading,	   no_linking_elsewhere, no_truncating,
		no_binding,	   no_requests,		 no_signals_out,
		no_records,	   no_reading_by_threads, no_sockets_by_path,
		no_binding_of_udp, no_new_privileges_with_it,
	};
	int version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	for (int tested = 0; tested < version && tested < TESTED; tested++)
		if (ended(came_with[tested]) != 0)
			return tested;
	return version < 0 ? 0 : version;
}

const struct probe landlock_probes[] = {
	{ "landlock", find_landlock },
	{ 0 },
};
