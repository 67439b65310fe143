//! Prototypes written by hand: what the headers declare without names, in another form, or not at
//! all, because it is newer than they are, private to an architecture, or gone.

use super::Port::{self, Aarch64, Arm, I386, X32, X86_64};

/// `(function, parameters)` on all architectures.
///
/// Without names in the headers: net/socket.c, kernel/signal.c, fs/select.c, fs/aio.c. Newer than
/// they are: fs/xattr.c (6.13), fs/namespace.c (6.15), fs/file_attr.c (6.17), and the probes of
/// arch/x86/kernel/uprobes.c (6.11, 6.18), which take none. Gone: drivers/oprofile (5.12),
/// kernel/sysctl_binary.c (5.5), fs/nfsctl.c (3.1).
pub(super) const EVERYWHERE: &[(&str, &str)] = &[
    (
        "io_submit",
        "aio_context_t ctx_id, long nr, struct iocb **iocbpp",
    ),
    (
        "pselect6",
        "int n, fd_set *inp, fd_set *outp, fd_set *exp, struct __kernel_timespec *tsp, void *sig",
    ),
    (
        "ppoll",
        "struct pollfd *ufds, unsigned int nfds, struct __kernel_timespec *tsp, \
         const sigset_t *sigmask, size_t sigsetsize",
    ),
    (
        "rt_sigaction",
        "int sig, const struct sigaction *act, struct sigaction *oact, size_t sigsetsize",
    ),
    ("socket", "int family, int type, int protocol"),
    (
        "socketpair",
        "int family, int type, int protocol, int *usockvec",
    ),
    ("bind", "int fd, struct sockaddr *umyaddr, int addrlen"),
    ("listen", "int fd, int backlog"),
    (
        "accept",
        "int fd, struct sockaddr *upeer_sockaddr, int *upeer_addrlen",
    ),
    (
        "accept4",
        "int fd, struct sockaddr *upeer_sockaddr, int *upeer_addrlen, int flags",
    ),
    ("connect", "int fd, struct sockaddr *uservaddr, int addrlen"),
    (
        "getsockname",
        "int fd, struct sockaddr *usockaddr, int *usockaddr_len",
    ),
    (
        "getpeername",
        "int fd, struct sockaddr *usockaddr, int *usockaddr_len",
    ),
    (
        "sendto",
        "int fd, void *buff, size_t len, unsigned flags, struct sockaddr *addr, int addr_len",
    ),
    (
        "recvfrom",
        "int fd, void *ubuf, size_t size, unsigned flags, struct sockaddr *addr, int *addr_len",
    ),
    ("send", "int fd, void *buff, size_t len, unsigned flags"),
    ("recv", "int fd, void *ubuf, size_t size, unsigned flags"),
    ("shutdown", "int fd, int how"),
    (
        "sigaction",
        "int sig, const struct old_sigaction *act, struct old_sigaction *oact",
    ),
    (
        "old_readdir",
        "unsigned int fd, struct old_linux_dirent *dirent, unsigned int count",
    ),
    ("uname", "struct old_utsname *name"),
    ("olduname", "struct oldold_utsname *name"),
    (
        "setxattrat",
        "int dfd, const char *pathname, unsigned int at_flags, const char *name, \
         const struct xattr_args *uargs, size_t usize",
    ),
    (
        "getxattrat",
        "int dfd, const char *pathname, unsigned int at_flags, const char *name, \
         struct xattr_args *uargs, size_t usize",
    ),
    (
        "listxattrat",
        "int dfd, const char *pathname, unsigned int at_flags, char *list, size_t size",
    ),
    (
        "removexattrat",
        "int dfd, const char *pathname, unsigned int at_flags, const char *name",
    ),
    (
        "open_tree_attr",
        "int dfd, const char *filename, unsigned flags, struct mount_attr *uattr, size_t usize",
    ),
    (
        "file_getattr",
        "int dfd, const char *filename, struct file_attr *ufattr, size_t usize, \
         unsigned int at_flags",
    ),
    (
        "file_setattr",
        "int dfd, const char *filename, struct file_attr *ufattr, size_t usize, \
         unsigned int at_flags",
    ),
    ("lookup_dcookie", "u64 cookie64, char *buf, size_t len"),
    ("_sysctl", "struct __sysctl_args *args"),
    ("nfsservctl", "int cmd, struct nfsctl_arg *arg, void *res"),
    // No function, or one that reads its frame from the stack.
    ("nothing", ""),
];

/// Every architecture.
const ALL: &[Port] = &[X86_64, X32, I386, Aarch64, Arm];
/// Both ABIs of 64-bit x86, and every x86.
const X86: &[Port] = &[X86_64, X32, I386];
/// Where `unsigned long` has 64 bits.
const WIDE: &[Port] = &[X86_64, X32, Aarch64];
/// Where it has 32.
const NARROW: &[Port] = &[I386, Arm];

/// `(architectures, call, parameters)`.
pub(super) const WRITTEN: &[(&[Port], &str, &str)] = &[
    // kernel/fork.c: three orders, by CONFIG_CLONE_BACKWARDS.
    (
        &[X86_64, X32],
        "clone",
        "unsigned long clone_flags, unsigned long newsp, int *parent_tidptr, int *child_tidptr, \
         unsigned long tls",
    ),
    (
        &[I386, Aarch64, Arm],
        "clone",
        "unsigned long clone_flags, unsigned long newsp, int *parent_tidptr, unsigned long tls, \
         int *child_tidptr",
    ),
    // arch/x86/kernel: process_64.c and process_32.c, ioport.c, ldt.c, tls.c, vm86_32.c.
    (X86, "arch_prctl", "int option, unsigned long arg2"),
    (X86, "iopl", "unsigned int level"),
    (
        X86,
        "modify_ldt",
        "int func, void *ptr, unsigned long bytecount",
    ),
    (&[I386], "set_thread_area", "struct user_desc *u_info"),
    (&[I386], "get_thread_area", "struct user_desc *u_info"),
    (&[I386], "vm86old", "struct vm86_struct *user_vm86"),
    (&[I386], "vm86", "unsigned long cmd, unsigned long arg"),
    // mm/fadvise.c and fs/sync.c; arch/arm/kernel/sys_arm.c for the order of arm.
    (
        &[X86_64, X32, I386],
        "fadvise64",
        "int fd, loff_t offset, size_t len, int advice",
    ),
    (
        &[Aarch64],
        "fadvise64",
        "int fd, loff_t offset, loff_t len, int advice",
    ),
    (
        &[Arm],
        "arm_fadvise64_64",
        "int fd, int advice, loff_t offset, loff_t len",
    ),
    (
        &[Arm],
        "arm_sync_file_range",
        "int fd, unsigned int flags, loff_t offset, loff_t nbytes",
    ),
    // fs/notify/fanotify/fanotify_user.c: one mask of 64 bits.
    (
        ALL,
        "fanotify_mark",
        "int fanotify_fd, unsigned int flags, u64 mask, int dfd, const char *pathname",
    ),
    // arch/arm/kernel/traps.c: the private calls.
    (
        &[Arm],
        "cacheflush",
        "unsigned long start, unsigned long end, int flags",
    ),
    (&[Arm], "set_tls", "unsigned long value"),
    // kernel/signal.c with CONFIG_OLD_SIGSUSPEND3.
    (
        NARROW,
        "sigsuspend",
        "int unused1, int unused2, old_sigset_t mask",
    ),
    // fs/buffer.c, until 5.15.
    (NARROW, "bdflush", "int func, long data"),
    // fs/read_write.c: on x32 the position is one argument of 64 bits (compat_sys_preadv64), and
    // calls from 512 on are those of 32 bits: `unsigned long` of compat.h has 32.
    (
        &[X32],
        "preadv",
        "unsigned long fd, const struct iovec *vec, unsigned long vlen, loff_t pos",
    ),
    (
        &[X32],
        "pwritev",
        "unsigned long fd, const struct iovec *vec, unsigned long vlen, loff_t pos",
    ),
    (
        &[X32],
        "preadv2",
        "unsigned long fd, const struct iovec *vec, unsigned long vlen, loff_t pos, rwf_t flags",
    ),
    (
        &[X32],
        "pwritev2",
        "unsigned long fd, const struct iovec *vec, unsigned long vlen, loff_t pos, rwf_t flags",
    ),
    (
        &[X32],
        "ioctl",
        "unsigned int fd, unsigned int cmd, u32 arg",
    ),
    (&[X32], "ptrace", "int request, int pid, u32 addr, u32 data"),
    (
        &[X32],
        "kexec_load",
        "u32 entry, u32 nr_segments, struct kexec_segment *segments, u32 flags",
    ),
    (&[X32], "io_submit", "u32 ctx_id, int nr, u32 *iocb"),
    (
        &[X32],
        "set_robust_list",
        "struct robust_list_head *head, u32 len",
    ),
    (
        &[X32],
        "rt_sigaction",
        "int sig, const struct sigaction *act, struct sigaction *oact, u32 sigsetsize",
    ),
    (&[X32], "rt_sigpending", "sigset_t *set, u32 sigsetsize"),
    (
        &[X32],
        "rt_sigtimedwait",
        "const sigset_t *uthese, siginfo_t *uinfo, const struct __kernel_timespec *uts, \
         u32 sigsetsize",
    ),
    (
        &[X32],
        "recvfrom",
        "int fd, void *buf, u32 len, unsigned flags, struct sockaddr *addr, int *addrlen",
    ),
];

/// `(architectures, call, function)` where the two have different names.
pub(super) const FUNCTIONS: &[(&[Port], &str, &str)] = &[
    (ALL, "stat", "newstat"),
    (ALL, "lstat", "newlstat"),
    (ALL, "fstat", "newfstat"),
    (ALL, "uname", "newuname"),
    (ALL, "umount2", "umount"),
    (ALL, "umount", "oldumount"),
    (WIDE, "sendfile", "sendfile64"),
    (NARROW, "_llseek", "llseek"),
    (NARROW, "_newselect", "select"),
    (NARROW, "mmap2", "mmap_pgoff"),
    (NARROW, "ugetrlimit", "getrlimit"),
    (&[I386], "mmap", "old_mmap"),
    (&[I386], "select", "old_select"),
    (&[I386], "readdir", "old_readdir"),
    (&[I386], "oldstat", "stat"),
    (&[I386], "oldlstat", "lstat"),
    (&[I386], "oldfstat", "fstat"),
    (&[I386], "olduname", "uname"),
    (&[I386], "oldolduname", "olduname"),
    // kernel/uid16.c: user ids of 16 bits under the names without a suffix.
    (NARROW, "chown", "chown16"),
    (NARROW, "lchown", "lchown16"),
    (NARROW, "fchown", "fchown16"),
    (NARROW, "setregid", "setregid16"),
    (NARROW, "setgid", "setgid16"),
    (NARROW, "setreuid", "setreuid16"),
    (NARROW, "setuid", "setuid16"),
    (NARROW, "setresuid", "setresuid16"),
    (NARROW, "getresuid", "getresuid16"),
    (NARROW, "setresgid", "setresgid16"),
    (NARROW, "getresgid", "getresgid16"),
    (NARROW, "setfsuid", "setfsuid16"),
    (NARROW, "setfsgid", "setfsgid16"),
    (NARROW, "getgroups", "getgroups16"),
    (NARROW, "setgroups", "setgroups16"),
    (ALL, "rt_sigreturn", "nothing"),
    (ALL, "sigreturn", "nothing"),
    (ALL, "uprobe", "nothing"),
    (ALL, "uretprobe", "nothing"),
    (&[Arm], "breakpoint", "nothing"),
    (&[Arm], "usr26", "nothing"),
    (&[Arm], "usr32", "nothing"),
    (&[Arm], "get_tls", "nothing"),
    // Numbers that no kernel since 2.6 answers.
    (ALL, "afs_syscall", "nothing"),
    (ALL, "break", "nothing"),
    (ALL, "create_module", "nothing"),
    (ALL, "epoll_ctl_old", "nothing"),
    (ALL, "epoll_wait_old", "nothing"),
    (ALL, "ftime", "nothing"),
    (ALL, "get_kernel_syms", "nothing"),
    (ALL, "getpmsg", "nothing"),
    (ALL, "gtty", "nothing"),
    (ALL, "idle", "nothing"),
    (ALL, "lock", "nothing"),
    (ALL, "mpx", "nothing"),
    (ALL, "prof", "nothing"),
    (ALL, "profil", "nothing"),
    (ALL, "putpmsg", "nothing"),
    (ALL, "query_module", "nothing"),
    (ALL, "security", "nothing"),
    (ALL, "stty", "nothing"),
    (ALL, "tuxcall", "nothing"),
    (ALL, "ulimit", "nothing"),
    (ALL, "vserver", "nothing"),
    // Of 64-bit x86: `get_thread_area` and its fellow have numbers there and no function.
    (&[X86_64, X32], "get_thread_area", "nothing"),
    (&[X86_64, X32], "set_thread_area", "nothing"),
];
