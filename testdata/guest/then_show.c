/* Runs a program, then writes a file to standard output: `then_show FILE PROGRAM ARGUMENT...`. It ends as the
 * program did. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words)
{
	char block[4096];
	size_t length;
	int status;
	FILE *file;
	pid_t child;

	if (count < 3 || (child = fork()) < 0)
		return 2;
	if (child == 0) {
		execv(words[2], words + 2);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child)
		return 2;
	file = fopen(words[1], "rb");
	while (file != NULL && (length = fread(block, 1, sizeof(block), file)) > 0)
		fwrite(block, 1, length, stdout);
	fflush(stdout);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
