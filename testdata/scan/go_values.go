// Function values: in the second argument and the second result, in a table of structures, and in a field
// of a variable that is known by a pointer.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s | go CGO_ENABLED=0 -buildmode=pie
// calls: getuid getppid umask getpgid setsid sync exit_group
// scope: contains
// run: some
// doubt: number code exec — the loader of a position-independent build is told what to start; functions of package syscall are held by variables, and who calls them is not known
package main

import "syscall"

//go:noinline
func apply(n int, f func() int) int { return f() + n }

//go:noinline
func pick(n int) (int, func() int) {
	if n > 3 {
		return 1, func() int { syscall.Sync(); return 1 }
	}
	return 2, group
}

//go:noinline
func group() int { pid, _ := syscall.Getpgid(0); return pid }

//go:noinline
func sid() int { syscall.Setsid(); return 1 }

var table = [4]struct {
	n int
	f func() int
}{{1, nil}, {2, sid}, {3, syscall.Getppid}, {4, nil}}

type ops struct {
	a, b, c, d int
	e          [5]int
	call       func() int
}

var plan = ops{call: func() int { return syscall.Umask(0) }}

//go:noinline
func through(o *ops) int { return o.call() }

//go:noinline
func each(t []struct {
	n int
	f func() int
}) {
	for _, e := range t {
		if e.f != nil {
			e.f()
		}
	}
}

func main() {
	apply(1, syscall.Getuid)
	_, f := pick(len(syscall.Environ()))
	f()
	each(table[1:3])
	through(&plan)
}
