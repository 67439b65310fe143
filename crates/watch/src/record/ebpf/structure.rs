//! Where the running kernel has the fields of its structures, by its own type information (BTF: the kernel's
//! `bpf/btf.rst`).

use std::fs;

/// Where the kernel tells its types (Linux 5.4, `CONFIG_DEBUG_INFO_BTF`).
const PLACE: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// Structures in structures without a name that are looked into.
const DEEPEST: usize = 8;

/// Offsets of fields that programs read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offsets {
    /// `task_struct.pid`.
    pub(super) task: u32,
    /// `task_struct.thread_info.status`, on x86_64.
    pub(super) status: Option<u32>,
    /// `linux_binprm.file`, `linux_binprm.filename` and `linux_binprm.interp`.
    pub(super) binary: u32,
    pub(super) name: u32,
    pub(super) interpreter: u32,
    /// `file.f_inode`.
    pub(super) inode: u32,
    /// `inode.i_ino`, `inode.i_sb` and `super_block.s_dev`.
    pub(super) number: u32,
    pub(super) tree: u32,
    pub(super) device: u32,
    /// The time of the inode's last change: seconds, and nanoseconds of 32 bits.
    pub(super) seconds: u32,
    pub(super) nanoseconds: u32,
}

impl Offsets {
    /// Of the running kernel; `None` when it does not tell them.
    pub(super) fn of_kernel() -> Option<Offsets> {
        let bytes = fs::read(PLACE).ok()?;
        let asked = [
            "task_struct",
            "linux_binprm",
            "file",
            "inode",
            "super_block",
        ];
        let types = Types::read(&bytes, &asked)?;
        let field = |path: &[&str]| types.offset(path);
        // `i_ctime` has had other names since Linux 6.6, and has been two fields since 6.11.
        let time = |name| {
            let seconds = field(&["inode", name, "tv_sec"])?;
            Some((seconds, field(&["inode", name, "tv_nsec"])?))
        };
        let pair = || {
            let seconds = field(&["inode", "i_ctime_sec"])?;
            Some((seconds, field(&["inode", "i_ctime_nsec"])?))
        };
        let (seconds, nanoseconds) = pair()
            .or_else(|| time("__i_ctime"))
            .or_else(|| time("i_ctime"))?;
        Some(Offsets {
            task: field(&["task_struct", "pid"])?,
            status: match cfg!(target_arch = "x86_64") {
                true => Some(field(&["task_struct", "thread_info", "status"])?),
                false => None,
            },
            binary: field(&["linux_binprm", "file"])?,
            name: field(&["linux_binprm", "filename"])?,
            interpreter: field(&["linux_binprm", "interp"])?,
            inode: field(&["file", "f_inode"])?,
            number: field(&["inode", "i_ino"])?,
            tree: field(&["inode", "i_sb"])?,
            device: field(&["super_block", "s_dev"])?,
            seconds,
            nanoseconds,
        })
    }
}

/// Type information.
struct Types<'a> {
    /// Where each type begins in `types`; 0 is none.
    starts: Vec<u32>,
    /// Structures that are asked for, with their names.
    structures: Vec<(&'static str, u32)>,
    types: &'a [u8],
    texts: &'a [u8],
}

/// Kinds of types that are looked into, or through.
const STRUCTURE: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;

impl<'a> Types<'a> {
    fn read(bytes: &'a [u8], asked: &[&'static str]) -> Option<Types<'a>> {
        let header = |at| word(bytes, at);
        if bytes.get(..2)? != MAGIC.to_le_bytes() {
            return None;
        }
        let behind = header(4)? as usize;
        let part = |at: usize| {
            let start = behind.checked_add(header(at)? as usize)?;
            bytes.get(start..start.checked_add(header(at + 4)? as usize)?)
        };
        let (types, texts) = (part(8)?, part(16)?);
        // Most have three to eight words.
        let mut starts = Vec::with_capacity(types.len() / 20);
        starts.push(0);
        let mut structures = Vec::new();
        let mut at = 0;
        while at < types.len() {
            let (kind, count) = kind(types, at)?;
            if kind == STRUCTURE && count > 0 {
                let name = texts.get(word(types, at)? as usize..)?;
                let is_it = |asked: &&&str| {
                    let rest = name.strip_prefix(asked.as_bytes());
                    rest.is_some_and(|rest| rest.first() == Some(&0))
                };
                let id = starts.len() as u32;
                structures.extend(asked.iter().find(is_it).map(|name| (*name, id)));
            }
            starts.push(at as u32);
            // What stands behind the twelve bytes that each type has.
            let more = match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                STRUCTURE | UNION | 15 | 19 => 12 * count,
                6 | 13 => 8 * count,
                2 | 7..=12 | 16 | 18 => 0,
                _ => return None,
            };
            at += 12 + more;
        }
        Some(Types {
            starts,
            structures,
            types,
            texts,
        })
    }

    /// Where a field lies in a structure: by the structure's name, the field's, and those of fields within it.
    fn offset(&self, path: &[&str]) -> Option<u32> {
        let (first, fields) = path.split_first()?;
        // There may be several: files of the kernel have structures of their own.
        let mut named = self.structures.iter().filter(|(name, _)| name == first);
        let has_it = |(_, id): &&(&str, u32)| self.member(*id, fields[0], 0).is_some();
        let mut id = named.find(has_it)?.1;
        let mut bits = 0;
        for field in fields {
            let (offset, of) = self.member(self.itself(id), field, 0)?;
            bits += offset;
            id = of;
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// Offset, in bits, and type of a field, also one of a structure without a name.
    fn member(&self, id: u32, name: &str, deep: usize) -> Option<(u32, u32)> {
        let at = *self.starts.get(id as usize)? as usize;
        let (of, count) = kind(self.types, at)?;
        if ![STRUCTURE, UNION].contains(&of) || deep > DEEPEST {
            return None;
        }
        let has_sizes = word(self.types, at + 4)? >> 31 != 0;
        (0..count).find_map(|index| {
            let at = at + 12 + 12 * index;
            let (own, of) = (word(self.types, at)?, word(self.types, at + 4)?);
            let told = word(self.types, at + 8)?;
            let offset = if has_sizes { told & 0xff_ffff } else { told };
            if text(self.texts, own)? == name.as_bytes() {
                return Some((offset, of));
            }
            if own != 0 {
                return None;
            }
            let (inner, of) = self.member(self.itself(of), name, deep + 1)?;
            Some((offset + inner, of))
        })
    }

    /// The type behind names and qualifiers.
    fn itself(&self, mut id: u32) -> u32 {
        for _ in 0..DEEPEST {
            let start = self.starts.get(id as usize).map(|at| *at as usize);
            let kind = start.and_then(|at| kind(self.types, at));
            match (start, kind) {
                (Some(at), Some((TYPEDEF | VOLATILE | CONST, _))) => {
                    id = word(self.types, at + 8).unwrap_or(0);
                }
                _ => break,
            }
        }
        id
    }
}

/// The text that begins at `at`.
fn text(texts: &[u8], at: u32) -> Option<&[u8]> {
    let rest = texts.get(at as usize..)?;
    rest.split(|byte| *byte == 0).next()
}

/// The kind of the type at `at`, and how many parts it has.
fn kind(types: &[u8], at: usize) -> Option<(u32, usize)> {
    let info = word(types, at + 4)?;
    Some((info >> 24 & 0x1f, (info & 0xffff) as usize))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct a { int; struct { b x; }; }` with `typedef struct { c } b`, and the texts.
    fn bytes() -> Vec<u8> {
        let texts = b"\0a\0x\0c\0b\0int\0";
        let types: [&[u32]; 5] = [
            &[9, 1 << 24, 4, 32],
            &[0, 4 << 24 | 2, 8, 0, 1, 0, 5, 1, 32],
            &[7, 8 << 24, 2],
            &[0, 5 << 24 | 1, 8, 3, 3, 0],
            &[1, 1 << 31 | 4 << 24 | 2, 16, 0, 4, 64, 7, 1, 3 << 24 | 1],
        ];
        let types: Vec<u8> = types
            .concat()
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let mut all = vec![0x9f, 0xeb, 1, 0];
        let header = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            texts.len() as u32,
        ];
        all.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        all.extend(types);
        all.extend(texts);
        all
    }

    #[test]
    fn fields_are_found_also_in_structures_without_a_name() {
        let bytes = bytes();
        let types = Types::read(&bytes, &["a"]).unwrap();
        assert_eq!(types.offset(&["a", "x"]), Some(8));
        assert_eq!(types.offset(&["a", "x", "c"]), Some(12));
        assert_eq!(types.offset(&["a", "y"]), None);
        // Not at a whole byte.
        assert_eq!(types.offset(&["a", "b"]), None);
    }

    #[test]
    fn no_bytes_end_the_reader() {
        let whole = bytes();
        for end in 0..whole.len() {
            Types::read(&whole[..end], &["a"]);
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x1f, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                if let Some(types) = Types::read(&changed, &["a"]) {
                    types.offset(&["a", "x", "c"]);
                }
            }
        }
    }
}
