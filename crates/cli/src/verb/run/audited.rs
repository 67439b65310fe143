//! What the kernel's records and counters tell, as denials of the verdict: what Landlock denied, calls on which a
//! filter acted and that no stop showed, limits that were reached.

use portcullis_abi::{Arch, Sysno, errno_name};
use portcullis_policy::Action;
use portcullis_sandbox::Reached;
use portcullis_watch::{Access, Audited, Filtered, Maker, Unread};

use crate::json::verdict as json;
use crate::neutral;

/// What is allowed by making a tree writable.
const WRITES: [&str; 13] = [
    "fs.write_file",
    "fs.truncate",
    "fs.refer",
    "fs.remove_dir",
    "fs.remove_file",
    "fs.make_char",
    "fs.make_dir",
    "fs.make_reg",
    "fs.make_sock",
    "fs.make_fifo",
    "fs.make_block",
    "fs.make_sym",
    "fs.ioctl_dev",
];

/// Whether the records were read, or why not.
pub(super) fn state(unread: Option<&Unread>, audited: Option<&Audited>) -> json::Audit {
    let (state, reason) = match unread {
        None => ("read", None),
        Some(Unread::Off) => ("off", None),
        Some(Unread::Refused(error)) => ("unreadable", Some(error.to_string())),
    };
    json::Audit {
        state,
        reason,
        omitted: audited.map_or(0, |a| a.omitted),
        lost: audited.map_or(0, |a| a.lost),
        complete: audited.is_some_and(|a| !a.incomplete && a.lost == 0),
    }
}

/// Adds what the records tell to the denials that the tracer saw.
pub(super) fn join(denials: &mut Vec<json::Denial>, audited: &Audited) {
    for filtered in &audited.filtered {
        let ip = format!("{:#x}", filtered.ip);
        let is_it = |d: &&mut json::Denial| {
            d.ip.as_deref() == Some(&ip)
                && d.number == Some(filtered.maker.number)
                && d.arch == arch(&filtered.maker)
        };
        match denials.iter_mut().find(is_it) {
            Some(told) => told.audited += filtered.count,
            None => denials.extend(by_a_filter(filtered)),
        }
    }
    denials.extend(audited.accesses.iter().map(by_landlock));
}

/// A call that was denied, by an audit record alone.
fn by_a_filter(filtered: &Filtered) -> Option<json::Denial> {
    let answer = match Action::from_code(filtered.answer) {
        Action::KillProcess => "kill-process".into(),
        Action::KillThread => "kill-thread".into(),
        Action::Trap(_) => "trap".into(),
        Action::Errno(number) => format!("errno {}", errno(number)),
        // It was made, or somebody else answered it.
        _ => return None,
    };
    Some(json::Denial {
        code: "PC0308",
        layer: "seccomp".into(),
        answer,
        ip: Some(format!("{:#x}", filtered.ip)),
        rule: "an audit record of the kernel says that a filter denied it, and no stop was seen"
            .into(),
        also_unknown: filtered.count,
        audited: filtered.count,
        count: filtered.count,
        ..of(Some(&filtered.maker))
    })
}

fn by_landlock(access: &Access) -> json::Denial {
    let maker = access.maker.as_ref();
    let error = maker
        .and_then(|maker| maker.value)
        .filter(|value| *value < 0);
    let error = error.and_then(|value| u16::try_from(-value).ok());
    let path = access.path.as_deref().map(String::from_utf8_lossy);
    let writes = access.blockers.iter().all(|b| WRITES.contains(&&**b));
    let suggestion = path
        .as_ref()
        // The root cannot be made writable as a whole.
        .filter(|path| writes && path.starts_with('/') && *path != "/")
        .map(|path| format!("to allow it: --write {}", neutral::word(path)));
    json::Denial {
        code: "PC0307",
        layer: "landlock".into(),
        answer: error.map_or("errno".into(), |number| format!("errno {}", errno(number))),
        path: path.map(|path| path.into_owned()),
        rule: "no rule of Landlock allows it".into(),
        suggestion,
        blockers: access.blockers.clone(),
        also_unknown: access.count,
        audited: access.count,
        count: access.count,
        ..of(maker)
    }
}

/// A limit of the run's cgroup.
pub(super) fn by_a_limit(reached: &Reached) -> json::Denial {
    let (answer, rule) = match reached.limit {
        "memory" => (
            "kill-process",
            "a process was ended: the run was over its limit",
        ),
        _ => ("errno EAGAIN", "there were as many as the run may have"),
    };
    json::Denial {
        code: "PC0309",
        layer: "limits".into(),
        answer: answer.into(),
        rule: rule.into(),
        also_unknown: reached.count,
        blockers: vec![reached.limit.into()],
        count: reached.count,
        ..of(None)
    }
}

/// What a record says of who made a call.
fn of(maker: Option<&Maker>) -> json::Denial {
    let arch_of = maker.and_then(|m| Arch::of_call(m.arch, m.number));
    let name = maker.and_then(|m| arch_of?.name(Sysno(m.number)));
    let value = |(index, value): (u8, &u64)| json::Arg {
        index,
        name: maker.and_then(|m| {
            let declared = arch_of?.arguments(Sysno(m.number))?;
            declared.get(usize::from(index)).map(|a| a.name())
        }),
        value: format!("{value:#x}"),
        symbol: arch_of
            .zip(name)
            .and_then(|(arch, name)| arch.symbol(name, index, *value)),
        observed: None,
    };
    let args = maker.map_or(&[][..], |m| &m.args);
    json::Denial {
        code: "",
        layer: String::new(),
        answer: String::new(),
        pid: maker.map(|m| m.pid),
        tid: None,
        thread: maker.map_or(String::new(), |m| {
            String::from_utf8_lossy(&m.thread).into_owned()
        }),
        image: maker.and_then(|m| Some(m.image.as_ref()?.display().to_string())),
        arch: maker.map_or(String::new(), arch),
        syscall: maker.map(|m| name.map_or(m.number.to_string(), str::to_owned)),
        number: maker.map(|m| m.number),
        ip: None,
        args: (0u8..).zip(args).map(value).collect(),
        path: None,
        rule: String::new(),
        rule_text: None,
        rule_place: None,
        filter: None,
        backtrace: Vec::new(),
        suggestion: None,
        allow: None,
        risk: None,
        also: None,
        also_unknown: 0,
        blockers: Vec::new(),
        audited: 0,
        count: 0,
    }
}

fn arch(maker: &Maker) -> String {
    let known = Arch::of_call(maker.arch, maker.number);
    known.map_or_else(|| format!("{:#x}", maker.arch), |arch| arch.to_string())
}

fn errno(number: u16) -> String {
    errno_name(number).map_or(number.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_denial_that_was_seen_is_joined_and_others_are_told() {
        let filtered = |ip| Filtered {
            maker: Maker {
                pid: 7,
                thread: b"job".to_vec(),
                image: None,
                arch: Arch::X86_64.audit_arch(),
                number: 161,
                args: Vec::new(),
                value: None,
            },
            ip,
            answer: 0x8000_0000,
            count: 2,
        };
        let mut denials = Vec::new();
        join(
            &mut denials,
            &Audited {
                filtered: vec![filtered(0x10)],
                ..Audited::default()
            },
        );
        assert_eq!(denials[0].code, "PC0308");
        assert_eq!(denials[0].answer, "kill-process");
        assert_eq!(denials[0].syscall.as_deref(), Some("chroot"));
        join(
            &mut denials,
            &Audited {
                filtered: vec![filtered(0x10), filtered(0x20)],
                ..Audited::default()
            },
        );
        assert_eq!(denials.len(), 2);
        assert_eq!(denials[0].audited, 4);
    }

    #[test]
    fn what_landlock_denied_has_its_object_and_an_option() {
        let access = Access {
            blockers: vec!["fs.make_reg".to_owned()],
            path: Some(b"/srv/a b".to_vec()),
            object: Vec::new(),
            maker: None,
            count: 3,
        };
        let denial = by_landlock(&access);
        assert_eq!(
            denial.suggestion.as_deref(),
            Some("to allow it: --write '/srv/a b'")
        );
        let access = Access {
            blockers: vec!["scope.signal".to_owned()],
            ..access
        };
        assert_eq!(by_landlock(&access).suggestion, None);
    }
}
