//! What the arguments of a call lead to: text, addresses of sockets, descriptors, small structures. Read for
//! the report and for nothing else.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use portcullis_abi::{Arch, ArgKind, Argument, Sysno};

use crate::decide::Call;
use crate::memory::Memory;
use crate::record;

/// `PATH_MAX` of `linux/limits.h`.
const LONGEST_PATH: usize = 4096;
/// Of another text what is shown.
const LONGEST_TEXT: usize = 256;

/// What one argument leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// A path.
    Path(Vec<u8>),
    /// Another text.
    Text(Vec<u8>),
    /// The address of a socket, as text: of the program, but for a path in it (`unix:PATH`).
    Address(Vec<u8>),
    /// What a descriptor is, as `/proc/PID/fd` names it.
    Descriptor(Vec<u8>),
    /// Fields of a structure with their values.
    Structure(Vec<(&'static str, String)>),
}

/// A field of 64 bits, and the call and the argument whose constants are its.
type Field = (&'static str, Option<(&'static str, u8)>);

/// A structure that says what a call does: the call, the argument, and its first fields.
type Layout = (&'static str, u8, &'static [Field]);

/// `linux/openat2.h` and `linux/sched.h`.
const STRUCTURES: &[Layout] = &[
    (
        "openat2",
        2,
        &[
            ("flags", Some(("openat", 2))),
            ("mode", None),
            ("resolve", None),
        ],
    ),
    ("clone3", 0, &[("flags", Some(("clone", 0)))]),
];

/// What the arguments of a call of the task `tid` lead to, by argument.
pub(crate) fn shown(tid: i32, call: &Call) -> Vec<(u8, Shown)> {
    let number = Sysno(call.number);
    let known = Arch::NATIVE
        .name(number)
        .zip(Arch::NATIVE.arguments(number));
    let (Some((name, arguments)), false) = (known, call.is_foreign()) else {
        return Vec::new();
    };
    let memory = Memory::open(tid).ok();
    let places = (0u8..).zip(arguments);
    let one = |(index, argument): (u8, &Argument)| {
        let value = *call.args.get(usize::from(index))?;
        let text = |longest| memory.as_ref()?.string(value, longest);
        let shown = match argument.kind {
            ArgKind::Path => Shown::Path(text(LONGEST_PATH)?),
            ArgKind::Text => Shown::Text(text(LONGEST_TEXT)?),
            ArgKind::Fd => Shown::Descriptor(descriptor(tid, value)?),
            ArgKind::Struct | ArgKind::Pointer => structure(memory.as_ref()?, name, index, value)?,
            _ => return None,
        };
        Some((index, shown))
    };
    let mut all: Vec<(u8, Shown)> = places.filter_map(one).collect();
    for observed in record::observed(tid, call) {
        if let record::What::Address(text) = observed.what {
            all.push((observed.index, Shown::Address(text)));
        }
    }
    all.sort_by_key(|(index, _)| *index);
    all.dedup_by_key(|(index, _)| *index);
    all
}

/// What a descriptor of the process of `tid` is.
fn descriptor(tid: i32, value: u64) -> Option<Vec<u8>> {
    let number = u32::try_from(value & 0xffff_ffff)
        .ok()
        .filter(|n| *n <= i32::MAX as u32)?;
    let path = fs::read_link(format!("/proc/{tid}/fd/{number}")).ok()?;
    Some(path.into_os_string().into_vec())
}

fn structure(memory: &Memory, call: &str, index: u8, at: u64) -> Option<Shown> {
    let layout = STRUCTURES
        .iter()
        .find(|(name, place, _)| (*name, *place) == (call, index))?;
    let fields = layout.2.iter().zip(0u64..);
    let field = |(&(name, constants), place): (&Field, u64)| {
        let value = memory.word(at.checked_add(place * 8)?)?;
        let symbol = constants.and_then(|(call, index)| Arch::NATIVE.symbol(call, index, value));
        Some((name, symbol.unwrap_or_else(|| format!("{value:#x}"))))
    };
    Some(Shown::Structure(fields.map(field).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(name: &str, args: [u64; 6]) -> Vec<(u8, Shown)> {
        let call = Call {
            arch: Arch::NATIVE.audit_arch(),
            number: Arch::NATIVE.number(name).unwrap().0,
            ip: 0,
            args,
        };
        shown(std::process::id().cast_signed(), &call)
    }

    #[test]
    fn what_arguments_lead_to_is_read_and_bad_pointers_are_nothing() {
        let path = c"/etc/hostname";
        let at_cwd = u64::from((-100i32).cast_unsigned());
        let told = shown_of("openat", [at_cwd, path.as_ptr() as u64, 0, 0, 0, 0]);
        assert_eq!(told, [(1, Shown::Path(b"/etc/hostname".to_vec()))]);
        assert!(shown_of("openat", [at_cwd, 8, 0, 0, 0, 0]).is_empty());
    }

    #[test]
    fn a_descriptor_is_named() {
        use std::os::fd::AsRawFd as _;
        let file = fs::File::open("/dev/null").unwrap();
        let fd = u64::from(file.as_raw_fd().cast_unsigned());
        let told = shown_of("fchdir", [fd, 0, 0, 0, 0, 0]);
        assert_eq!(told, [(0, Shown::Descriptor(b"/dev/null".to_vec()))]);
    }

    #[test]
    fn the_fields_that_say_what_a_call_does_are_told() {
        let how = [0x8_0000u64, 0, 8];
        let told = shown_of(
            "openat2",
            [
                u64::MAX,
                c"x".as_ptr() as u64,
                how.as_ptr() as u64,
                24,
                0,
                0,
            ],
        );
        let fields = vec![
            ("flags", "O_RDONLY|O_CLOEXEC".to_owned()),
            ("mode", "0x0".to_owned()),
            ("resolve", "0x8".to_owned()),
        ];
        assert_eq!(told[1], (2, Shown::Structure(fields)));
    }
}
