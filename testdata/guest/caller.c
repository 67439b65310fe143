/*
 * A program whose calls no analysis can know: `caller [WAY NUMBER]`. It says "before", makes the call, and
 * says what it returned. The ways are `native` and, on x86, `int80`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long make(const char *way, long number)
{
#ifdef __x86_64__
	if (strcmp(way, "int80") == 0) {
		__asm__ volatile("int $0x80"
				 : "+a"(number)
				 : "b"(2), "c"(3), "d"(4)
				 : "memory", "r8", "r9", "r10", "r11");
		return number;
	}
#endif
	(void)way;
	number = syscall(number, 2, 3, 4);
	return number == -1 ? -errno : number;
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("before");
	if (count == 3)
		printf("%ld\n", make(words[1], strtol(words[2], NULL, 0)));
	return 3;
}
