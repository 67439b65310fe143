//! i386 makes socket and System V calls also through `socketcall` and `ipc`, whose first argument
//! says which; libseccomp answers both ways alike.

use portcullis_abi::{Arch, Sysno};

use crate::{Action, Condition, Op, Rule, Width};

/// `(call, multiplexer, its first argument)`: `linux/net.h` and `linux/ipc.h`.
const INSIDE: [(&str, &str, u64); 31] = [
    ("socket", "socketcall", 1),
    ("bind", "socketcall", 2),
    ("connect", "socketcall", 3),
    ("listen", "socketcall", 4),
    ("accept", "socketcall", 5),
    ("getsockname", "socketcall", 6),
    ("getpeername", "socketcall", 7),
    ("socketpair", "socketcall", 8),
    ("send", "socketcall", 9),
    ("recv", "socketcall", 10),
    ("sendto", "socketcall", 11),
    ("recvfrom", "socketcall", 12),
    ("shutdown", "socketcall", 13),
    ("setsockopt", "socketcall", 14),
    ("getsockopt", "socketcall", 15),
    ("sendmsg", "socketcall", 16),
    ("recvmsg", "socketcall", 17),
    ("accept4", "socketcall", 18),
    ("recvmmsg", "socketcall", 19),
    ("sendmmsg", "socketcall", 20),
    ("semget", "ipc", 2),
    ("semctl", "ipc", 3),
    ("semtimedop", "ipc", 4),
    ("msgsnd", "ipc", 11),
    ("msgrcv", "ipc", 12),
    ("msgget", "ipc", 13),
    ("msgctl", "ipc", 14),
    ("shmat", "ipc", 21),
    ("shmdt", "ipc", 22),
    ("shmget", "ipc", 23),
    ("shmctl", "ipc", 24),
];

/// The rule for a call inside its multiplexer, where it has one and the answer differs.
pub(super) fn rule(arch: Arch, number: Sysno, action: Action, default: Action) -> Option<Rule> {
    let name = arch.name(number).filter(|_| arch == Arch::I386)?;
    let (_, through, which) = INSIDE.iter().find(|(call, ..)| *call == name)?;
    let through = arch.number(through).filter(|_| action != default)?;
    Some(Rule {
        calls: through.into(),
        conditions: vec![Condition {
            index: 0,
            width: Width::W32,
            op: Op::Equal(*which),
        }],
        action,
        provenance: Vec::new(),
    })
}
