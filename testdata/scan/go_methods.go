// Methods that an interface finds while the program runs: their code is named by distances in the
// description of the type, and by no pointer.
// builds: go CGO_ENABLED=0 | go CGO_ENABLED=0 -ldflags=-s | go CGO_ENABLED=0 -buildmode=pie
// calls: getppid umask getpgid exit_group
// scope: contains
// run: some
// doubt: number code exec — the loader of a position-independent build is told what to start; functions of package syscall are held by variables, and who calls them is not known
// not: sync setpriority — calls of package syscall that nothing leads to
package main

import (
	"os"
	"reflect"
	"syscall"
)

type parent struct{}

func (parent) Ask() { syscall.Getppid() }

type mask struct{ bits int }

func (m *mask) Ask() { syscall.Umask(m.bits) }

type Group struct{}

func (Group) Find() { syscall.Getpgid(0) }

type asker interface{ Ask() }

func main() {
	for _, any := range []interface{}{parent{}, &mask{len(os.Args)}, 1} {
		if a, ok := any.(asker); ok {
			a.Ask()
		}
	}
	reflect.ValueOf(Group{}).MethodByName("Fi" + string([]byte{'n', 'd'}[len(os.Args)-1:])).Call(nil)
}
