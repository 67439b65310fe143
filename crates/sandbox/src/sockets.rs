//! The sockets that a program may make: what neither its namespaces nor Landlock see, rules of its policy decide.

use portcullis_abi::Arch;
use portcullis_policy::{Action, Call, Condition, Op, Policy, Provenance, Rule, Width};

use crate::confinement::Network;
use crate::error::Error;
use crate::layer::LayerName;
use crate::plan::Plan;
use crate::secret::ArmedFilter;

const UNIX: u64 = libc::AF_UNIX as u64;
const INET: u64 = libc::AF_INET as u64;
const INET6: u64 = libc::AF_INET6 as u64;
const NETLINK: u64 = libc::AF_NETLINK as u64;

/// The families of sockets that stay in a network namespace, or in a network that is not there
/// (address_families(7)).
const FAMILIES: [u64; 4] = [UNIX, INET, INET6, NETLINK];

/// What of a socket's type is not a flag (`SOCK_TYPE_MASK` of `linux/net.h`).
const TYPE: u64 = 0xf;
const STREAM: u64 = libc::SOCK_STREAM as u64;
const TCP: u64 = libc::IPPROTO_TCP as u64;

/// Options of `IPPROTO_TCP` (`linux/tcp.h`): a connection that waits for what is sent, and the exchange of what is
/// below the socket (`TCP_ULP`), by which it can become one of SMC.
const PUT_OFF: u64 = 30;
const EXCHANGE: u64 = 31;
/// `MSG_FASTOPEN`: what is sent makes the connection, and no hook of Landlock is asked (`tcp_sendmsg_fastopen`).
const FAST_OPEN: u64 = 0x2000_0000;
/// The calls that take it, and where.
const SENDS: [(&str, u8); 3] = [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)];

/// A call with an argument that leads nowhere, so that it fails where it is let through.
type Way = (&'static str, &'static str, [u64; 6]);
const NOTHING: u64 = u64::MAX;
const NOWHERE: u64 = 1;

/// The ways around rules about TCP ports.
pub(crate) const WAYS: [Way; 15] = [
    (
        "which socket is made is hidden",
        "socketcall",
        [1, NOWHERE, 0, 0, 0, 0],
    ),
    (
        "a socket of datagrams is made",
        "socket",
        [INET, 2, 0, 0, 0, 0],
    ),
    (
        "a socket of datagrams of version 6 is made",
        "socket",
        [INET6, 2, 0, 0, 0, 0],
    ),
    (
        "a socket below the protocols is made",
        "socket",
        [INET, 3, 255, 0, 0, 0],
    ),
    (
        "a socket of SCTP is made",
        "socket",
        [INET, STREAM, 132, 0, 0, 0],
    ),
    (
        "a socket of SMC is made",
        "socket",
        [INET, STREAM, 256, 0, 0, 0],
    ),
    (
        "a socket of SMC's family is made",
        "socket",
        [43, STREAM, 0, 0, 0, 0],
    ),
    (
        "a socket of multipath TCP is made",
        "socket",
        [INET, STREAM, 262, 0, 0, 0],
    ),
    (
        "a port is listened at that was not bound",
        "listen",
        [NOTHING, 0, 0, 0, 0, 0],
    ),
    (
        "sending makes a connection",
        "sendto",
        [NOTHING, NOWHERE, 1, FAST_OPEN, NOWHERE, 16],
    ),
    (
        "sending a message makes a connection",
        "sendmsg",
        [NOTHING, NOWHERE, FAST_OPEN, 0, 0, 0],
    ),
    (
        "sending messages makes connections",
        "sendmmsg",
        [NOTHING, NOWHERE, 1, FAST_OPEN, 0, 0],
    ),
    (
        "a connection is put off",
        "setsockopt",
        [NOTHING, TCP, PUT_OFF, NOWHERE, 4, 0],
    ),
    (
        "TCP is exchanged for something else",
        "setsockopt",
        [NOTHING, TCP, EXCHANGE, NOWHERE, 4, 0],
    ),
    (
        "a ring is set up",
        "io_uring_setup",
        [1, NOWHERE, 0, 0, 0, 0],
    ),
];

impl Network {
    /// `policy`, in which a program with this network makes only such sockets as stay in it. A program that is not
    /// given the machine's has few families: others cross network namespaces (`AF_VSOCK`) or are doors of the
    /// kernel of their own. One with rules about ports has TCP and nothing else that could reach a machine.
    /// `traced`: libraries that are loaded later may add calls that the policy does not allow yet.
    pub fn narrow(self, mut policy: Policy, traced: bool) -> Policy {
        let denied = self.denied();
        for table in &mut policy.tables {
            let others = [table.default, table.newer];
            let open = traced || others.iter().any(|action| action.permits());
            let rule = |(call, conditions, errno, why): &Denied| {
                let number = table.arch.number(call)?;
                let allows = |rule: &Rule| rule.action.permits() && rule.calls.contains(number.0);
                let needed = open || table.rules.iter().any(allows);
                needed.then(|| Rule {
                    calls: number.into(),
                    conditions: conditions.clone(),
                    action: Action::Errno(*errno as u16),
                    provenance: vec![Provenance::Note((*why).to_owned())],
                })
            };
            let rules: Vec<Rule> = denied.iter().filter_map(rule).collect();
            table.rules.splice(0..0, rules);
        }
        policy
    }

    fn denied(self) -> Vec<Denied> {
        let mut denied = Vec::new();
        if self == Network::Host {
            return denied;
        }
        // Its arguments are in memory, where no filter sees them.
        let why = "it hides which socket is made";
        denied.push(("socketcall", Vec::new(), libc::ENOSYS, why));
        for call in ["socket", "socketpair"] {
            let families = FAMILIES.map(|family| (family, family));
            let others = vec![when(0, Op::NotIn(families.into()))];
            denied.push((call, others, libc::EAFNOSUPPORT, "no network was given"));
        }
        if self == Network::Ports {
            denied.extend(all_but_tcp());
        }
        denied
    }
}

/// A call that is answered with this error number where these conditions hold, and why.
type Denied = (&'static str, Vec<Condition>, i32, &'static str);

/// What Landlock does not see of a program that may only connect by TCP.
fn all_but_tcp() -> Vec<Denied> {
    let why = "only TCP ports were given";
    let internet = when(0, Op::In(vec![(INET, INET), (INET6, INET6)]));
    let (mask, value) = (TYPE, STREAM);
    let kind = when(1, Op::NotMasked { mask, value });
    let protocol = when(2, Op::NotIn(vec![(0, 0), (TCP, TCP)]));
    let of_tcp = when(1, Op::Equal(TCP));
    let options = when(2, Op::In(vec![(PUT_OFF, EXCHANGE)]));
    let mut denied = vec![
        ("socket", vec![internet.clone(), kind], libc::EACCES, why),
        ("socket", vec![internet, protocol], libc::EACCES, why),
        // A socket that was not bound gets a port here (`inet_csk_listen_start`).
        ("listen", Vec::new(), libc::EACCES, why),
        ("setsockopt", vec![of_tcp, options], libc::ENOPROTOOPT, why),
    ];
    for (call, index) in SENDS {
        let (mask, value) = (FAST_OPEN, FAST_OPEN);
        let opens = vec![when(index, Op::Masked { mask, value })];
        // As where the machine has switched it off.
        denied.push((call, opens, libc::EOPNOTSUPP, why));
    }
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
        let why = "no filter sees what a ring carries";
        denied.push((call, Vec::new(), libc::ENOSYS, why));
    }
    denied
}

fn when(index: u8, op: Op) -> Condition {
    Condition {
        index,
        width: Width::W32,
        op,
    }
}

/// A way around rules about ports that `policy` leaves open.
pub(crate) fn around(policy: &Policy) -> Option<&'static str> {
    if policy.foreign.permits() {
        return Some("a call of another architecture is made");
    }
    let open = |arch: Arch, (_, call, args): &Way| {
        arch.number(call).is_some_and(|number| {
            let call = Call {
                arch: arch.audit_arch(),
                number: number.0,
                ip: 0,
                args: *args,
            };
            policy.decide(&call).action.permits()
        })
    };
    let mut tables = policy.tables.iter();
    let way = tables.find_map(|table| WAYS.iter().find(|way| open(table.arch, way)));
    way.map(|(name, ..)| *name)
}

/// Whether `filter` keeps what the rules of `plan` about ports rest on.
pub(crate) fn hold(plan: &Plan, filter: &ArmedFilter) -> Result<(), Error> {
    match filter.around_ports().filter(|_| plan.has_ports()) {
        None => Ok(()),
        Some(way) => Err(Error::Layer {
            layer: LayerName::Network,
            reason: format!(
                "rules about ports need a filter that stops what they do not see: {way}"
            ),
            help: "; narrow the policy (Network::narrow)".to_owned(),
        }),
    }
}
