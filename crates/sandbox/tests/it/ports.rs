//! Rules about TCP ports, and each way around them.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;

use portcullis_policy::ActionMap;
use portcullis_sandbox::{Command, Confinement, Error, Filter, LayerName, Network, Outcome, Stdio};

use crate::following::{Following, all_but};
use crate::harness::{build, turn};

/// How the program ends that tries `words` where it is given `network` and `ports`, behind a filter for `narrowed`.
fn attempt(
    program: &Path,
    words: &[&str],
    (network, ports): (Network, &[u16]),
    narrowed: Network,
) -> Result<Outcome, Error> {
    let policy = narrowed.narrow(all_but(&["chroot"]), false);
    let filter = Filter::new(&policy, &ActionMap::seen())?;
    let mut confinement = Confinement::new("/".into());
    confinement.network = network;
    confinement.ports = ports.to_owned();
    let mut command = Command::new(program);
    command.args(words).confinement(confinement);
    let child = command.spawn(&filter, || Following(policy))?;
    Ok(child.wait()?.outcome)
}

/// A port at which somebody listens.
fn open() -> (TcpListener, u16) {
    let listens = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listens.local_addr().unwrap().port();
    (listens, port)
}

#[test]
fn one_port_is_reached_and_nothing_else() {
    let _turn = turn();
    let built = build("attempt", &[]);
    let ((_given, given), (_other, other)) = (open(), open());
    let [allowed, closed] = [given, other].map(|port| port.to_string());
    let ways = [
        ("tcp", &closed, libc::EACCES),
        ("bind", &closed, libc::EACCES),
        ("udp", &closed, libc::EACCES),
        ("mptcp", &closed, libc::EACCES),
        ("listen", &closed, libc::EACCES),
        ("sendto", &closed, libc::EOPNOTSUPP),
        ("sendmsg", &closed, libc::EOPNOTSUPP),
        ("sendmmsg", &closed, libc::EOPNOTSUPP),
        ("put-off", &closed, libc::ENOPROTOOPT),
    ];
    let with = |words: &[&str], network| {
        let ports = [given];
        attempt(&built.path, words, (network, &ports), network).unwrap()
    };
    let mut wrong = Vec::new();
    for (way, port, errno) in ways {
        let came = with(&[way, port], Network::Ports);
        // The same with the whole network; a kernel can be without multipath TCP.
        let control = with(&[way, port], Network::Host);
        let lacks = way == "mptcp"
            && [libc::EPROTONOSUPPORT, libc::ENOPROTOOPT]
                .map(Outcome::Exited)
                .contains(&control);
        if came != Outcome::Exited(errno) || (control != Outcome::Exited(0) && !lacks) {
            wrong.push(format!("{way}: {came:?}; its control: {control:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(with(&["tcp", &allowed], Network::Ports), Outcome::Exited(0));
}

/// Landlock alone leaves ways open: without a filter for them nothing is started.
#[test]
fn a_filter_that_leaves_a_way_open_is_refused() {
    let _turn = turn();
    let built = build("attempt", &[]);
    for narrowed in [Network::Host, Network::None] {
        let refused = attempt(&built.path, &["number"], (Network::Ports, &[80]), narrowed);
        match refused {
            Err(Error::Layer { layer, reason, .. }) => {
                assert_eq!(layer, LayerName::Network);
                assert!(reason.contains("socket"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Of one that it is given nothing is looked at.
#[test]
fn a_socket_of_a_network_is_not_handed_in() {
    let _turn = turn();
    let built = build("attempt", &[]);
    let policy = Network::Ports.narrow(all_but(&[]), false);
    let filter = Filter::new(&policy, &ActionMap::seen()).unwrap();
    let mut confinement = Confinement::new("/".into());
    confinement.network = Network::Ports;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let given = |socket: OwnedFd| {
        let mut command = Command::new(&built.path);
        command.arg("number").confinement(confinement.clone());
        command.stdin(Stdio::File(socket));
        let policy = policy.clone();
        let child = command.spawn(&filter, || Following(policy))?;
        Ok::<_, Error>(child.wait()?.outcome)
    };
    let refused = given(socket.into());
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    // One of this machine's processes is.
    let (own, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(given(own.into()).unwrap(), Outcome::Exited(2));
}
