// A call that each thread makes, from a signal handler: number and arguments are in a variable of the
// runtime meanwhile.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s
// calls: prctl setgid exit_group
// scope: contains
// run: some
// warnings: PC0208
// doubt: number code — functions of package syscall are held by variables, and who calls them is not known
// not: setuid setresuid sethostname — the others that could be made so
package main

import (
	"os"
	"syscall"
)

func main() {
	const noNewPrivileges = 38
	_, _, failed := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, noNewPrivileges, 1, 0)
	if failed != 0 {
		os.Exit(1)
	}
	_ = syscall.Setgid(os.Getgid())
}
