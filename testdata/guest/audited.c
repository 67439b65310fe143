/*
 * Runs a program while the kernel audits: `audited PROGRAM ARGUMENT...`. What was there before is put back. It
 * ends as the program did.
 */
#include <linux/audit.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct request {
	struct nlmsghdr header;
	struct audit_status status;
};

/* Asks the kernel; its answer of this type is put into `status`. */
static int ask(int type, struct audit_status *status, int answers)
{
	static char room[9000] __attribute__((aligned(8)));
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct request request = {
		.header = { sizeof(request), type, NLM_F_REQUEST | NLM_F_ACK, 1, 0 },
		.status = *status,
	};
	int file = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT), failed = 1;
	const struct nlmsghdr *got = (const struct nlmsghdr *)room;

	if (file < 0 || sendto(file, &request, sizeof(request), 0, (struct sockaddr *)&kernel,
			       sizeof(kernel)) < 0)
		return 1;
	while (recv(file, room, sizeof(room), 0) > 0) {
		if (got->nlmsg_type == answers) {
			failed = 0;
			if (answers == NLMSG_ERROR)
				failed = ((const struct nlmsgerr *)NLMSG_DATA(got))->error;
			else
				memcpy(status, NLMSG_DATA(got), sizeof(*status));
			break;
		}
		if (got->nlmsg_type == NLMSG_ERROR &&
		    ((const struct nlmsgerr *)NLMSG_DATA(got))->error != 0)
			break;
	}
	close(file);
	return failed;
}

static int audit(unsigned enabled)
{
	struct audit_status status = { .mask = AUDIT_STATUS_ENABLED, .enabled = enabled };

	return ask(AUDIT_SET, &status, NLMSG_ERROR);
}

int main(int count, char **words)
{
	struct audit_status before = { 0 };
	int status;
	pid_t child;

	if (count < 2 || ask(AUDIT_GET, &before, AUDIT_GET) != 0)
		return 2;
	if (before.enabled == 0 && audit(1) != 0)
		return 2;
	if ((child = fork()) == 0) {
		execv(words[1], words + 1);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		status = 2 << 8;
	if (before.enabled == 0 && audit(0) != 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
