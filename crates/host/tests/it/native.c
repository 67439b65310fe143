// A native program that does what its first argument says, good or bad.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void spin(void) {
    for (;;)
        __asm__ volatile("");
}

static void copy(int from, int to) {
    char part[4096];
    ssize_t got;
    while ((got = read(from, part, sizeof part)) > 0)
        if (write(to, part, got) != got)
            exit(9);
}

static int entries(const char *path) {
    DIR *all = opendir(path);
    int count = 0;
    for (struct dirent *one; all && (one = readdir(all));)
        count += one->d_name[0] != '.';
    return count;
}

static int made(const char *name) { return open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644); }

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int is(const char *name) { return !strcmp(what, name); }
    if (is("echo")) {
        copy(0, 1);
        dprintf(2, "%s", getenv("NAME") ? getenv("NAME") : "");
        return 0;
    }
    if (is("show")) {
        int from = open(argv[2], O_RDONLY);
        if (from < 0)
            return errno;
        copy(from, 1);
        return 0;
    }
    if (is("code"))
        return atoi(argv[2]);
    if (is("speak-and-spin")) {
        write(1, "word", 4);
        for (;;)
            ;
    }
    if (is("spin"))
        spin();
    if (is("count")) {
        for (volatile long left = atol(argv[2]); left > 0; left--)
            ;
        return 0;
    }
    if (is("sleep")) {
        sleep(1000);
        return 0;
    }
    if (is("flood"))
        for (;;)
            if (write(1, what, 5) < 0)
                return 1;
    if (is("memory"))
        for (;;)
            memset(malloc(1 << 20), 1, 1 << 20);
    if (is("files"))
        for (int n = 0;; n++) {
            char name[32];
            snprintf(name, sizeof name, "file-%d", n);
            char part[4096] = "x";
            int file = made(name);
            if (file < 0 || write(file, part, sizeof part) != sizeof part)
                return 5;
            close(file);
        }
    if (is("inodes"))
        for (int n = 0;; n++) {
            char name[32];
            snprintf(name, sizeof name, "file-%d", n);
            int file = made(name);
            if (file < 0)
                return errno == ENOSPC ? 0 : 5;
            close(file);
        }
    if (is("recurse")) {
        int deep(int n) { volatile char room[4096]; room[0] = n; return n < 0 ? 0 : deep(n + 1) + room[0]; }
        return deep(1);
    }
    if (is("forbidden"))
        return ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? 3 : 4;
    // A child ends for the call that ends this program later, and between the two another one for another call.
    if (is("forbidden-twice")) {
        for (int turn = 0; turn < 3; turn++) {
            int child = turn < 2 ? fork() : 0;
            if (!child) {
                syscall(turn == 1 ? SYS_bpf : SYS_ptrace, 0, 0, 0, 0);
                return 1;
            }
            waitpid(child, 0, 0);
        }
    }
    if (is("socket"))
        return socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT ? 0 : 1;
    if (is("sigsys"))
        raise(SIGSYS);
    if (is("sigkill"))
        raise(SIGKILL);
    if (is("sigxcpu"))
        raise(SIGXCPU);
    // Ended by a filter that it has made for itself.
    if (is("own")) {
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog filter = {4, code};
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
            return 1;
        getppid();
        return 2;
    }
    if (is("abort"))
        abort();
    if (is("bomb")) {
        // As many as may be, none of them awaited, and an end of its own.
        for (int n = 0; n < 1000; n++) {
            int child = fork();
            if (child == 0)
                for (;;)
                    pause();
            if (child < 0)
                return errno == EAGAIN ? 7 : 8;
        }
        return 0;
    }
    if (is("helper")) {
        // What it leaves behind burns time that nobody waits for.
        if (fork() == 0)
            spin();
        sleep(1000);
    }
    if (is("leave")) {
        if (fork() == 0) {
            setsid();
            for (;;)
                pause();
        }
        return 0;
    }
    if (is("others")) {
        // Of processes it sees its own namespace's alone; a signal to the first of them is refused, or does nothing.
        kill(1, SIGKILL);
        return access("/proc/1", F_OK) ? 1 : access("/proc/3", F_OK) == 0 ? 2 : 0;
    }
    if (is("copy")) {
        int from = open("deep/in", O_RDONLY), to = made("out");
        copy(from, to);
        mkdir("sub", 0755);
        copy(open("run", O_RDONLY), made("sub/out"));
        return access("run", X_OK) == 0 && access("deep/in", X_OK) != 0 ? 0 : 6;
    }
    if (is("traps")) {
        int bad = symlink("/etc/passwd", "link");
        bad |= symlink("/etc", "etc");
        bad |= mkfifo("pipe", 0666);
        bad |= mkdir("directory", 0755);
        bad |= link("good", "hard") && link("in", "hard");
        int sparse = made("sparse");
        bad |= ftruncate(sparse, 1 << 24);
        int closed = open("closed", O_WRONLY | O_CREAT, 0000);
        bad |= write(closed, "closed", 6) != 6;
        // Deeper than any name that is asked for.
        for (int n = 0; n < 300; n++)
            bad |= mkdir("d", 0755) || chdir("d");
        return bad ? 6 : 0;
    }
    if (is("uring"))
        return syscall(SYS_io_uring_setup, 1, 0) < 0 && errno == ENOSYS ? 0 : 1;
    if (is("foreign")) {
#ifdef __x86_64__
        // getpid of i386.
        int number = 20;
        __asm__ volatile("int $0x80" : "+a"(number)::"memory");
#endif
        return 1;
    }
    if (is("stop")) {
        // Everybody it can name: it goes on, and so does who waits for it.
        kill(-1, SIGSTOP);
        kill(getppid(), SIGSTOP);
        return 0;
    }
    if (is("processes")) {
        // Of its init, which is a copy of its host.
        const char *files[] = {"/proc/1/mem", "/proc/1/environ", "/proc/1/maps", "/proc/1/fd/0"};
        for (int n = 0; n < 4; n++)
            if (open(files[n], O_RDONLY) >= 0)
                return 1 + n;
        return 0;
    }
    if (is("queues")) {
        // What is counted for a user outside has an end here; root's programs may have none at all.
        char name[16];
        for (int n = 0; n < 1000; n++) {
            snprintf(name, sizeof name, "queue-%d", n);
            if (syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, 0) < 0)
                return errno == EMFILE || errno == EACCES ? 0 : errno;
        }
        return 2;
    }
    if (is("keys")) {
        char name[16];
        for (int n = 0; n < 100000; n++) {
            snprintf(name, sizeof name, "key-%d", n);
            if (syscall(SYS_add_key, "user", name, "x", 1, -2) < 0)
                return errno == EDQUOT ? 0 : errno;
        }
        return 2;
    }
    if (is("pipes")) {
        int ends[2];
        while (pipe(ends) == 0)
            ;
        return errno == EMFILE ? 0 : 1;
    }
    if (is("close")) {
        for (int n = 0; n < 1024; n++)
            close(n);
        return 0;
    }
    if (is("group"))
        // Who leads them is here: of those outside they are 0 (getpgid(2)).
        return getpgid(0) == 0 || getsid(0) == 0;
    if (is("devices"))
        return mknod("device", S_IFBLK | 0666, 8 << 8) < 0 ? 0 : 1;
    if (is("home"))
        return entries("/root") || entries("/home");
    if (is("write"))
        return made(argv[2]) < 0 ? 0 : 1;
    return 64;
}
