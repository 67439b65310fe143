/* Filters and their answers; the user notification. */
#include "probe.h"
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
/* Linux 6.6, include/uapi/linux/seccomp.h. */
#define NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define NOTIF_SYNC_WAKE_UP 1UL

/* The call that filters here answer, and an answer that it cannot give by itself. */
#define ASKED SYS_getppid
enum { ANSWER = 4711, ERROR = 77, PLACE = 200 };

static int find_errno(void)
{
	return filter_one(0, ASKED, SECCOMP_RET_ERRNO | ERROR) == 0 && syscall(ASKED) == -1 &&
	       errno == ERROR;
}

static int find_log(void)
{
	return filter_one(0, ASKED, SECCOMP_RET_LOG) == 0 && syscall(ASKED) == getppid();
}

static void *asks(void *unused)
{
	(void)unused;
	syscall(ASKED);
	return NULL;
}

static void killed_by_a_thread(void)
{
	pthread_t thread;

	if (filter_one(0, ASKED, SECCOMP_RET_KILL_PROCESS) == 0 &&
	    pthread_create(&thread, NULL, asks, NULL) == 0)
		pthread_join(thread, NULL);
}

static int find_kill_process(void)
{
	int status = ended(killed_by_a_thread);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static volatile int trapped;

static void on_trap(int signal, siginfo_t *told, void *context)
{
	(void)signal;
	(void)context;
	trapped = told->si_syscall;
}

static int find_trap(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &action, NULL);
	if (filter_one(0, ASKED, SECCOMP_RET_TRAP) != 0)
		return 0;
	syscall(ASKED);
	return trapped == ASKED;
}

static void *is_filtered(void *unused)
{
	(void)unused;
	return (void *)(long)(syscall(ASKED) == -1 && errno == ERROR);
}

static pthread_barrier_t loaded;

static void *waits(void *unused)
{
	pthread_barrier_wait(&loaded);
	return is_filtered(unused);
}

/* All threads at once, with a listener: the flag that tells their failure apart (Linux 5.7). */
static int find_tsync_esrch(void)
{
	unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER |
			 SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	pthread_t thread;
	void *filtered = NULL;

	pthread_barrier_init(&loaded, NULL, 2);
	if (pthread_create(&thread, NULL, waits, NULL) != 0)
		return 0;
	if (filter_one(flags, ASKED, SECCOMP_RET_ERRNO | ERROR) < 0)
		return 0;
	pthread_barrier_wait(&loaded);
	pthread_join(thread, &filtered);
	return filtered != NULL;
}

/* What the supervisor does with the call, and what the call must then return. */
struct notify {
	unsigned flags;
	int (*answer)(int listener, struct seccomp_notif *asked);
	long (*expected)(void);
};

/* The caller shares the descriptors of its supervisor, so that both see the listener. */
static int supervised(const struct notify *notify)
{
	struct seccomp_notif asked = { 0 };
	int numbers[2], listener = -1, status = 0, answered = 0;
	pid_t child;

	if (pipe2(numbers, O_CLOEXEC) != 0)
		return 0;
	child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		long expected = notify->expected();
		int own = filter_one(SECCOMP_FILTER_FLAG_NEW_LISTENER | notify->flags, ASKED,
				     SECCOMP_RET_USER_NOTIF);
		if (write(numbers[1], &own, sizeof(own)) != sizeof(own) || own < 0)
			_exit(1);
		_exit(syscall(ASKED) == expected ? 0 : 1);
	}
	if (read(numbers[0], &listener, sizeof(listener)) == sizeof(listener) && listener >= 0)
		answered = ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0 &&
			   notify->answer(listener, &asked);
	if (!answered)
		kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return answered && status == 0;
}

static int respond(int listener, const struct seccomp_notif *asked, long value, unsigned flags)
{
	struct seccomp_notif_resp answer = { .id = asked->id, .val = value, .flags = flags };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0;
}

static long the_answer(void)
{
	return ANSWER;
}

static long the_place(void)
{
	return PLACE;
}

static long the_kernels(void)
{
	return getppid();
}

static int answer(int listener, struct seccomp_notif *asked)
{
	return asked->data.nr == ASKED && respond(listener, asked, ANSWER, 0);
}

static int let_continue(int listener, struct seccomp_notif *asked)
{
	return respond(listener, asked, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

static int add(int listener, const struct seccomp_notif *asked, unsigned flags)
{
	struct seccomp_notif_addfd added = {
		.id = asked->id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD | flags,
		.newfd = PLACE,
	};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added) == PLACE && fcntl(PLACE, F_GETFD) >= 0;
}

static int add_then_answer(int listener, struct seccomp_notif *asked)
{
	return add(listener, asked, 0) && respond(listener, asked, PLACE, 0);
}

static int add_and_send(int listener, struct seccomp_notif *asked)
{
	return add(listener, asked, SECCOMP_ADDFD_FLAG_SEND);
}

static void ignored(int signal)
{
	(void)signal;
}

/* A signal with a handler ends the wait for an answer, unless only a kill may. */
static int signal_then_answer(int listener, struct seccomp_notif *asked)
{
	return kill(asked->pid, SIGUSR1) == 0 && answer(listener, asked);
}

static int wake_on_this_processor(int listener, struct seccomp_notif *asked)
{
	return ioctl(listener, NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP) == 0 && answer(listener, asked);
}

static int find_notify(void)
{
	return supervised(&(struct notify){ 0, answer, the_answer });
}

static int find_notify_continue(void)
{
	return supervised(&(struct notify){ 0, let_continue, the_kernels });
}

static int find_notify_addfd(void)
{
	return supervised(&(struct notify){ 0, add_then_answer, the_place });
}

static int find_notify_addfd_send(void)
{
	return supervised(&(struct notify){ 0, add_and_send, the_place });
}

static int find_notify_wait_killable(void)
{
	struct sigaction action = { .sa_handler = ignored };

	sigaction(SIGUSR1, &action, NULL);
	return supervised(&(struct notify){ SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, signal_then_answer,
					    the_answer });
}

static int find_notify_sync_wake_up(void)
{
	return supervised(&(struct notify){ 0, wake_on_this_processor, the_answer });
}

/* The registers of a traced call, without knowledge of the architecture (Linux 5.3). */
static int find_syscall_info(void)
{
	struct __ptrace_syscall_info info = { 0 };
	int status, found;
	pid_t child = fork();

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		syscall(ASKED);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	do {
		ptrace(PTRACE_SYSCALL, child, 0, 0);
		if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			return 0;
		found = ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info);
	} while (found > 0 && !(info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == ASKED));
	kill(child, SIGKILL);
	return found > 0;
}

/* Calls of the 32-bit ABI from a program of the 64-bit one; a kernel without them sends a SIGSEGV. */
static void call_as_ia32(void)
{
#ifdef __x86_64__
	long number = 20; /* getpid of arch/x86/entry/syscalls/syscall_32.tbl */

	__asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
	_exit(number == getpid() ? 0 : 1);
#else
	_exit(1);
#endif
}

static int find_ia32(void)
{
	return ended(call_as_ia32) == 0;
}

const struct probe seccomp_probes[] = {
	{ "seccomp", find_errno },
	{ "seccomp-trap", find_trap },
	{ "seccomp-log", find_log },
	{ "seccomp-kill-process", find_kill_process },
	{ "notify", find_notify },
	{ "notify-continue", find_notify_continue },
	{ "tsync-esrch", find_tsync_esrch },
	{ "notify-addfd", find_notify_addfd },
	{ "notify-addfd-send", find_notify_addfd_send },
	{ "notify-wait-killable", find_notify_wait_killable },
	{ "notify-sync-wake-up", find_notify_sync_wake_up },
	{ "syscall-info", find_syscall_info },
	{ "ia32", find_ia32 },
	{ 0 },
};
