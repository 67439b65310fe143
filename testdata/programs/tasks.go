// Goroutines that work for each other, timers, a server and its client, a child, files and signals. Built
// static and stripped, and with the C library that package net asks for names.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// work gives numbers to workers and adds up what comes back.
func work() int64 {
	numbers, sums := make(chan int64), make(chan int64, 4)
	var group sync.WaitGroup
	for range [4]struct{}{} {
		group.Add(1)
		go func() {
			defer group.Done()
			var sum int64
			for n := range numbers {
				sum += n * n
			}
			sums <- sum
		}()
	}
	for n := int64(0); n < 1000; n++ {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	close(sums)
	var total int64
	for sum := range sums {
		total += sum
	}
	return total
}

// wait lets timers end what else would not.
func wait() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	<-ticker.C
	var fired int32
	after := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() {
		atomic.AddInt32(&fired, 1)
		close(after)
	})
	<-after
	<-ctx.Done()
	return fmt.Sprint(fired, " ", errors.Is(ctx.Err(), context.DeadlineExceeded))
}

// serve asks a server of its own, by TCP and by a socket of the file system.
func serve(dir string) []string {
	handler := http.NewServeMux()
	handler.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		check(err)
		w.Header().Set("Method", r.Method)
		w.Write([]byte(strings.ToUpper(string(body))))
	})
	handler.Handle("/", http.FileServer(http.Dir(dir)))
	var said []string
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(dir, "socket")}} {
		listener, err := net.Listen(at[0], at[1])
		check(err)
		server := &http.Server{Handler: handler}
		go server.Serve(listener)
		client := &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, at[0], listener.Addr().String())
			},
		}}
		answer, err := client.Post("http://server/echo", "text/plain", strings.NewReader("hello"))
		check(err)
		body, err := io.ReadAll(answer.Body)
		check(err)
		said = append(said, answer.Header.Get("Method")+" "+string(body))
		answer, err = client.Get("http://server/kept")
		check(err)
		body, err = io.ReadAll(answer.Body)
		check(err)
		said = append(said, fmt.Sprint(answer.StatusCode, " ", string(body)))
		check(server.Shutdown(context.Background()))
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	sender, err := net.Dial("udp", packets.LocalAddr().String())
	check(err)
	_, err = sender.Write([]byte("packet"))
	check(err)
	buffer := make([]byte, 16)
	length, _, err := packets.ReadFrom(buffer)
	check(err)
	return append(said, string(buffer[:length]))
}

// files makes, moves, reads and removes some.
func files(dir string) []string {
	kept := filepath.Join(dir, "kept")
	check(os.WriteFile(kept, []byte("kept\n"), 0o644))
	check(os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	check(os.Symlink("kept", filepath.Join(dir, "a/link")))
	check(os.Rename(filepath.Join(dir, "a/b"), filepath.Join(dir, "a/c")))
	check(os.Chmod(kept, 0o600))
	check(os.Chtimes(kept, time.Unix(1, 0), time.Unix(2, 0)))
	file, err := os.OpenFile(kept, os.O_RDWR|os.O_APPEND, 0)
	check(err)
	_, err = file.WriteString("more\n")
	check(err)
	check(file.Sync())
	_, err = file.Seek(0, io.SeekStart)
	check(err)
	check(file.Truncate(7))
	lines := bufio.NewScanner(file)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
	}
	check(file.Close())
	copied, err := os.Create(filepath.Join(dir, "copied"))
	check(err)
	from, err := os.Open(kept)
	check(err)
	_, err = io.Copy(copied, from)
	check(err)
	check(copied.Close())
	check(from.Close())
	check(filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		said = append(said, name)
		return err
	}))
	return said
}

// children runs other programs.
func children() string {
	out, err := exec.Command("/bin/echo", "child").Output()
	check(err)
	command := exec.Command("/bin/cat")
	command.Stdin = strings.NewReader("fed")
	fed, err := command.Output()
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	waiting := exec.CommandContext(ctx, "/bin/cat")
	_, err = waiting.StdinPipe()
	check(err)
	check(waiting.Start())
	cancel()
	return strings.TrimSpace(string(out)) + " " + string(fed) + " " + fmt.Sprint(waiting.Wait())
}

// signals takes one that it sends itself, and one that the kernel sends for a fault.
func signals() (said string) {
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	said = (<-came).String()
	signal.Stop(came)
	defer func() { said += fmt.Sprint(" ", recover() != nil) }()
	var nothing *[1 << 20]int
	return fmt.Sprint(nothing[len(said)])
}

func main() {
	dir, err := os.MkdirTemp(os.Args[1], "tasks")
	check(err)
	fmt.Println(work(), wait())
	fmt.Println(files(dir))
	fmt.Println(serve(dir))
	fmt.Println(children())
	fmt.Println(signals())
	_, named := user.LookupId("0")
	addresses, err := net.LookupHost("localhost")
	check(err)
	sort.Strings(addresses)
	fmt.Println(named == nil, len(addresses) > 0)
	check(os.RemoveAll(dir))
}
