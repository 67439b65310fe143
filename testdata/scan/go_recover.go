// A function that only comes back because a deferred call recovers: control goes to an address that
// nothing in its code leads to.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s | go CGO_ENABLED=0 -buildmode=pie
// calls: getppid umask exit_group
// scope: contains
// run: some
// doubt: number code exec — the loader of a position-independent build is told what to start; functions of package syscall are held by variables, and who calls them is not known
// not: sync setpriority — calls of package syscall that nothing leads to
package main

import "syscall"

//go:noinline
func fails(deep int) {
	defer func() { recover() }()
	panic(deep)
}

//go:noinline
func failsInLoop(deep int) (sum int) {
	for n := 0; n < deep; n++ {
		defer func() {
			recover()
			sum++
		}()
	}
	var nothing *int
	return *nothing
}

func main() {
	fails(1)
	syscall.Getppid()
	if failsInLoop(3) == 3 {
		syscall.Umask(0o22)
	}
}
