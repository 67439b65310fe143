//! One record: its type and its fields. The kernel writes it, and puts text of programs into quotes or, where that
//! would not be plain, into hexadecimal digits (`audit_log_untrustedstring`).

/// Types of `linux/audit.h`.
const SYSCALL: u16 = 1300;
const SECCOMP: u16 = 1326;
const LANDLOCK_ACCESS: u16 = 1423;
const LANDLOCK_DOMAIN: u16 = 1424;
const USER: u16 = 1005;

/// Fields of one record that are looked at; the longest has about thirty.
const FIELDS: usize = 64;

/// A record that can be about a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Record<'a> {
    /// Landlock's domain denied something.
    Access {
        event: u64,
        domain: u64,
        /// What was asked for: `fs.write_file,fs.truncate`.
        blockers: &'a str,
        /// What it was asked of.
        object: Fields<'a>,
    },
    /// A domain that denied something for the first time, and the process that made it.
    Domain { domain: u64, maker: i32 },
    /// The call of an event.
    Call { event: u64, fields: Fields<'a> },
    /// A filter acted on a call.
    Filtered { fields: Fields<'a> },
}

impl<'a> Record<'a> {
    /// The record of this type and text; `None` for one of another kind.
    pub(super) fn read(kind: u16, text: &'a [u8]) -> Option<Record<'a>> {
        if ![SYSCALL, SECCOMP, LANDLOCK_ACCESS, LANDLOCK_DOMAIN].contains(&kind) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
        // audit(1364481363.243:24287): …
        let (stamp, text) = text.strip_prefix("audit(")?.split_once("): ")?;
        let event = stamp.split_once(':')?.1.parse().ok()?;
        let fields = Fields(text);
        let domain = || u64::from_str_radix(fields.get("domain")?, 16).ok();
        Some(match kind {
            SYSCALL => Record::Call { event, fields },
            SECCOMP => Record::Filtered { fields },
            LANDLOCK_DOMAIN => {
                if fields.get("status") != Some("allocated") {
                    return None;
                }
                Record::Domain {
                    domain: domain()?,
                    maker: fields.number("pid")?,
                }
            }
            _ => Record::Access {
                event,
                domain: domain()?,
                blockers: fields.get("blockers")?,
                object: fields,
            },
        })
    }
}

/// Whether a record is the one that was written with the text `mark`.
pub(super) fn is_mark(kind: u16, text: &[u8], mark: &str) -> bool {
    let has = |text: &str| text.contains(&format!("msg='{mark}'"));
    kind == USER && std::str::from_utf8(text).is_ok_and(has)
}

/// `NAME=VALUE`, separated by blanks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// In their order.
    pub(super) fn all(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let words = self.0.split(' ').take(FIELDS);
        words.filter_map(|word| word.split_once('='))
    }

    /// The first of that name.
    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        self.all()
            .find_map(|(n, value)| (n == name).then_some(value))
    }

    /// A decimal number.
    pub(super) fn number<N: std::str::FromStr>(self, name: &str) -> Option<N> {
        self.get(name)?.parse().ok()
    }

    /// A hexadecimal one, with `0x` before it or not.
    pub(super) fn hex(self, name: &str) -> Option<u64> {
        let text = self.get(name)?;
        u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    }

    /// Text of a program.
    pub(super) fn text(self, name: &str) -> Option<Vec<u8>> {
        self.get(name).and_then(plain)
    }
}

/// What a value says that the kernel wrote as text of somebody else; `None` for "(null)" and what is no such text.
pub(super) fn plain(value: &str) -> Option<Vec<u8>> {
    if let Some(quoted) = value.strip_prefix('"') {
        return Some(quoted.strip_suffix('"')?.as_bytes().to_vec());
    }
    let digits = value.as_bytes().chunks(2);
    let byte = |two: &[u8]| match two {
        [_, _] => u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok(),
        _ => None,
    };
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_has_domain_and_object() {
        let text = br#"audit(1764189000.123:77): domain=195ba459b blockers=fs.make_reg,fs.refer path="/usr/local" dev="vda2" ino=365"#;
        let record = Record::read(LANDLOCK_ACCESS, text);
        let Some(Record::Access {
            event,
            domain,
            blockers,
            object,
        }) = record
        else {
            panic!("{record:?}");
        };
        assert_eq!((event, domain), (77, 0x1_95ba_459b));
        assert_eq!(blockers, "fs.make_reg,fs.refer");
        assert_eq!(object.text("path").unwrap(), b"/usr/local");
        assert_eq!(object.number("ino"), Some(365));
    }

    #[test]
    fn a_domain_is_its_makers_and_only_a_new_one_counts() {
        let text = br#"audit(1.0:9): domain=1f status=allocated mode=enforcing pid=300 uid=0 exe="/x" comm="x""#;
        let known = Record::Domain {
            domain: 0x1f,
            maker: 300,
        };
        assert_eq!(Record::read(LANDLOCK_DOMAIN, text), Some(known));
        let text = b"audit(1.0:9): domain=1f status=deallocated denials=3";
        assert_eq!(Record::read(LANDLOCK_DOMAIN, text), None);
    }

    #[test]
    fn text_of_programs_is_read_back() {
        assert_eq!(plain("\"a b\"").unwrap(), b"a b");
        assert_eq!(plain("2F7461622E0A").unwrap(), b"/tab.\n");
        assert_eq!(plain("(null)"), None);
        assert_eq!(plain("2F7"), None);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in [
            &b""[..],
            b"audit(",
            b"audit(1:2)",
            b"\xff",
            b"audit(a:b): domain=1",
        ] {
            assert_eq!(Record::read(LANDLOCK_ACCESS, text), None);
        }
        assert_eq!(Record::read(1, b"audit(1.0:2): a=b"), None);
    }

    #[test]
    fn only_the_own_mark_is_one() {
        let text = b"audit(1.0:5): pid=1 uid=0 auid=0 ses=1 msg='portcullis: a run ended, 1/0'";
        assert!(is_mark(USER, text, "portcullis: a run ended, 1/0"));
        assert!(!is_mark(USER, text, "portcullis: a run ended, 1/1"));
        assert!(!is_mark(SYSCALL, text, "portcullis: a run ended, 1/0"));
    }
}
