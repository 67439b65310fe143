// Functions of C that Go calls on another stack, by addresses in its variables; some of them ask for memory
// that the runtime wants, with what it says.
// builds: go CGO_ENABLED=1 | go CGO_ENABLED=1 -ldflags=-s
// calls: getppid umask getpgid clone exit_group
// scope: contains
// run: some
// warnings: PC0204 PC0207 PC0208
// doubt: module exec code — the C library may load modules, and its loader is told what to start; functions of package syscall are held by variables, on aarch64
// not: acct — a call of the C library that nothing leads to
package main

/*
#cgo LDFLAGS: -pthread
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static void *other(void *of) { umask(022); return of; }

static int in_thread(void) {
	pthread_t thread;
	return pthread_create(&thread, 0, other, 0) || pthread_join(thread, 0);
}

typedef int (*chosen)(void);

static int parent(void) { return getppid(); }

static chosen choose(int which) { return which > 0 ? parent : 0; }

static int call(chosen what) { return what ? what() : -1; }
*/
import "C"

import (
	"os"
	"syscall"
)

func main() {
	if C.in_thread() != 0 || C.call(C.choose(C.int(len(os.Args)))) < 0 {
		os.Exit(1)
	}
	_, _ = syscall.Getpgid(0)
}
