//! User and group ids that own nothing on this machine, for what root starts; and those of an ordinary user's own, for
//! what needs nothing of his.
//!
//! The administrator names them for root in subuid(5) and subgid(5); otherwise they are taken from the end of
//! the ids that no convention gives away: above what directory services map to by default (sssd-ad(5): below
//! 2,000,200,000) and below 2^31, from where on ids are taken for negative ones. That nobody was given them is
//! looked up where this machine keeps its users.
//!
//! An ordinary user has what is his in the same files, and nothing otherwise. Of that one id is taken, of the upper half:
//! his containers have ids of the same range and begin at the lower end (podman(1), `--userns`).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// As many as there are ids of the system and of its users: a program that changes to one finds it.
pub(crate) const COUNT: u32 = 1 << 16;

/// Where the default begins, and how many times [`COUNT`] it is long.
const DEFAULT: (u32, u32) = (0x7800_0000, 2048);

/// What is read of a list of users.
const LIST_LIMIT: u64 = 64 << 20;

/// The first ids of a range, outside; inside they begin with 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) count: u32,
    pub(crate) source: Source,
}

/// Whose a range is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// Nobody's.
    Free,
    /// Root's, by subuid(5).
    Root,
    /// The user's who starts the program, by the same.
    User,
}

impl Range {
    /// What it is, as a sentence.
    pub(crate) fn detail(&self) -> String {
        let Range {
            uid,
            gid,
            count,
            source,
        } = self;
        let source = match source {
            Source::Root => "root's in /etc/subuid and /etc/subgid",
            Source::Free => "of a range that is nobody's here",
            Source::User => {
                return format!(
                    "it is user {uid} and group {gid} outside, of the user's own in /etc/subuid and /etc/subgid"
                );
            }
        };
        format!("root inside is user {uid} and group {gid} outside, the first of {count} {source}")
    }
}

/// A range for what root starts; runs at one time get different ones where there are several. The error says why there is
/// none.
pub(crate) fn find() -> Result<Range, String> {
    let found = Given::read().choose(run())?;
    known(found, "name others for root")
}

/// One id of what the ordinary user `uid` was given, in the same way.
pub(crate) fn find_own(uid: u32) -> Result<Range, String> {
    let found = Given::read().choose_own(uid, run())?;
    known(found, "give the user others")
}

/// Tells runs of one launcher apart, and by its process number those of several.
fn run() -> u32 {
    static RUN: AtomicU32 = AtomicU32::new(0);
    std::process::id().wrapping_add(RUN.fetch_add(1, Ordering::Relaxed))
}

/// `found`, unless this process does not know it.
fn known(found: Range, otherwise: &str) -> Result<Range, String> {
    for (map, first) in [("uid_map", found.uid), ("gid_map", found.gid)] {
        if !is_known(&text(format!("/proc/self/{map}")), first, found.count) {
            return Err(format!(
                "the ids from {first} on are not known here ({map}), as in a container of its own ids; {otherwise} in /etc/subuid and /etc/subgid"
            ));
        }
    }
    Ok(found)
}

/// Who was given which ids.
struct Given {
    subuid: String,
    subgid: String,
    passwd: String,
    group: String,
}

impl Given {
    fn read() -> Given {
        Given {
            subuid: text("/etc/subuid"),
            subgid: text("/etc/subgid"),
            passwd: text("/etc/passwd"),
            group: text("/etc/group"),
        }
    }

    /// newuidmap(1) asks the name services who a user is; here one that stands in `/etc/passwd` has a name, every other
    /// one his number.
    fn choose_own(&self, uid: u32, run: u32) -> Result<Range, String> {
        let number = uid.to_string();
        let users = self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == number).then_some(name)
        });
        let names: Vec<&str> = users.chain([number.as_str()]).collect();
        let one = |list: &str| {
            let (first, count) = range_of(list, &names).filter(|(first, _)| *first != 0)?;
            let upper = count - count / 2;
            (upper > 0).then(|| first + count / 2 + run % upper)
        };
        match (one(&self.subuid), one(&self.subgid)) {
            (Some(uid), Some(gid)) => Ok(Range {
                uid,
                gid,
                count: 1,
                source: Source::User,
            }),
            _ => Err(format!(
                "user {} has no ids of his own in /etc/subuid and /etc/subgid",
                names[0]
            )),
        }
    }

    fn choose(&self, run: u32) -> Result<Range, String> {
        let of_root = |list| range_of(list, &["root", "0"]);
        let named = (of_root(&self.subuid), of_root(&self.subgid));
        let (Some(uids), Some(gids)) = named else {
            return self.choose_default(run);
        };
        let count = uids.1.min(gids.1);
        let slots = (count / COUNT).max(1);
        let offset = run % slots * COUNT;
        let found = Range {
            uid: uids.0 + offset,
            gid: gids.0 + offset,
            count: count.min(COUNT),
            source: Source::Root,
        };
        match found.uid == 0 || found.gid == 0 || count == 0 {
            true => Err("root's range in /etc/subuid or /etc/subgid is empty or begins with 0, which is root itself: name another".to_owned()),
            false => Ok(found),
        }
    }

    fn choose_default(&self, run: u32) -> Result<Range, String> {
        let (first, slots) = DEFAULT;
        let at = |slot: u32| first + (run.wrapping_add(slot)) % slots * COUNT;
        let free = |first: &u32| {
            let ids = (*first, COUNT);
            !overlaps(&self.subuid, ids)
                && !overlaps(&self.subgid, ids)
                && !has(&self.passwd, ids)
                && !has(&self.group, ids)
        };
        match (0..slots).map(at).find(free) {
            Some(first) => Ok(Range {
                uid: first,
                gid: first,
                count: COUNT,
                source: Source::Free,
            }),
            None => Err("every id from 2013265920 on is somebody's: name a range for root in /etc/subuid and /etc/subgid".to_owned()),
        }
    }
}

/// The first range of the user with these names: `USER:FIRST:COUNT` (subuid(5)).
fn range_of(list: &str, names: &[&str]) -> Option<(u32, u32)> {
    let mut ranges = ranges(list).filter(|(user, _)| names.contains(user));
    ranges.next().map(|(_, ids)| ids)
}

fn ranges(list: &str) -> impl Iterator<Item = (&str, (u32, u32))> {
    list.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let user = fields.next()?;
        let first: u32 = fields.next()?.trim().parse().ok()?;
        let count: u32 = fields.next()?.trim().parse().ok()?;
        first.checked_add(count).map(|_| (user, (first, count)))
    })
}

fn overlaps(list: &str, (first, count): (u32, u32)) -> bool {
    ranges(list).any(|(_, (other, many))| other < first + count && first < other + many)
}

/// Whether a user or group of `list` has one of the ids (passwd(5), group(5): the third field).
fn has(list: &str, (first, count): (u32, u32)) -> bool {
    let ids = list.lines().filter_map(|line| line.split(':').nth(2));
    let mut ids = ids.filter_map(|id| id.parse::<u32>().ok());
    ids.any(|id| (first..first + count).contains(&id))
}

/// Whether all `count` ids from `first` on stand in `map` (user_namespaces(7)).
fn is_known(map: &str, first: u32, count: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(inside)), Some(Ok(_)), Some(Ok(many))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        inside <= first.into() && u64::from(first) + u64::from(count) <= inside + many
    })
}

/// What `path` says; nothing when it is not there or no text.
fn text(path: impl AsRef<Path>) -> String {
    let mut text = String::with_capacity(8 << 10);
    let read = File::open(path).and_then(|f| f.take(LIST_LIMIT).read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(subuid: &str, passwd: &str) -> Given {
        Given {
            subuid: subuid.to_owned(),
            subgid: subuid.to_owned(),
            passwd: passwd.to_owned(),
            group: String::new(),
        }
    }

    #[test]
    fn what_the_administrator_names_for_root_is_taken() {
        let found = given("alice:100000:65536\nroot:300000:65536\n", "")
            .choose(7)
            .unwrap();
        assert_eq!(
            (found.uid, found.count, found.source),
            (300_000, COUNT, Source::Root)
        );
        // Of a long range each run has a part.
        let long = given("0:300000:262144\n", "");
        let parts: Vec<u32> = (0..5).map(|run| long.choose(run).unwrap().uid).collect();
        assert_eq!(parts, [300_000, 365_536, 431_072, 496_608, 300_000]);
        let short = given("root:300000:10\n", "").choose(7).unwrap();
        assert_eq!((short.uid, short.count), (300_000, 10));
        assert!(given("root:0:65536\n", "").choose(0).is_err());
    }

    #[test]
    fn what_is_somebodys_is_passed_over() {
        let first = DEFAULT.0;
        let chosen = |subuid: &str, passwd: &str| given(subuid, passwd).choose(0).unwrap();
        assert_eq!(chosen("", "root:x:0:0::/root:/bin/sh\n").uid, first);
        let user = format!("own:x:{}:1::/:/bin/sh\n", first + 5);
        assert_eq!(chosen("", &user).uid, first + COUNT);
        let range = format!("alice:{}:65536\n", first + COUNT / 2);
        assert_eq!(chosen(&range, "").uid, first + 2 * COUNT);
        assert_eq!(chosen("", "").source, Source::Free);
    }

    #[test]
    fn a_user_has_what_is_his_alone() {
        let lists = "root:300000:65536\nalice:100000:65536\n1002:400000:1\nnone:500000:0\n";
        let users =
            "root:x:0:0::/:/bin/sh\nalice:x:1001:1001::/:/bin/sh\nnone:x:1003:1003::/:/bin/sh\n";
        let given = given(lists, users);
        let own = |uid, run| given.choose_own(uid, run).map(|range| range.uid);
        // The upper half, each run another one.
        let ids: Vec<u32> = [0, 1, 32767, 32768]
            .map(|run| own(1001, run).unwrap())
            .into();
        assert_eq!(ids, [132_768, 132_769, 165_535, 132_768]);
        assert_eq!(given.choose_own(1001, 0).unwrap().count, 1);
        assert_eq!(own(1002, 7), Ok(400_000));
        for uid in [1003, 1004] {
            assert!(own(uid, 0).unwrap_err().contains("/etc/subuid"));
        }
        let other = Given {
            subgid: String::new(),
            ..given
        };
        assert!(other.choose_own(1001, 0).is_err());
    }

    #[test]
    fn a_range_must_be_known() {
        assert!(is_known("0 0 4294967295\n", DEFAULT.0, COUNT));
        assert!(!is_known("0 0 65536\n", DEFAULT.0, COUNT));
        assert!(is_known("0 1000 1\n1 100000 65536\n", 10, 100));
    }
}
