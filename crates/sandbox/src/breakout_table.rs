//! The attempts of the break-out test, a function each for those at the layers and those at the filter.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portcullis_sys::ipc;

use crate::attempt::{LAST, Step};
use crate::init::{INOTIFY_INSTANCES, PTYS, QUEUES};
use crate::layer::LayerName::{self, Filesystem, Ids, Landlock, Namespaces, Network};
use crate::limits::Limits;
use crate::sockets::WAYS;
use crate::witness::Witness;

/// One way out.
#[derive(Debug)]
pub struct Attempt {
    /// What it does, as the beginning of a sentence.
    pub name: &'static str,
    pub(crate) steps: Vec<Step>,
    /// Strings and structures that the steps point to.
    _memory: Vec<Box<[u8]>>,
    /// The error numbers with which it may fail.
    pub(crate) stops: &'static [i32],
    /// The signal that may end it instead.
    pub(crate) ends: Option<i32>,
    /// The layers each of which is enough to stop it; none where it is stopped by what no name leaves out.
    pub layers: &'static [LayerName],
    /// When Landlock is one of these.
    pub(crate) landlock: When,
    /// Without the layers only root would get through.
    pub root: bool,
    /// Without the layers it gets through.
    pub controlled: bool,
    /// Of the network: the TCP port that it connects to.
    pub(crate) port: Option<u16>,
    /// Of the limits: what bounds the sibling that makes it.
    pub limits: Limits,
}

/// When Landlock stops an attempt by itself.
#[derive(Debug)]
pub(crate) enum When {
    Always,
    /// It has scopes (ABI 6).
    Scopes,
    /// No rule allows to write there.
    Writes(PathBuf),
    /// Who tries has no capability to look at every process (`may_access_mm`; seen on Linux 6.18).
    Unprivileged,
}

/// What the steps of an attempt are made of.
#[derive(Default)]
struct Memory(Vec<Box<[u8]>>);

impl Memory {
    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let kept: Box<[u8]> = bytes.into();
        let address = kept.as_ptr() as u64;
        self.0.push(kept);
        address
    }

    fn path(&mut self, path: impl AsRef<Path>) -> u64 {
        // Paths of the witness and of the table hold no NUL byte.
        let path = CString::new(path.as_ref().as_os_str().as_bytes()).unwrap_or_default();
        self.bytes(path.as_bytes_with_nul())
    }
}

/// `PTRACE_SEIZE`.
const SEIZE: u64 = 0x4206;
/// `AT_FDCWD`.
const HERE: u64 = libc::AT_FDCWD as i64 as u64;
/// A directory that is the program's own.
const PRIVATE: &str = "/tmp";

fn call(number: i64, arguments: &[u64]) -> Step {
    Step::Call(number, six(arguments))
}

fn six(arguments: &[u64]) -> [u64; 6] {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    all
}

fn open(path: u64, flags: i32) -> Step {
    let flags = (flags | libc::O_CLOEXEC) as u64;
    call(libc::SYS_openat, &[HERE, path, flags, 0o600])
}

fn connect(memory: &mut Memory, family: i32, address: &[u8]) -> Vec<Step> {
    let length = address.len() as u64;
    let address = memory.bytes(address);
    let kind = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC) as u64;
    vec![
        call(libc::SYS_socket, &[family as u64, kind, 0]),
        call(libc::SYS_connect, &[LAST, address, length]),
    ]
}

/// `struct sockaddr_un`.
fn unix(name: &[u8]) -> Vec<u8> {
    [&(libc::AF_UNIX as u16).to_ne_bytes(), name].concat()
}

/// `struct sockaddr_in` of the loopback address.
fn loopback(port: u16) -> Vec<u8> {
    let mut address = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend([127, 0, 0, 1]);
    address.extend([0; 8]);
    address
}

const DENIED: &[i32] = &[libc::EACCES, libc::EPERM];
const READ_ONLY: &[i32] = &[libc::EROFS, libc::EACCES];
const GONE: &[i32] = &[libc::ENOENT];

/// Every attempt at the layers beyond the filter.
pub(crate) fn of_layers(witness: &Witness) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut add = |name, layers, stops, steps: &dyn Fn(&mut Memory) -> Vec<Step>| {
        let mut memory = Memory::default();
        attempts.push(Attempt {
            name,
            steps: steps(&mut memory),
            _memory: memory.0,
            stops,
            ends: None,
            layers,
            landlock: When::Always,
            root: false,
            controlled: true,
            limits: Limits::default(),
            port: None,
        });
    };
    let launcher = u64::from(std::process::id());
    add(
        "a file is opened to be written",
        &[Filesystem, Landlock],
        READ_ONLY,
        &|m| vec![open(m.path(witness.shown_at("file")), libc::O_WRONLY)],
    );
    add("a file is made", &[Filesystem, Landlock], READ_ONLY, &|m| {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        vec![open(m.path(witness.shown_at("new")), flags)]
    });
    let stops = &[libc::EROFS, libc::EACCES, libc::EPERM];
    add(
        "a file's mode is changed",
        &[Filesystem, Ids],
        stops,
        &|m| {
            let path = m.path(witness.shown_at("file"));
            vec![call(libc::SYS_fchmodat, &[HERE, path, 0o777])]
        },
    );
    add(
        "what is hidden is read",
        &[Filesystem],
        &[libc::ENOENT, libc::EACCES],
        &|m| vec![open(m.path(witness.hidden_at("secret")), libc::O_RDONLY)],
    );
    add("the machine's /tmp is read", &[Filesystem], GONE, &|m| {
        vec![open(m.path(witness.private_at("file")), libc::O_RDONLY)]
    });
    add(
        "the machine's shared memory is read",
        &[Filesystem],
        GONE,
        &|m| vec![open(m.path(witness.shared()), libc::O_RDONLY)],
    );
    add("what is hidden is executed", &[Filesystem], DENIED, &|m| {
        // Its cover is empty, and on a mount from which nothing is executed.
        vec![
            open(m.path(witness.masked()), libc::O_RDONLY),
            call(
                libc::SYS_mmap,
                &[
                    0,
                    4096,
                    libc::PROT_EXEC as u64,
                    libc::MAP_PRIVATE as u64,
                    LAST,
                ],
            ),
        ]
    });
    add(
        "a socket in the machine's /tmp is connected",
        &[Filesystem],
        GONE,
        &|m| {
            let path = witness.private_at("socket");
            let name = [path.as_os_str().as_bytes(), &[0]].concat();
            connect(m, libc::AF_UNIX, &unix(&name))
        },
    );
    add(
        "a pipe in the machine's /tmp is written to",
        &[Filesystem],
        GONE,
        &|m| {
            let pipe = m.path(witness.private_at("pipe"));
            vec![open(pipe, libc::O_WRONLY | libc::O_NONBLOCK)]
        },
    );
    add(
        "a link of its own is followed out",
        &[Filesystem, Landlock],
        READ_ONLY,
        &|m| {
            let (file, link) = (m.path(witness.shown_at("file")), m.path(witness.link()));
            vec![
                call(libc::SYS_symlinkat, &[file, HERE, link]),
                open(link, libc::O_WRONLY),
            ]
        },
    );
    add(
        "an abstract socket is connected",
        &[Network, Landlock],
        &[libc::ECONNREFUSED, libc::EPERM],
        &|m| {
            let name = [&[0], witness.name.as_bytes()].concat();
            connect(m, libc::AF_UNIX, &unix(&name))
        },
    );
    add(
        "a port of the machine is connected",
        &[Network],
        &[libc::ENETUNREACH, libc::ECONNREFUSED, libc::EACCES],
        &|m| connect(m, libc::AF_INET, &loopback(witness.port)),
    );
    add(
        "the launcher is signalled",
        &[Namespaces, Landlock],
        &[libc::ESRCH, libc::EPERM],
        &|_| vec![call(libc::SYS_kill, &[launcher, 0])],
    );
    add(
        "a queue of the machine is opened",
        &[Namespaces],
        GONE,
        &|_| {
            let key = witness.queue.key() as u64;
            vec![call(libc::SYS_msgget, &[key, 0])]
        },
    );
    if witness.key.is_some() {
        const NO_KEY: &[i32] = &[libc::ENOKEY, libc::EACCES];
        add(
            "a key of the session is found",
            &[Namespaces],
            NO_KEY,
            &|m| {
                let kind = m.path("user");
                let name = m.path(&witness.name);
                let session = ipc::SESSION.cast_unsigned();
                vec![call(
                    libc::SYS_keyctl,
                    &[ipc::SEARCH, session, kind, name, 0],
                )]
            },
        );
    }
    add(
        "more inotify instances are made than its user has",
        &[Namespaces],
        &[libc::EMFILE],
        &|_| {
            let number = libc::SYS_inotify_init1;
            vec![Step::Repeat(INOTIFY_INSTANCES + 1, number, [0; 6])]
        },
    );
    if Path::new("/proc/sys/fs/mqueue").exists() {
        add(
            "its user's message queues are used up",
            // For Landlock a queue is a file, in a place about which there is no rule.
            &[Namespaces, Landlock],
            &[libc::EMFILE, libc::EACCES],
            &|m| queues(m, &witness.name),
        );
    }
    add(
        "the machine's terminals are used up",
        &[Filesystem],
        &[libc::ENOSPC],
        &|m| {
            let flags = (libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) as u64;
            let arguments = six(&[HERE, m.path("/dev/ptmx"), flags]);
            vec![Step::Repeat(PTYS + 1, libc::SYS_openat, arguments)]
        },
    );
    add(
        "its root is made writable in namespaces of its own",
        &[Filesystem, Landlock],
        DENIED,
        &|m| {
            let spaces = (libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64;
            let root = m.path("/");
            let flags = libc::MS_REMOUNT | libc::MS_BIND;
            vec![
                call(libc::SYS_unshare, &[spaces]),
                call(libc::SYS_mount, &[0, root, 0, flags, 0]),
            ]
        },
    );
    of_root(witness, launcher, &mut attempts);
    of_init(&mut attempts);
    for attempt in &mut attempts {
        match attempt.name {
            "an abstract socket is connected" | "the launcher is signalled" => {
                attempt.landlock = When::Scopes;
            }
            "the launcher's environment is read" => attempt.landlock = When::Unprivileged,
            "a file is opened to be written"
            | "a file is made"
            | "a link of its own is followed out" => {
                attempt.landlock = When::Writes(witness.shown().to_owned());
            }
            "a port of the machine is connected" => attempt.port = Some(witness.port),
            _ => {}
        }
    }
    attempts
}

/// More message queues than a program may have, each without a name as soon as it is there. A queue takes its
/// messages' bytes and a few for each message (getrlimit(2), `RLIMIT_MSGQUEUE`).
fn queues(memory: &mut Memory, name: &str) -> Vec<Step> {
    const MESSAGES: i64 = 10;
    const BYTES: i64 = 8192;
    let count = QUEUES / (MESSAGES * BYTES).unsigned_abs() + 1;
    // `struct mq_attr`: its flags, what it holds, how long a message is, and what stands in it now.
    let attributes = [0, MESSAGES, BYTES, 0, 0, 0, 0, 0].map(i64::to_ne_bytes);
    let attributes = memory.bytes(attributes.as_flattened());
    let flags = (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC) as u64;
    let name = memory.path(name);
    let one = |_| {
        [
            call(libc::SYS_mq_open, &[name, flags, 0o600, attributes]),
            call(libc::SYS_mq_unlink, &[name]),
        ]
    };
    (0..count).flat_map(one).collect()
}

/// The most that an attempt at a limit takes, where the plan's own limit is wider: it shows as much, and a machine
/// does not notice.
const PROCESSES: u64 = 32;
const MEMORY: u64 = 16 << 20;
const FILES: u64 = 64;
const FILE_SIZE: u64 = 1 << 20;
/// What an empty file takes in memory at the least: an inode of tmpfs and its name, of about 700 and 190 bytes. It
/// takes less than twice this.
const EMPTY_FILE: u64 = 640;

/// Every attempt to have code of its own, where no memory becomes executable.
pub(crate) fn of_code() -> Vec<Attempt> {
    let (read, write, execute) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let map = |access: i32| {
        let kind = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        call(libc::SYS_mmap, &[0, 4096, access as u64, kind, u64::MAX])
    };
    let executable = (read | execute) as u64;
    let both = vec![map(read | write | execute)];
    let gained = vec![
        map(read | write),
        call(libc::SYS_mprotect, &[LAST, 4096, executable]),
    ];
    let all = [
        ("memory is written and executed", both),
        ("memory that was written becomes executable", gained),
    ];
    let attempts = all.into_iter().map(|(name, steps)| Attempt {
        name,
        steps,
        _memory: Vec::new(),
        stops: &[libc::EACCES],
        ends: None,
        layers: &[],
        landlock: When::Always,
        root: false,
        controlled: true,
        limits: Limits::default(),
        port: None,
    });
    attempts.collect()
}

/// Every attempt of a program that forks, with the directory of the group for that as `number` where it has one, and its
/// tasks counted.
pub(crate) fn of_forks(number: i32, grouped: bool, counted: bool) -> Vec<Attempt> {
    let group = number as u64;
    let read = (libc::O_RDONLY | libc::O_CLOEXEC) as u64;
    let write = (libc::O_WRONLY | libc::O_CLOEXEC) as u64;
    let mut attempts = Vec::new();
    let mut add = |name, stops, steps: &dyn Fn(&mut Memory) -> Vec<Step>| {
        let mut memory = Memory::default();
        attempts.push(Attempt {
            name,
            steps: steps(&mut memory),
            _memory: memory.0,
            stops,
            ends: None,
            layers: &[],
            landlock: When::Always,
            root: false,
            controlled: true,
            limits: Limits::default(),
            port: None,
        });
    };
    // `inc_ucount`: its user namespace may have none below it.
    add(
        "what it forks has a user namespace of its own",
        &[libc::ENOSPC],
        &|memory| vec![clone3(memory, libc::CLONE_NEWUSER)],
    );
    if grouped {
        let through = |path: &'static str, flags| {
            move |memory: &mut Memory| {
                let path = memory.path(path);
                vec![call(libc::SYS_openat, &[group, path, flags, 0])]
            }
        };
        // What it was given is read-only; Landlock, which knows no such place, says so first where it is asked first.
        add(
            "the group of what it forks is changed",
            READ_ONLY,
            &through("cgroup.procs", write),
        );
        // Its own directory is what is above it.
        add(
            "the group of what it forks leads to the one above",
            GONE,
            &through("../fork/cgroup.procs", read),
        );
    }
    if counted {
        add("it forks more than one", &[libc::EAGAIN], &|_| {
            vec![Step::Processes(3)]
        });
    }
    attempts
}

/// Makes a process, which goes on as this one does.
fn clone3(memory: &mut Memory, flags: i32) -> Step {
    // `struct clone_args`: the flags come first, the signal at its end fifth.
    let mut arguments = [0_u64; 11];
    (arguments[0], arguments[4]) = (u64::from(flags.cast_unsigned()), libc::SIGCHLD as u64);
    let size = size_of_val(&arguments) as u64;
    let arguments = memory.bytes(arguments.map(u64::to_ne_bytes).as_flattened());
    call(libc::SYS_clone3, &[arguments, size])
}

/// Every attempt at `limits`, each under one of them alone. `grouped`: memory is counted by a control group.
pub(crate) fn of_limits(limits: &Limits, grouped: bool) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut add = |name, limits, stops, ends, steps: &dyn Fn(&mut Memory) -> Vec<Step>| {
        let mut memory = Memory::default();
        attempts.push(Attempt {
            name,
            steps: steps(&mut memory),
            _memory: memory.0,
            stops,
            ends,
            layers: &[LayerName::Limits],
            landlock: When::Always,
            root: false,
            controlled: true,
            limits,
            port: None,
        });
    };
    let none = Limits::default();
    if let Some(most) = limits.processes {
        let most = most.min(PROCESSES);
        let own = Limits {
            processes: Some(most),
            ..none
        };
        add(
            "more processes are made",
            own,
            &[libc::EAGAIN],
            None,
            &|_| vec![Step::Processes(most as u32)],
        );
    }
    if let Some(most) = limits.files {
        let most = most.min(FILES);
        let own = Limits {
            files: Some(most),
            ..none
        };
        add("more files are opened", own, &[libc::EMFILE], None, &|m| {
            let arguments = six(&[HERE, m.path("/"), libc::O_PATH as u64]);
            vec![Step::Repeat(most as u32, libc::SYS_openat, arguments)]
        });
    }
    if let Some(most) = limits.file_size {
        let most = most.min(FILE_SIZE);
        let own = Limits {
            file_size: Some(most),
            ..none
        };
        add(
            "a longer file is written",
            own,
            &[libc::EFBIG],
            Some(libc::SIGXFSZ),
            &|m| {
                vec![
                    open(m.path(PRIVATE), libc::O_TMPFILE | libc::O_WRONLY),
                    call(libc::SYS_pwrite64, &[LAST, m.bytes(&[0]), 1, most]),
                ]
            },
        );
    }
    let Some(most) = limits.memory else {
        return attempts;
    };
    let most = most.min(MEMORY);
    let own = Limits {
        memory: Some(most),
        // Where a process is what is counted there is one (`Bounds::memory`).
        processes: limits.processes.filter(|_| !grouped),
        ..none
    };
    // Half as much again: what the control has room for.
    let more = (most + most / 2) as usize;
    let (stops, ends) = (&[libc::ENOMEM], Some(libc::SIGKILL));
    add("more memory is used", own, stops, ends, &|_| {
        vec![Step::Memory(more)]
    });
    if grouped {
        add("pipes are filled with more", own, stops, ends, &|_| {
            vec![Step::Pipes(more)]
        });
        add("files take more without content", own, stops, ends, &|m| {
            let place = open(m.path(PRIVATE), libc::O_RDONLY | libc::O_DIRECTORY);
            vec![place, Step::Files((most / EMPTY_FILE + 1) as u32)]
        });
    }
    attempts
}

/// Attempts with which nobody but root would get through without the layers.
fn of_root(witness: &Witness, launcher: u64, attempts: &mut Vec<Attempt>) {
    let mut add = |name, layers, stops, steps: &dyn Fn(&mut Memory) -> Vec<Step>| {
        let mut memory = Memory::default();
        attempts.push(Attempt {
            name,
            steps: steps(&mut memory),
            _memory: memory.0,
            stops,
            ends: None,
            layers,
            landlock: When::Always,
            root: true,
            controlled: true,
            limits: Limits::default(),
            port: None,
        });
    };
    const OUTSIDE: &[i32] = &[libc::ENOENT, libc::EACCES, libc::EPERM];
    add(
        "the launcher is traced",
        &[Namespaces, Landlock],
        &[libc::ESRCH, libc::EPERM],
        &|_| vec![call(libc::SYS_ptrace, &[SEIZE, launcher, 0, 0])],
    );
    let of_launcher = |name: &str| format!("/proc/{launcher}/{name}");
    add(
        "the launcher's environment is read",
        &[Namespaces, Landlock],
        OUTSIDE,
        &|m| vec![open(m.path(of_launcher("environ")), libc::O_RDONLY)],
    );
    add(
        "the launcher's memory is opened",
        &[Namespaces, Landlock],
        OUTSIDE,
        &|m| vec![open(m.path(of_launcher("mem")), libc::O_RDWR)],
    );
    add(
        "the launcher's root is entered",
        &[Namespaces, Landlock],
        OUTSIDE,
        &|m| {
            vec![open(
                m.path(of_launcher("root/")),
                libc::O_PATH | libc::O_DIRECTORY,
            )]
        },
    );
    add(
        "the launcher's namespace is entered",
        &[Namespaces, Landlock],
        OUTSIDE,
        &|m| {
            vec![
                open(m.path(of_launcher("ns/uts")), libc::O_RDONLY),
                call(libc::SYS_setns, &[LAST, libc::CLONE_NEWUTS as u64]),
            ]
        },
    );
    add("mounts are copied", &[Namespaces], DENIED, &|m| {
        let flags = 1 | libc::O_CLOEXEC as u64;
        vec![call(libc::SYS_open_tree, &[HERE, m.path("/"), flags])]
    });
    add("a device file is made", &[Namespaces], DENIED, &|m| {
        let mode = u64::from(libc::S_IFCHR | 0o600);
        let null = (1 << 8) | 3;
        let path = m.path(format!("{PRIVATE}/{}-device", witness.name));
        vec![
            call(libc::SYS_mknodat, &[HERE, path, mode, null]),
            call(libc::SYS_unlinkat, &[HERE, path, 0]),
        ]
    });
    add("the machine is named", &[Namespaces], DENIED, &|m| {
        // As it is called already.
        let own = rustix::system::uname();
        let own = own.nodename().to_bytes();
        vec![call(
            libc::SYS_sethostname,
            &[m.bytes(own), own.len() as u64],
        )]
    });
    add(
        "a user that is not mapped is become",
        &[Ids],
        &[libc::EINVAL],
        &|_| {
            let other = 0x7000_0000;
            vec![call(libc::SYS_setresuid, &[other, other, other])]
        },
    );
    const KNOBS: [(&str, &str); 4] = [
        (
            "what dumps of memory are given to is set",
            "/proc/sys/kernel/core_pattern",
        ),
        (
            "what loads kernel modules is set",
            "/proc/sys/kernel/modprobe",
        ),
        (
            "the kernel is given an emergency command",
            "/proc/sysrq-trigger",
        ),
        (
            "a processor's interrupts are set",
            "/proc/irq/default_smp_affinity",
        ),
    ];
    for (name, path) in KNOBS {
        if Path::new(path).exists() {
            add(name, &[Ids, Filesystem], READ_ONLY, &|m| {
                vec![open(m.path(path), libc::O_WRONLY)]
            });
        }
    }
    if let Some(agent) = release_agent() {
        let stops = &[libc::EROFS, libc::EACCES, libc::ENOENT];
        add(
            "what is run for empty cgroups is set",
            &[Ids, Filesystem, Landlock],
            stops,
            &|m| vec![open(m.path(&agent), libc::O_WRONLY)],
        );
    }
}

/// Attempts at the program's own init: nobody who is not confined has one.
fn of_init(attempts: &mut Vec<Attempt>) {
    let mut add = |name, steps: &dyn Fn(&mut Memory) -> Vec<Step>| {
        let mut memory = Memory::default();
        attempts.push(Attempt {
            name,
            steps: steps(&mut memory),
            _memory: memory.0,
            stops: DENIED,
            ends: None,
            layers: &[Namespaces],
            landlock: When::Always,
            root: false,
            controlled: false,
            limits: Limits::default(),
            port: None,
        });
    };
    add("its init is traced", &|_| {
        vec![call(libc::SYS_ptrace, &[SEIZE, 1, 0, 0])]
    });
    add("its init's environment is read", &|m| {
        vec![open(m.path("/proc/1/environ"), libc::O_RDONLY)]
    });
    add("its init's memory is opened", &|m| {
        vec![open(m.path("/proc/1/mem"), libc::O_RDWR)]
    });
    add("its init's namespace is entered", &|m| {
        vec![
            open(m.path("/proc/1/ns/uts"), libc::O_RDONLY),
            call(libc::SYS_setns, &[LAST, libc::CLONE_NEWUTS as u64]),
        ]
    });
}

/// The file of a hierarchy of version 1 (cgroups(7)), if one is mounted.
fn release_agent() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut lines = mounts.lines().filter(|line| line.contains(" - cgroup "));
    lines.find_map(|line| {
        let agent = Path::new(line.split(' ').nth(4)?).join("release_agent");
        agent.exists().then_some(agent)
    })
}

/// Every attempt at the filter: whether the policy denies it is asked apart.
pub(crate) fn of_filter() -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut add = |name, step: Step| {
        attempts.push(Attempt {
            name,
            steps: vec![step],
            _memory: Vec::new(),
            stops: &[],
            ends: None,
            layers: &[],
            landlock: When::Always,
            root: false,
            controlled: true,
            limits: Limits::default(),
            port: None,
        });
    };
    // Where a pointer is asked for there is none: what the kernel lets in fails there. The last two are TIOCSTI
    // and TIOCLINUX (ioctl_tty(2)).
    const NOWHERE: u64 = 1;
    let none = u64::MAX;
    #[cfg(target_arch = "x86_64")]
    {
        add("a call of 32-bit code is made", Step::Int80(20));
        add(
            "a call of x32 is made",
            call(0x4000_0000 | libc::SYS_getpid, &[]),
        );
    }
    add(
        "a ring is set up",
        call(libc::SYS_io_uring_setup, &[1, NOWHERE]),
    );
    add(
        "page faults are taken over",
        call(libc::SYS_userfaultfd, &[1]),
    );
    add(
        "a program is loaded into the kernel",
        call(libc::SYS_bpf, &[5, NOWHERE, 8]),
    );
    add(
        "events of the processor are counted",
        call(libc::SYS_perf_event_open, &[NOWHERE, 0, none, none]),
    );
    add(
        "a keyring is asked for",
        call(libc::SYS_keyctl, &[0, ipc::SESSION.cast_unsigned(), 0]),
    );
    add(
        "another process is traced",
        call(libc::SYS_ptrace, &[SEIZE, 0, 0, 0]),
    );
    add(
        "another process's memory is read",
        call(libc::SYS_process_vm_readv, &[0, NOWHERE, 1, NOWHERE, 1]),
    );
    add(
        "another process's descriptor is taken",
        call(libc::SYS_pidfd_getfd, &[none, 0, 0]),
    );
    add(
        "something is mounted",
        call(libc::SYS_mount, &[NOWHERE, NOWHERE, NOWHERE, 0, 0]),
    );
    add(
        "namespaces are made",
        call(libc::SYS_unshare, &[libc::CLONE_NEWUSER as u64]),
    );
    add("a namespace is entered", call(libc::SYS_setns, &[none, 0]));
    add(
        "a file is opened by its handle",
        call(libc::SYS_open_by_handle_at, &[none, NOWHERE, 0]),
    );
    add(
        "a kernel module is loaded",
        call(libc::SYS_finit_module, &[none, NOWHERE, 0]),
    );
    add(
        "another kernel is loaded",
        call(libc::SYS_kexec_load, &[0, 0, NOWHERE, 0]),
    );
    let stream = libc::SOCK_STREAM as u64;
    add(
        "a socket to the machine below is made",
        call(libc::SYS_socket, &[libc::AF_VSOCK as u64, stream, 0]),
    );
    add(
        "a socket for packets is made",
        call(libc::SYS_socket, &[libc::AF_PACKET as u64, stream, 0]),
    );
    add(
        "the kernel's ciphers are asked",
        call(libc::SYS_socket, &[libc::AF_ALG as u64, stream, 0]),
    );
    let native = portcullis_abi::Arch::NATIVE;
    for (name, call, arguments) in WAYS {
        // What is a ring is above.
        if let Some(number) = native.number(call).filter(|_| call != "io_uring_setup") {
            add(name, Step::Call(number.0.into(), arguments));
        }
    }
    add(
        "its terminal is typed into",
        call(libc::SYS_ioctl, &[0, 0x5412, NOWHERE]),
    );
    add(
        "its console is selected from",
        call(libc::SYS_ioctl, &[0, 0x541c, NOWHERE]),
    );
    attempts
}

impl Attempt {
    /// It is a call of another architecture's code.
    pub(crate) fn is_foreign(&self) -> bool {
        !matches!(
            self.steps.first(),
            Some(Step::Call(..) | Step::Repeat(..)) | None
        )
    }

    /// The call of an attempt at the filter: its architecture, number and arguments.
    pub(crate) fn asked(&self) -> (u32, u32, [u64; 6]) {
        #[cfg(target_arch = "x86_64")]
        const NATIVE: u32 = 0xc000_003e;
        #[cfg(target_arch = "aarch64")]
        const NATIVE: u32 = 0xc000_00b7;
        match self.steps.first() {
            Some(Step::Call(number, arguments) | Step::Repeat(_, number, arguments)) => (
                NATIVE,
                u32::try_from(*number).unwrap_or(u32::MAX),
                *arguments,
            ),
            #[cfg(target_arch = "x86_64")]
            Some(Step::Int80(number)) => (0x4000_0003, *number, [0; 6]),
            // Of the layers alone.
            _ => (NATIVE, u32::MAX, [0; 6]),
        }
    }
}
