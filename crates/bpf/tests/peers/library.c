/*
 * Filters of the installed libseccomp, for the tests beside this file.
 *
 * Reads filters from standard input, one after the other:
 *
 *     filter DEFAULT BAD_ARCH OPTIMIZE ARCH...
 *     rule ACTION NUMBER (ARGUMENT COMPARISON FIRST SECOND)...
 *     end
 *
 * Actions are what a filter returns, architectures are named as libseccomp names them, numbers of calls
 * are those of the machine, comparisons are values of enum scmp_compare. For each filter it writes a line,
 * the number of bytes of the filter, how many rules were refused and the nanoseconds that the library
 * took for all of it, and then the filter. Empty lines are nothing.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static void fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static int rule(scmp_filter_ctx filter, char *words)
{
	char *rest = NULL;
	uint32_t action = strtoul(strtok_r(words, " ", &rest), NULL, 0);
	int number = strtol(strtok_r(NULL, " ", &rest), NULL, 0);
	struct scmp_arg_cmp compared[6];
	unsigned count = 0;
	char *word;

	while (count < 6 && (word = strtok_r(NULL, " ", &rest)) != NULL) {
		compared[count].arg = strtoul(word, NULL, 0);
		compared[count].op = strtoul(strtok_r(NULL, " ", &rest), NULL, 0);
		compared[count].datum_a = strtoull(strtok_r(NULL, " ", &rest), NULL, 0);
		compared[count].datum_b = strtoull(strtok_r(NULL, " ", &rest), NULL, 0);
		count++;
	}
	return seccomp_rule_add_array(filter, action, number, count, compared);
}

static scmp_filter_ctx begin(char *words)
{
	char *rest = NULL;
	uint32_t otherwise = strtoul(strtok_r(words, " ", &rest), NULL, 0);
	uint32_t bad_arch = strtoul(strtok_r(NULL, " ", &rest), NULL, 0);
	uint32_t optimize = strtoul(strtok_r(NULL, " ", &rest), NULL, 0);
	scmp_filter_ctx filter = seccomp_init(otherwise);
	char *arch;
	int rc;

	if (filter == NULL)
		fail("seccomp_init", -22);
	rc = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
	while (rc == 0 && (arch = strtok_r(NULL, " ", &rest)) != NULL)
		rc = seccomp_arch_add(filter, seccomp_arch_resolve_name(arch));
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, bad_arch);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_API_TSKIP, 1);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, optimize);
	if (rc != 0)
		fail("filter", rc);
	return filter;
}

static void end(scmp_filter_ctx filter, unsigned refused, uint64_t before)
{
	int file = memfd_create("filter", 0);
	char buffer[4096 * 8];
	uint64_t start = now();
	ssize_t length;
	int rc = file < 0 ? -5 : seccomp_export_bpf(filter, file);
	uint64_t took = before + now() - start;

	if (rc != 0)
		fail("seccomp_export_bpf", rc);
	length = pread(file, buffer, sizeof(buffer), 0);
	close(file);
	printf("%zd %u %" PRIu64 "\n", length, refused, took);
	fwrite(buffer, 1, length, stdout);
	seccomp_release(filter);
}

int main(void)
{
	scmp_filter_ctx filter = NULL;
	unsigned refused = 0;
	uint64_t took = 0, start;
	char line[1024];

	/* There are rules over which the library thinks without end. */
	alarm(2);
	/* Every answer, whatever the running kernel knows. */
	seccomp_api_set(6);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		start = now();
		if (strncmp(line, "filter ", 7) == 0) {
			filter = begin(line + 7);
			refused = 0;
			took = now() - start;
		} else if (strncmp(line, "rule ", 5) == 0) {
			refused += rule(filter, line + 5) != 0;
			took += now() - start;
		} else if (line[0] != '\0') {
			end(filter, refused, took);
		}
	}
	return 0;
}
