/* Makes a file: `writer PATH`. It says why it could not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("before");
	printf("%d\n", count > 1 && open(words[1], O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : errno);
	return 3;
}
