/* What programs in C refer to and WASI lacks: other programs, temporary files, modes of files. */
#include <stdio.h>

int system(const char *command)
{
	return command ? -1 : 0;
}

FILE *tmpfile(void)
{
	return NULL;
}

int chmod(const char *path, unsigned mode)
{
	return -1;
}
