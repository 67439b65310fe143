/*
 * A program whose calls no analysis can know: `caller [WAY NUMBER [TIMES]]`. It says "before", makes the call,
 * and says what it returned, the last time. The ways are `native` and, on x86, `int80`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * By its own instruction: musl has no unwind tables, so that a denial inside of its syscall() could not say who
 * called it.
 */
static long make(const char *way, long number)
{
#ifdef __x86_64__
	if (strcmp(way, "int80") == 0)
		__asm__ volatile("int $0x80"
				 : "+a"(number)
				 : "b"(2), "c"(3), "d"(4)
				 : "memory", "r8", "r9", "r10", "r11");
	else
		__asm__ volatile("syscall"
				 : "+a"(number)
				 : "D"(2), "S"(3), "d"(4)
				 : "memory", "rcx", "r11");
	return number;
#else
	register long nr __asm__("x8") = number;
	register long first __asm__("x0") = 2, second __asm__("x1") = 3, third __asm__("x2") = 4;

	(void)way;
	__asm__ volatile("svc #0" : "+r"(first) : "r"(nr), "r"(second), "r"(third) : "memory");
	return first;
#endif
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("before");
	if (count >= 3) {
		long times = count > 3 ? strtol(words[3], NULL, 0) : 1;
		long value = 0;
		while (times-- > 0)
			value = make(words[1], strtol(words[2], NULL, 0));
		printf("%ld\n", value);
	}
	return 3;
}
