//! What a program that is run may use of the machine.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use portcullis_sandbox::{LayerName, Limits};

/// Options of `run`.
#[derive(Args, Debug)]
pub(crate) struct ConfinementArgs {
    /// Let the program read TREE, although it would be hidden or its place private (repeatable)
    #[arg(long, value_name = "TREE")]
    pub(crate) read: Vec<PathBuf>,
    /// Let the program write TREE (repeatable)
    #[arg(long, value_name = "TREE")]
    pub(crate) write: Vec<PathBuf>,
    /// Hide PATH from the program (repeatable)
    #[arg(long, value_name = "PATH")]
    pub(crate) hide: Vec<PathBuf>,
    /// Give the program the machine's network (`host`, and without WHICH), a loopback device of its own (`loopback`),
    /// or TCP connections to some ports alone (`tcp-connect=PORT,PORT`); without this it has none
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "host")]
    pub(crate) net: Option<NetworkArg>,
    /// Bound what the program consumes: cpu=2s, wall=10s, memory=256M, processes=32, files=64,
    /// file-size=1M, output=1M, separated by commas (repeatable)
    #[arg(long, value_name = "LIMITS")]
    pub(crate) limit: Vec<Limits>,
    /// Start the program without LAYER: namespaces, ids, filesystem, network, landlock, limits (repeatable)
    #[arg(long, value_name = "LAYER")]
    pub(crate) allow_insecure: Vec<LayerName>,
}

/// Networks, the narrowest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NetworkArg {
    /// A loopback device of the program's own.
    Loopback,
    /// Of the machine's, connections by TCP to these ports.
    Ports(Vec<u16>),
    /// The machine's.
    Host,
}

impl NetworkArg {
    /// The wider one of two; of ports those of both.
    pub(crate) fn wider(self, other: NetworkArg) -> NetworkArg {
        match (self, other) {
            (NetworkArg::Host, _) | (_, NetworkArg::Host) => NetworkArg::Host,
            (NetworkArg::Ports(mut ports), NetworkArg::Ports(more)) => {
                ports.extend(more);
                ports.sort_unstable();
                ports.dedup();
                NetworkArg::Ports(ports)
            }
            (ports @ NetworkArg::Ports(_), _) | (_, ports @ NetworkArg::Ports(_)) => ports,
            (NetworkArg::Loopback, NetworkArg::Loopback) => NetworkArg::Loopback,
        }
    }
}

impl FromStr for NetworkArg {
    type Err = String;

    fn from_str(text: &str) -> Result<NetworkArg, String> {
        match (text, text.split_once('=')) {
            ("host", _) => Ok(NetworkArg::Host),
            ("loopback", _) => Ok(NetworkArg::Loopback),
            (_, Some(("tcp-connect", ports))) => {
                let ports: Result<Vec<u16>, String> = ports.split(',').map(port).collect();
                Ok(NetworkArg::Ports(Vec::new()).wider(NetworkArg::Ports(ports?)))
            }
            (_, Some(("tcp-bind", _))) => Err(
                "which port is listened at cannot be kept: a socket that was not bound gets one at listen(2), \
                 where neither Landlock nor a filter sees which; give the network, or a loopback device"
                    .to_owned(),
            ),
            _ => Err(format!(
                "{text:?} is no network; there are host, loopback and tcp-connect=PORT,PORT"
            )),
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        // A name is looked up by who connects, and means another address the next time.
        _ => Err(format!(
            "{text:?} is no port, a number from 1 to 65535; rules are about ports, not about hosts"
        )),
    }
}

impl std::fmt::Display for NetworkArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NetworkArg::Host => f.write_str("host"),
            NetworkArg::Loopback => f.write_str("loopback"),
            NetworkArg::Ports(ports) => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(f, "tcp-connect={}", ports.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_what_cannot_be_kept_is_refused() {
        let ports: NetworkArg = "tcp-connect=443,80,80".parse().unwrap();
        assert_eq!(ports, NetworkArg::Ports(vec![80, 443]));
        assert_eq!(ports.to_string().parse(), Ok(ports.clone()));
        for wrong in [
            "tcp-connect=",
            "tcp-connect=0",
            "tcp-connect=65536",
            "tcp-connect=example.org:443",
            "udp=53",
            "",
        ] {
            assert!(wrong.parse::<NetworkArg>().is_err(), "{wrong}");
        }
        let refused = "tcp-bind=80".parse::<NetworkArg>().unwrap_err();
        assert!(refused.contains("listen"), "{refused}");
        assert_eq!(ports.clone().wider(NetworkArg::Loopback), ports);
        assert_eq!(ports.wider(NetworkArg::Host), NetworkArg::Host);
    }
}
