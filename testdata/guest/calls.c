/*
 * Makes system calls behind a filter and tells what came of them: `calls FILTER CALLS`.
 *
 * A line of CALLS is a way to call, a number and six registers; the ways are `native` and, on x86, `int80`,
 * which is how a 64-bit program makes a 32-bit call. Written is a line for each run of equal outcomes: how
 * many calls, and `value RESULT`, as the kernel returned it, or `signal NUMBER`, which ended the caller.
 *
 * A child installs the filter and makes one call after the other; when one ends it, the next child goes on
 * behind it. A filter may answer every call by an error, so the child makes no other call: what came out
 * stays in shared memory, and at the end it executes an undefined instruction.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
	unsigned long number, args[6];
	int ia32;
	long value;
	int signal;
};

struct shared {
	volatile size_t done;
	struct call calls[];
};

#ifdef __x86_64__
long ia32(unsigned long number, const unsigned long *args);
__asm__(".globl ia32\n"
	"ia32:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov %rdi, %rax\n"
	"	mov (%rsi), %rbx\n"
	"	mov 8(%rsi), %rcx\n"
	"	mov 16(%rsi), %rdx\n"
	"	mov 32(%rsi), %rdi\n"
	"	mov 40(%rsi), %rbp\n"
	"	mov 24(%rsi), %rsi\n"
	"	int $0x80\n"
	"	movslq %eax, %rax\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n");

static long native(unsigned long number, const unsigned long *args)
{
	register long a3 __asm__("r10") = args[3];
	register long a4 __asm__("r8") = args[4];
	register long a5 __asm__("r9") = args[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(a3), "r"(a4),
			   "r"(a5)
			 : "rcx", "r11", "memory");
	return result;
}
#else
static long ia32(unsigned long number, const unsigned long *args)
{
	(void)number;
	(void)args;
	__builtin_trap();
}

static long native(unsigned long number, const unsigned long *args)
{
	register long nr __asm__("x8") = number;
	register long a0 __asm__("x0") = args[0];
	register long a1 __asm__("x1") = args[1];
	register long a2 __asm__("x2") = args[2];
	register long a3 __asm__("x3") = args[3];
	register long a4 __asm__("x4") = args[4];
	register long a5 __asm__("x5") = args[5];

	__asm__ volatile("svc #0"
			 : "+r"(a0)
			 : "r"(nr), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
			 : "memory");
	return a0;
}
#endif

static struct sock_filter instructions[4096];
static struct sock_fprog filter = { 0, instructions };

/* The calls of the file, where children see them; their number. */
static size_t read_calls(const char *path, struct shared **shared)
{
	FILE *file = fopen(path, "r");
	size_t count = 0, size;
	struct call *call;
	char way[8];
	int other;

	if (file == NULL)
		exit(2);
	while ((other = getc(file)) != EOF)
		count += other == '\n';
	rewind(file);
	size = sizeof(**shared) + count * sizeof(*call);
	*shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*shared == MAP_FAILED)
		exit(2);
	for (call = (*shared)->calls; call < (*shared)->calls + count; call++) {
		if (fscanf(file, "%7s %lu %lu %lu %lu %lu %lu %lu", way, &call->number, call->args,
			   call->args + 1, call->args + 2, call->args + 3, call->args + 4,
			   call->args + 5) != 8)
			exit(2);
		call->ia32 = strcmp(way, "int80") == 0;
	}
	fclose(file);
	return count;
}

static void make_calls(struct shared *shared, size_t count)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
		_exit(2);
	while (shared->done < count) {
		struct call *call = shared->calls + shared->done;
		call->value = (call->ia32 ? ia32 : native)(call->number, call->args);
		shared->done++;
	}
	__builtin_trap();
}

static void tell(const struct call *call, size_t run)
{
	if (call->signal != 0)
		printf("%zu signal %d\n", run, call->signal);
	else
		printf("%zu value %ld\n", run, call->value);
}

int main(int words, char **word)
{
	struct rlimit none = { 0, 0 };
	struct shared *shared;
	size_t count, run = 1;
	FILE *file = words == 3 ? fopen(word[1], "rb") : NULL;

	if (file == NULL)
		return 2;
	filter.len = fread(instructions, sizeof(*instructions), 4096, file);
	fclose(file);
	setrlimit(RLIMIT_CORE, &none);
	count = read_calls(word[2], &shared);
	while (shared->done < count) {
		int status;
		pid_t child = fork();

		if (child == 0)
			make_calls(shared, count);
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
			return 2;
		if (shared->done < count && WTERMSIG(status) != SIGSYS)
			return 2;
		if (shared->done < count)
			shared->calls[shared->done++].signal = SIGSYS;
	}
	for (size_t at = 0; at < count; at += run) {
		const struct call *first = shared->calls + at;
		for (run = 1; at + run < count && first[run].value == first->value &&
			      first[run].signal == first->signal;)
			run++;
		tell(first, run);
	}
	return 0;
}
