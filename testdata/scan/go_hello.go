// What every Go program needs, and nothing else: the numbers come from the runtime's own assembly code
// and from one function that all of package syscall calls through.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s | go CGO_ENABLED=0 -buildmode=pie
// calls: read write close fcntl mmap munmap madvise exit_group
// scope: contains
// run: some
// doubt: code exec — the loader of a position-independent build is told what to start; a function of package syscall that maps memory is held by a variable, and who calls it is not known
// not: socket unlinkat chroot ptrace — parts of the standard library that nothing leads to
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stdout, "hello")
}
