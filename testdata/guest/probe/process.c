/* Creating processes, handles to them, descriptors, memory. */
#include "probe.h"
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

static int find_pidfd(void)
{
	siginfo_t told = { 0 };
	struct pollfd wait;
	pid_t child = fork();

	if (child == 0)
		_exit(3);
	wait.fd = syscall(SYS_pidfd_open, child, 0);
	wait.events = POLLIN;
	return wait.fd >= 0 && poll(&wait, 1, -1) == 1 &&
	       waitid((idtype_t)3 /* P_PIDFD */, wait.fd, &told, WEXITED) == 0 && told.si_status == 3;
}

/* A process that is another one's child: how it ended is told to who had a handle when it was reaped. */
static int find_pidfd_exit(void)
{
	/* struct pidfd_info of Linux 6.15; the bit of its mask is PIDFD_INFO_EXIT. */
	struct {
		uint64_t mask, cgroup;
		uint32_t pid, process, parent, users[8];
		int32_t exit;
	} info = { .mask = 1 << 3 };
	int numbers[2], go[2], handle;
	pid_t child, grandchild;
	char byte;

	if (pipe(numbers) != 0 || pipe(go) != 0)
		return 0;
	child = fork();
	if (child == 0) {
		grandchild = fork();
		if (grandchild == 0)
			_exit(read(go[0], &byte, 1) == 1 ? 3 : 4);
		if (write(numbers[1], &grandchild, sizeof(grandchild)) != sizeof(grandchild))
			_exit(1);
		_exit(waitpid(grandchild, NULL, 0) == grandchild ? 0 : 1);
	}
	if (read(numbers[0], &grandchild, sizeof(grandchild)) != sizeof(grandchild))
		return 0;
	handle = syscall(SYS_pidfd_open, grandchild, 0);
	if (write(go[1], "x", 1) != 1 || waitpid(child, NULL, 0) != child)
		return 0;
	return ioctl(handle, _IOWR(0xff, 11, info), &info) == 0 && (info.mask & 1 << 3) != 0 &&
	       WEXITSTATUS(info.exit) == 3;
}

/* Takes a descriptor that the child opened, and reads from it what the child wrote. */
static int find_pidfd_getfd(void)
{
	int numbers[2], own[2], other = -1, handle, taken;
	char byte = 0;
	pid_t child;

	if (pipe(numbers) != 0)
		return 0;
	child = fork();
	if (child == 0) {
		if (pipe(own) == 0 && write(own[1], "x", 1) == 1 &&
		    write(numbers[1], own, sizeof(*own)) == sizeof(*own))
			wait_forever();
		_exit(1);
	}
	if (read(numbers[0], &other, sizeof(other)) != sizeof(other))
		return 0;
	handle = syscall(SYS_pidfd_open, child, 0);
	taken = syscall(SYS_pidfd_getfd, handle, other, 0);
	if (taken >= 0 && read(taken, &byte, 1) != 1)
		byte = 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return byte == 'x';
}

static int find_clone3(void)
{
	int handle = -1, status;
	struct clone_args arguments = {
		.flags = CLONE_PIDFD,
		.pidfd = (uintptr_t)&handle,
		.exit_signal = SIGCHLD,
	};
	pid_t child = syscall(NR_CLONE3, &arguments, sizeof(arguments));

	if (child == 0)
		_exit(3);
	return child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3 && handle >= 0;
}

static int find_close_range(void)
{
	int low = fcntl(0, F_DUPFD, 100), high = fcntl(0, F_DUPFD, 200);

	return low >= 0 && high >= 0 && syscall(SYS_close_range, low, high - 1, 0) == 0 &&
	       fcntl(low, F_GETFD) == -1 && fcntl(high, F_GETFD) == 0;
}

static int find_close_range_cloexec(void)
{
	int low = fcntl(0, F_DUPFD, 100);

	return low >= 0 && syscall(SYS_close_range, low, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
	       fcntl(low, F_GETFD) == FD_CLOEXEC;
}

static int find_memfd_noexec(void)
{
	int file = memfd_create("probe", MFD_NOEXEC_SEAL);

	return file >= 0 && (fcntl(file, F_GET_SEALS) & F_SEAL_EXEC) != 0;
}

/* For this process and what it starts: in a child. */
static int find_mdwe(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		size_t size = sysconf(_SC_PAGESIZE);
		void *page = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		_exit(page != MAP_FAILED && prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0 &&
		      mprotect(page, size, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static int find_mseal(void)
{
	size_t size = sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page != MAP_FAILED && syscall(NR_MSEAL, page, size, 0) == 0 &&
	       mprotect(page, size, PROT_NONE) == -1 && errno == EPERM;
}

/* The kernel says what it audits, and lets its records be read. */
static int find_audit(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct sockaddr_nl readers = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct nlmsghdr ask = { sizeof(ask), AUDIT_GET, NLM_F_REQUEST, 1, 0 };
	union {
		struct nlmsghdr header;
		char room[9000];
	} answer;
	int asks = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	int reads = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);

	return asks >= 0 && reads >= 0 && bind(reads, (struct sockaddr *)&readers, sizeof(readers)) == 0 &&
	       sendto(asks, &ask, sizeof(ask), 0, (struct sockaddr *)&kernel, sizeof(kernel)) > 0 &&
	       recv(asks, &answer, sizeof(answer), 0) > 0 && answer.header.nlmsg_type == AUDIT_GET;
}

/* Programs in the kernel can tell what they see, and where its structures have what. */
static int find_ebpf_ring(void)
{
	/* Before Linux 5.11 maps are locked memory of who makes them. */
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	/* BPF_MAP_CREATE: type (BPF_MAP_TYPE_RINGBUF), no key and value, bytes. */
	uint32_t ring[18] = { 27, 0, 0, 65536 };
	int map;

	setrlimit(RLIMIT_MEMLOCK, &all);
	map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, ring, sizeof(ring));

	return map >= 0 && access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

const struct probe process_probes[] = {
	{ "audit", find_audit },
	{ "ebpf-ring", find_ebpf_ring },
	{ "pidfd", find_pidfd },
	{ "pidfd-getfd", find_pidfd_getfd },
	{ "pidfd-exit", find_pidfd_exit },
	{ "clone3", find_clone3 },
	{ "close-range", find_close_range },
	{ "close-range-cloexec", find_close_range_cloexec },
	{ "memfd-noexec", find_memfd_noexec },
	{ "mdwe", find_mdwe },
	{ "mseal", find_mseal },
	{ 0 },
};
