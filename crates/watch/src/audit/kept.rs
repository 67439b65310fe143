//! What is kept of the records of a run: same ones counted, and never more than a bound.
//!
//! A program can have as many written as it likes. Of each kind of access, and of each call, some are told
//! whatever the others are; what is beyond that is counted.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::Audited;
use super::record::{Fields, Record, plain};

/// Most that are told.
const TOLD: usize = 1024;
/// Most of one kind.
const TOLD_OF_ONE: usize = 32;
/// Events whose other records are waited for: those of one event come together, but for events of other processors
/// in between.
const EVENTS: usize = 256;
/// Domains that are told apart: each was made by a process of the run, or by somebody else.
const DOMAINS: usize = 1 << 16;

/// Something that Landlock denied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// What was asked for, in the kernel's words: `fs.write_file`, `scope.signal`.
    pub blockers: Vec<String>,
    /// The file.
    pub path: Option<Vec<u8>>,
    /// What else the record says of the object, `NAME=VALUE`.
    pub object: Vec<String>,
    /// The process and its call, of the first time, where the kernel audits calls.
    pub maker: Option<Maker>,
    /// How often.
    pub count: u64,
}

/// Who made a call, and which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Maker {
    /// Its process.
    pub pid: i32,
    /// The name of the thread.
    pub thread: Vec<u8>,
    /// What the process executes.
    pub image: Option<PathBuf>,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The call.
    pub number: u32,
    /// Its first arguments, as far as the record has them.
    pub args: Vec<u64>,
    /// What it returned.
    pub value: Option<i64>,
}

/// A call on which a filter acted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filtered {
    /// Who made it; no arguments are told.
    pub maker: Maker,
    /// The instruction after the one that made it.
    pub ip: u64,
    /// The filter's answer.
    pub answer: u32,
    /// How often.
    pub count: u64,
}

/// What two accesses are one by.
type SameAccess = (String, Option<Vec<u8>>, Vec<String>);

/// All of a run.
#[derive(Default)]
pub(super) struct Kept {
    accesses: Vec<Access>,
    filtered: Vec<Filtered>,
    known: HashMap<SameAccess, usize>,
    of_kind: HashMap<String, usize>,
    omitted: u64,
    /// Whether a domain is the run's.
    domains: HashMap<u64, bool>,
    /// Accesses of domains of which nothing is known yet, with their events: the kernel tells of a domain behind
    /// its first access.
    waiting: VecDeque<(u64, u64, SameAccess)>,
    /// Events whose access is kept, with its place.
    events: VecDeque<(u64, usize)>,
}

impl Kept {
    /// Takes a record, if it is one of the run; `has` says which processes are.
    pub(super) fn take(&mut self, record: Record<'_>, has: &dyn Fn(i32) -> bool) {
        match record {
            Record::Access {
                event,
                domain,
                blockers,
                object,
            } => {
                let other = |name: &str| !matches!(name, "domain" | "blockers" | "path");
                let object_of = object.all().filter(|(name, _)| other(name));
                let same = (
                    blockers.to_owned(),
                    object.text("path"),
                    object_of.map(told).collect(),
                );
                match self.domains.get(&domain) {
                    Some(true) => self.access(event, same),
                    Some(false) => {}
                    None => push(&mut self.waiting, (domain, event, same)),
                }
            }
            Record::Domain { domain, maker } => {
                let own = has(maker);
                if self.domains.len() < DOMAINS {
                    self.domains.insert(domain, own);
                }
                let all = std::mem::take(&mut self.waiting);
                for (of, event, same) in all {
                    match of == domain {
                        true if own => self.access(event, same),
                        true => {}
                        false => self.waiting.push_back((of, event, same)),
                    }
                }
            }
            Record::Call { event, fields } => {
                let of_event = self.events.iter().filter(|(of, _)| *of == event);
                let places: Vec<usize> = of_event.map(|(_, place)| *place).collect();
                for place in places {
                    let access = self.accesses.get_mut(place);
                    if let Some(access) = access.filter(|access| access.maker.is_none()) {
                        access.maker = maker(fields);
                    }
                }
            }
            Record::Filtered { fields } => {
                let Some(maker) = maker(fields).filter(|maker| has(maker.pid)) else {
                    return;
                };
                let answer = fields.hex("code").and_then(|code| u32::try_from(code).ok());
                let (Some(ip), Some(answer)) = (fields.hex("ip"), answer) else {
                    return;
                };
                self.filtered(Filtered {
                    maker,
                    ip,
                    answer,
                    count: 1,
                });
            }
        }
    }

    fn access(&mut self, event: u64, same: SameAccess) {
        let place = match self.known.get(&same) {
            Some(place) => {
                self.accesses[*place].count += 1;
                *place
            }
            None => {
                if !fits(&mut self.of_kind, &same.0, self.accesses.len()) {
                    self.omitted += 1;
                    return;
                }
                self.accesses.push(Access {
                    blockers: same.0.split(',').map(str::to_owned).collect(),
                    path: same.1.clone(),
                    object: same.2.clone(),
                    maker: None,
                    count: 1,
                });
                self.known.insert(same, self.accesses.len() - 1);
                self.accesses.len() - 1
            }
        };
        push(&mut self.events, (event, place));
    }

    fn filtered(&mut self, new: Filtered) {
        let is_same = |old: &&mut Filtered| {
            old.maker.pid == new.maker.pid
                && (old.maker.arch, old.maker.number) == (new.maker.arch, new.maker.number)
                && (old.ip, old.answer) == (new.ip, new.answer)
        };
        if let Some(old) = self.filtered.iter_mut().find(is_same) {
            old.count += 1;
            return;
        }
        let kind = format!("{:x} {}", new.maker.arch, new.maker.number);
        if fits(&mut self.of_kind, &kind, self.filtered.len()) {
            self.filtered.push(new);
        } else {
            self.omitted += 1;
        }
    }

    /// All that was kept.
    pub(super) fn end(self, incomplete: bool) -> Audited {
        Audited {
            accesses: self.accesses,
            filtered: self.filtered,
            omitted: self.omitted,
            lost: 0,
            incomplete,
        }
    }
}

/// Keeps the last ones.
fn push<T>(all: &mut VecDeque<T>, one: T) {
    all.push_back(one);
    if all.len() > EVENTS {
        all.pop_front();
    }
}

/// Whether another one of a kind is told, when there are so many.
fn fits(of_kind: &mut HashMap<String, usize>, kind: &str, all: usize) -> bool {
    let fits = match of_kind.get(kind) {
        None => of_kind.len() < TOLD,
        Some(of_kind) => *of_kind < TOLD_OF_ONE && all < TOLD,
    };
    if fits {
        *of_kind.entry(kind.to_owned()).or_default() += 1;
    }
    fits
}

/// A field of an object, its text read back.
fn told((name, value): (&str, &str)) -> String {
    let text = value.starts_with('"').then(|| plain(value)).flatten();
    match text {
        Some(text) => format!("{name}={}", String::from_utf8_lossy(&text)),
        None => format!("{name}={value}"),
    }
}

fn maker(fields: Fields<'_>) -> Option<Maker> {
    let args = ["a0", "a1", "a2", "a3"].into_iter();
    Some(Maker {
        pid: fields.number("pid")?,
        thread: fields.text("comm").unwrap_or_default(),
        image: fields
            .text("exe")
            .map(|path| OsString::from_vec(path).into()),
        arch: u32::try_from(fields.hex("arch")?).ok()?,
        number: fields.number("syscall")?,
        args: args.map_while(|name| fields.hex(name)).collect(),
        value: fields.number("exit"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::{collection, sample};

    use super::*;

    const SYSCALL: u16 = 1300;
    const SECCOMP: u16 = 1326;
    const ACCESS: u16 = 1423;
    const DOMAIN: u16 = 1424;

    /// What is kept of records when process 7 is the run's.
    fn kept<'a>(records: impl IntoIterator<Item = &'a (u16, String)>) -> Audited {
        let mut kept = Kept::default();
        for (kind, text) in records {
            let text = format!("audit(1764189000.1:{text}");
            kept.take(Record::read(*kind, text.as_bytes()).unwrap(), &|pid| {
                pid == 7
            });
        }
        kept.end(false)
    }

    fn access(event: u64, domain: &str, what: &str, path: &str) -> (u16, String) {
        let text = format!("{event}): domain={domain} blockers={what} path=\"{path}\" ino=5");
        (ACCESS, text)
    }

    fn domain(event: u64, domain: &str, pid: i32) -> (u16, String) {
        let text = format!("{event}): domain={domain} status=allocated mode=enforcing pid={pid}");
        (DOMAIN, text)
    }

    fn call(event: u64, pid: i32) -> (u16, String) {
        let text = format!(
            "{event}): arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=7f a2=1 a3=0 \
             items=1 pid={pid} comm=\"job\" exe=\"/bin/job\""
        );
        (SYSCALL, text)
    }

    #[test]
    fn what_the_runs_own_domains_deny_is_told_with_its_call() {
        let told = kept(&[
            access(1, "a", "fs.write_file", "/own"),
            access(2, "b", "fs.write_file", "/others"),
            domain(2, "b", 8),
            domain(1, "a", 7),
            call(1, 7),
            call(2, 8),
            access(3, "a", "fs.write_file", "/own"),
            access(4, "b", "fs.write_file", "/others"),
        ]);
        let [one] = told.accesses.as_slice() else {
            panic!("{told:#?}");
        };
        assert_eq!(one.path.as_deref(), Some(&b"/own"[..]));
        assert_eq!(
            (one.count, one.object.as_slice()),
            (2, &["ino=5".to_owned()][..])
        );
        let maker = one.maker.as_ref().unwrap();
        assert_eq!((maker.pid, maker.number, maker.value), (7, 257, Some(-13)));
        assert_eq!(maker.args, [0xffff_ff9c, 0x7f, 1, 0]);
    }

    #[test]
    fn a_flood_of_one_kind_hides_no_other_and_is_counted() {
        let mut all = vec![access(0, "a", "fs.execute", "/first"), domain(0, "a", 7)];
        all.extend((1..10_000).map(|n| access(n, "a", "fs.read_file", &format!("/{n}"))));
        all.push(access(10_000, "a", "scope.signal", "/last"));
        let told = kept(&all);
        assert_eq!(told.accesses.len(), TOLD_OF_ONE + 2);
        assert_eq!(told.omitted, 9_999 - TOLD_OF_ONE as u64);
        assert_eq!(told.accesses.last().unwrap().blockers, ["scope.signal"]);
    }

    #[test]
    fn calls_that_filters_acted_on_are_told_of_the_run_only() {
        let filtered = |pid: i32| {
            let text = format!(
                "1): auid=0 pid={pid} comm=\"x\" exe=\"/x\" sig=31 arch=c000003e syscall=161 compat=0 \
                 ip=0x7f0012 code=0x80000000"
            );
            (SECCOMP, text)
        };
        let told = kept(&[filtered(7), filtered(8), filtered(7)]);
        let [one] = told.filtered.as_slice() else {
            panic!("{told:#?}");
        };
        assert_eq!((one.maker.number, one.count), (161, 2));
        assert_eq!((one.ip, one.answer), (0x7f_0012, 0x8000_0000));
    }

    /// A record of what records are made of, in any order, so that readers get beyond its first word.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let word = sample::select(vec![
            "domain=a",
            "domain=b",
            "domain=",
            "domain=ffffffffffffffffff",
            "status=allocated",
            "status=",
            "pid=7",
            "pid=8",
            "pid=-99999999999",
            "blockers=fs.read_file",
            "blockers=fs.execute,net.bind_tcp",
            "blockers=",
            "path=\"/a\"",
            "path=\"",
            "path=2F61",
            "path=2F6",
            "path=(null)",
            "path=\u{e9}\u{e9}",
            "comm=\"a\"",
            "exe=\"/a\"",
            "exe=",
            "arch=c000003e",
            "arch=fffffffff",
            "syscall=257",
            "syscall=-1",
            "exit=-13",
            "a0=0",
            "a1=ffffffffffffffff",
            "a2=x",
            "ip=0x0",
            "ip=0xffffffffffffffff",
            "code=0x80000000",
            "code=0x",
            "=",
            "",
        ]);
        let stamp = sample::select(vec![
            "audit(1.0:1): ",
            "audit(1.0:2): ",
            "audit(1.0:",
            "audit(",
            "): ",
            "",
        ]);
        let own = (stamp, collection::vec(word, 0..20))
            .prop_map(|(stamp, words)| (stamp.to_owned() + &words.join(" ")).into());
        prop_oneof![9 => own, 1 => collection::vec(any::<u8>(), 0..60)]
    }

    proptest! {
        #[test]
        fn no_records_end_the_reader_and_no_more_is_told_than_they_say(
            all in collection::vec((sample::select(vec![SYSCALL, SECCOMP, ACCESS, DOMAIN, 1]), text()), 0..60),
        ) {
            let mut kept = Kept::default();
            for (kind, text) in &all {
                if let Some(record) = Record::read(*kind, text) {
                    kept.take(record, &|pid| pid == 7);
                }
            }
            let told = kept.end(false);
            let accesses: u64 = told.accesses.iter().map(|access| access.count).sum();
            let filtered: u64 = told.filtered.iter().map(|filtered| filtered.count).sum();
            prop_assert!(accesses + filtered + told.omitted <= all.len() as u64);
            prop_assert!(told.filtered.iter().all(|filtered| filtered.maker.pid == 7));
        }
    }
}
