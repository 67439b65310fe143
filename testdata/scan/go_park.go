// Functions that wait give their thread to others and go on when they are run again: what comes after is
// reached although the code that switches never returns.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s | go CGO_ENABLED=0 -buildmode=pie
// calls: getppid umask getpgid exit_group
// scope: contains
// run: some
// doubt: number code exec — the loader of a position-independent build is told what to start; functions of package syscall are held by variables, and who calls them is not known
// not: sync setpriority — calls of package syscall that nothing leads to
package main

import (
	"runtime"
	"syscall"
)

func main() {
	channel := make(chan int)
	go func() {
		runtime.Gosched()
		syscall.Getppid()
		channel <- 1
		syscall.Getpgid(0)
		channel <- 2
	}()
	<-channel
	<-channel
	syscall.Umask(0o22)
}
