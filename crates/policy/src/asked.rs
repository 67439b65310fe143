//! A call as somebody writes it to ask about it: `socket(AF_INET, SOCK_STREAM, 0)`.

use portcullis_abi::{Arch, Sysno};

use crate::{Mistake, Place};

/// A call of which some arguments may be left open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The number.
    pub number: u32,
    /// The argument registers, where they are said.
    pub args: [Option<u64>; 6],
}

impl Asked {
    /// Reads `[ARCH:]NAME[(ARGUMENT, …)]`: a name or number of `arch`, or of the architecture that is
    /// named, and of each argument a number, names of constants joined by `|`, or `_` where it is
    /// left open; so are those behind the last one.
    ///
    /// ```
    /// use portcullis_abi::Arch;
    /// use portcullis_policy::Asked;
    ///
    /// let asked = Asked::read("socket(2, _, 0)", Arch::X86_64)?;
    /// assert_eq!((asked.number, asked.args[0], asked.args[1]), (41, Some(2), None));
    /// # Ok::<(), portcullis_policy::Mistake>(())
    /// ```
    pub fn read(text: &str, arch: Arch) -> Result<Asked, Mistake> {
        let (head, arguments) = match text.split_once('(') {
            None => (text, None),
            Some((head, rest)) => match rest.trim_end().strip_suffix(')') {
                Some(inner) => (head, Some((head.len() + 1, inner))),
                None => return Err(mistake(text, text.len(), text.len(), "`)` is missing")),
            },
        };
        let (arch, name) = match head.split_once(':') {
            None => (arch, head),
            Some((named, name)) => {
                let unknown = || mistake(text, 0, named.len(), "no such architecture");
                (Arch::from_name(named.trim()).ok_or_else(unknown)?, name)
            }
        };
        let from = head.len() - name.len();
        let number = arch
            .number(name.trim())
            .or_else(|| number(name.trim())?.try_into().ok().map(Sysno))
            .ok_or_else(|| {
                let message = format!("{arch} has no such call; write a name or a number");
                mistake(text, from, head.len(), &message)
            })?;
        let mut args = [None; 6];
        if let Some((mut at, inner)) = arguments.filter(|(_, inner)| !inner.trim().is_empty()) {
            for (index, part) in inner.split(',').enumerate() {
                let end = at + part.len();
                let Some(slot) = args.get_mut(index) else {
                    return Err(mistake(text, at, end, "a call has at most six arguments"));
                };
                if !matches!(part.trim(), "_" | "...") {
                    let value = value(arch, part).ok_or_else(|| {
                        let message = "write a number, names of constants joined by `|`, or `_`";
                        mistake(text, at, end, message)
                    })?;
                    *slot = Some(value);
                }
                at = end + 1;
            }
        }
        Ok(Asked {
            arch: arch.audit_arch(),
            number: number.0,
            args,
        })
    }
}

fn mistake(text: &str, start: usize, end: usize, message: &str) -> Mistake {
    let part = text.get(start..end).unwrap_or_default();
    let leading = part.len() - part.trim_start().len();
    let place = Place {
        start: start + leading,
        end: (start + part.trim_end().len()).max(start + leading),
    };
    Mistake::at(place, message)
}

/// Alternatives of names and numbers, all or-ed.
fn value(arch: Arch, text: &str) -> Option<u64> {
    let mut all = 0;
    for part in text.split('|') {
        let part = part.trim();
        all |= number(part).or_else(|| arch.constant(part))?;
    }
    Some(all)
}

/// Decimal, hexadecimal or octal as C writes them; a negative one as the register holds it.
pub(crate) fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    // The library's own readers take a sign as well.
    if digits.contains(['+', '-']) {
        return None;
    }
    let value = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => u64::from_str_radix(&digits[2..], 16).ok()?,
        [b'0', _, ..] => u64::from_str_radix(&digits[1..], 8).ok()?,
        [b'0'..=b'9', ..] => digits.parse().ok()?,
        _ => return None,
    };
    match negative {
        true if value > 1 << 63 => None,
        true => Some(value.wrapping_neg()),
        false => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_asked() {
        let read = |text| Asked::read(text, Arch::X86_64).expect(text);
        let all = read("aarch64:openat( -100 , 0x10, 010 ,_, ...)");
        assert_eq!((all.arch, all.number), (0xc000_00b7, 56));
        let minus = Some(-100i64 as u64);
        assert_eq!(all.args, [minus, Some(16), Some(8), None, None, None]);
        assert_eq!(read("getpid").args, [None; 6]);
        assert_eq!(read("getpid()").number, 39);
        assert_eq!(read("5000(1)").number, 5000);
        assert_eq!(
            read("socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC)").args[1],
            Some(0x80001)
        );
    }

    #[test]
    fn what_means_nothing_is_named() {
        for (text, start, end) in [
            ("sokcet(1)", 0, 6),
            ("vax:read", 0, 3),
            ("read(1", 6, 6),
            ("read( x )", 6, 7),
            ("read(1,2,3,4,5,6,7)", 17, 18),
            ("read(1,,)", 7, 7),
            ("read(99999999999999999999)", 5, 25),
        ] {
            let mistake = Asked::read(text, Arch::X86_64).expect_err(text);
            assert_eq!(
                mistake.place,
                Some(Place { start, end }),
                "{text}: {mistake}"
            );
        }
    }
}
