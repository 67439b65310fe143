// A program of three threads, each of which installs a filter of its own: like a virtual machine's monitor,
// with its interface, its devices and its processor. What each does behind its filter is what its rules in
// three_threads.ARCHITECTURE.json say, and nothing else; some of it is done by others too, or before the
// filter is there.
//
// three_threads [API VMM VCPU]: filters as the kernel takes them; without files, ones that allow all.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define KVM_RUN 0xae80
#define KVM_GET_REGS 0x8090ae81
#define KVM_SET_REGS 0x4090ae82
#define KVM_NMI 0xae9a
#define KVM_IRQ_LINE 0x4008ae61

static struct sock_filter instructions[3][4096];
static struct sock_fprog filters[3];
static int event, timer, machine, door;
static int word;

__attribute__((noinline)) static void install(int which) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filters[which])) _exit(2);
}

static void wake(void) {
    uint64_t one = 1;
    if (write(event, &one, sizeof one) < 0) _exit(3);
}

static void *api(void *given) {
    // Before the filter: in no rule of this thread.
    door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    listen(door, 1);
    install(0);
    char line[64];
    int client = accept4(door, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0) {
        long got = recv(client, line, sizeof line, 0);
        if (got > 0) send(client, line, got, MSG_NOSIGNAL);
        shutdown(client, SHUT_RDWR);
        close(client);
    }
    int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    close(other);
    wake();
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
    syscall(SYS_exit, 0);
    return given;
}

static void *vcpu(void *given) {
    sigset_t blocked;
    sigemptyset(&blocked);
    ioctl(machine, KVM_SET_REGS, 0);
    install(2);
    ioctl(machine, KVM_RUN, 0);
    ioctl(machine, KVM_GET_REGS, &word);
    ioctl(machine, KVM_NMI, 0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, 0, 8);
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0);
    wake();
    syscall(SYS_exit, 0);
    return given;
}

static void vmm(void) {
    struct epoll_event ready;
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000}};
    struct timespec pause = {.tv_nsec = 1000};
    uint64_t count = 0, woken = 0;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    ready = (struct epoll_event){.events = EPOLLIN, .data.fd = event};
    epoll_ctl(poll, EPOLL_CTL_ADD, event, &ready);
    epoll_ctl(poll, EPOLL_CTL_DEL, timer, &ready);
    timerfd_settime(timer, 0, &soon, 0);
    // Both others have done what they do when this ends, however slow they are.
    for (; woken < 2; woken += count) {
        if (epoll_wait(poll, &ready, 1, -1) < 1 || read(event, &count, sizeof count) < 0) count = 0;
    }
    void *memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, 4096, MADV_DONTNEED);
    munmap(memory, 4096);
    ioctl(machine, KVM_IRQ_LINE, &word);
    syscall(SYS_fcntl, event, F_GETFD);
    int file = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC);
    lseek(file, 0, SEEK_SET);
    fsync(file);
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, 0);
    syscall(SYS_exit_group, 0);
}

static void handler(int signal) { (void)signal; }

static void prepare(int which, const char *path) {
    static struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filters[which] = (struct sock_fprog){.len = 1, .filter = &all};
    if (!path) return;
    int file = open(path, O_RDONLY);
    long got = read(file, instructions[which], sizeof instructions[which]);
    if (got <= 0) _exit(4);
    close(file);
    filters[which].len = got / sizeof(struct sock_filter);
    filters[which].filter = instructions[which];
}

int main(int argc, char **argv) {
    pthread_t first, second;
    for (int i = 0; i < 3; i++) prepare(i, argc == 4 ? argv[i + 1] : 0);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, 0);
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    machine = open("/dev/null", O_RDWR);
    if (pthread_create(&first, 0, api, 0) || pthread_create(&second, 0, vcpu, 0)) return 1;
    install(1);
    vmm();
    return 0;
}
