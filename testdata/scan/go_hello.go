// What every Go program needs, and nothing else: the numbers come from the runtime's own assembly code
// and from one function that all of package syscall calls through.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s | go CGO_ENABLED=0 -buildmode=pie
// calls: read write close fcntl mmap munmap madvise exit_group
// scope: contains
// run: some
// doubt: number code exec — the loader of a position-independent build is told what to start; functions of package syscall are held by variables, and who calls them is not known
// not: socket unlinkat chroot ptrace — parts of the standard library that nothing leads to
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stdout, "hello")
}
