//! Which users the program's user namespace knows.

use std::fs;

use portcullis_sys::namespace::Capabilities;

use crate::confinement::Confinement;
use crate::error::Error;
use crate::help;
use crate::layer::LayerName;
use crate::own_ids;
use crate::subids::{self, Range};
use crate::view::Reader;

/// The user who starts the program, and what he is inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Users {
    /// He is root here.
    pub(crate) root: bool,
    uid: u32,
    gid: u32,
    /// What root is outside, when it is not itself.
    pub(crate) range: Option<Range>,
}

/// What a program of root keeps, in its own user namespace only: owning and reading files of the users that
/// are mapped, changing to them, signals among its own, low ports and chroot of its own network and root.
/// Numbers of `linux/capability.h`.
const OF_ROOT: Capabilities = 1 << 0 // CAP_CHOWN
    | 1 << 1 // CAP_DAC_OVERRIDE
    | 1 << 3 // CAP_FOWNER
    | 1 << 4 // CAP_FSETID
    | 1 << 5 // CAP_KILL
    | 1 << 6 // CAP_SETGID
    | 1 << 7 // CAP_SETUID
    | 1 << 8 // CAP_SETPCAP
    | 1 << 10 // CAP_NET_BIND_SERVICE
    | 1 << 18; // CAP_SYS_CHROOT

impl Users {
    /// Of this process, for a program that is given what `wanted` says. What root starts has ids that own nothing; of an
    /// ordinary user what needs none of his files.
    pub(crate) fn current(wanted: &Confinement) -> Result<Users, Error> {
        let uid = rustix::process::geteuid();
        let root = uid.is_root();
        let apart = wanted.has(LayerName::Ids);
        let no_ids = |reason, help| Error::Layer {
            layer: LayerName::Ids,
            reason,
            help,
        };
        let range = if root && apart {
            Some(subids::find().map_err(|reason| no_ids(reason, String::new()))?)
        } else if wanted.empty && apart {
            let found = subids::find_own(uid.as_raw());
            Some(found.map_err(|reason| no_ids(reason, help::own_ids()))?)
        } else {
            None
        };
        Ok(Users {
            root,
            uid: uid.as_raw(),
            gid: rustix::process::getegid().as_raw(),
            range,
        })
    }

    /// What the program keeps of the capabilities over its namespaces.
    pub(crate) fn capabilities(&self) -> Capabilities {
        if self.root { OF_ROOT } else { 0 }
    }

    /// By whose rights the program reads files; `mounted`: by mounts it is given some as its own.
    pub(crate) fn reader(&self, mounted: bool) -> Reader {
        match (self.root, self.range) {
            (true, Some(_)) if mounted => Reader::OtherRoot,
            (true, _) => Reader::Root,
            (false, _) => Reader::User,
        }
    }

    /// What it is inside, as a clause.
    pub(crate) fn detail(&self) -> &'static str {
        match (self.root, self.range) {
            (true, Some(_)) => "root without a capability outside",
            (true, None) => {
                "users keep their ids: root's program is uid 0 for files, without a capability outside"
            }
            (false, Some(_)) => "another user, without a capability",
            (false, None) => "the user keeps his id and has no capability",
        }
    }

    /// Gives `init`, which waits, the users: root the range, or all that it knows itself, anybody else himself
    /// alone. Whoever maps more than himself needs a capability outside (user_namespaces(7)), or asks who has it.
    pub(crate) fn map(&self, init: i32) -> Result<(), Error> {
        let write = |name: &str, text: &str| {
            fs::write(format!("/proc/{init}/{name}"), text).map_err(|e| Error::Layer {
                layer: match self.range {
                    Some(_) => LayerName::Ids,
                    None => LayerName::Namespaces,
                },
                reason: format!("writing {name}: {e}"),
                help: match self.range {
                    Some(_) => "; root needs CAP_SETUID and CAP_SETGID for that, which a container may lack".to_owned(),
                    None => String::new(),
                },
            })
        };
        if let Some(Range {
            uid, gid, count, ..
        }) = self.range
        {
            if !self.root {
                return own_ids::map(init, uid, gid);
            }
            write("uid_map", &format!("0 {uid} {count}\n"))?;
            return write("gid_map", &format!("0 {gid} {count}\n"));
        }
        if self.root {
            write("uid_map", &same("/proc/self/uid_map"))?;
            return write("gid_map", &same("/proc/self/gid_map"));
        }
        write("uid_map", &format!("{0} {0} 1\n", self.uid))?;
        // Else who could drop a group could read what is closed to the group (user_namespaces(7)).
        write("setgroups", "deny")?;
        write("gid_map", &format!("{0} {0} 1\n", self.gid))
    }
}

/// Every id that is known at `path` to itself.
fn same(path: &str) -> String {
    let known = fs::read_to_string(path).unwrap_or_default();
    let lines = known.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let first = fields.next()?;
        Some(format!("{first} {first} {}\n", fields.nth(1)?))
    });
    lines.collect()
}
