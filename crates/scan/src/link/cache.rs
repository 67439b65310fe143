//! `/etc/ld.so.cache`, the format of glibc 2.32 and later (sysdeps/generic/dl-cache.h).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use portcullis_abi::Arch;

use crate::load::{text, word32, word64};

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// The header of the format before, which may stand in front for older loaders.
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
/// The entry's hwcap field is an index into the table of subdirectory names.
const BY_NAME: u64 = 1 << 62;
/// Magic of the extensions, and the tag of that table.
const EXTENSIONS: u32 = 0xeaa4_2174;
const LEVELS: u32 = 1;

/// Names and their paths; of several, the one for the best of `levels`.
pub(super) fn read(file: &[u8], arch: Arch, levels: &[String]) -> HashMap<Vec<u8>, PathBuf> {
    entries(file, arch, levels).unwrap_or_default()
}

/// `FLAG_ELF_LIBC6`, with `FLAG_X8664_LIB64` or `FLAG_AARCH64_LIB64` (sysdeps/generic/ldconfig.h).
fn flags(arch: Arch) -> u32 {
    match arch {
        Arch::Aarch64 => 0x0a03,
        _ => 0x0303,
    }
}

fn entries(file: &[u8], arch: Arch, levels: &[String]) -> Option<HashMap<Vec<u8>, PathBuf>> {
    let wanted = flags(arch);
    let file = &file[start(file)?..];
    let count = word32(file, 20)? as usize;
    let names = subdirectories(file).unwrap_or_default();
    // Lower is better; entries that are for no level come last.
    let rank = |hwcap: u64| -> Option<usize> {
        if hwcap == 0 {
            return Some(levels.len());
        }
        if hwcap & BY_NAME == 0 {
            return None;
        }
        let name = names.get((hwcap & 0xffff_ffff) as usize)?;
        levels.iter().position(|l| l.as_bytes() == *name)
    };
    let mut best: HashMap<&[u8], (usize, &[u8])> = HashMap::new();
    let table = file.get(48..)?;
    for entry in table.chunks_exact(24).take(count) {
        let (flags, hwcap) = (word32(entry, 0)?, word64(entry, 16)?);
        let Some(rank) = rank(hwcap).filter(|_| flags == wanted) else {
            continue;
        };
        let (Some(name), Some(path)) = (
            text(file, word32(entry, 4)? as usize),
            text(file, word32(entry, 8)? as usize),
        ) else {
            continue;
        };
        let held = best.entry(name).or_insert((rank, path));
        if rank < held.0 {
            *held = (rank, path);
        }
    }
    let owned = best.into_iter().map(|(name, (_, path))| {
        let path = &path[..path.len().min(4096)];
        (name.to_vec(), PathBuf::from(OsStr::from_bytes(path)))
    });
    Some(owned.collect())
}

/// Where the format begins.
fn start(file: &[u8]) -> Option<usize> {
    if file.starts_with(MAGIC) {
        return Some(0);
    }
    if !file.starts_with(OLD_MAGIC) {
        return None;
    }
    let count = word32(file, 12)? as usize;
    let end = count
        .checked_mul(12)?
        .checked_add(16)?
        .checked_next_multiple_of(8)?;
    file.get(end..)?.starts_with(MAGIC).then_some(end)
}

/// Names of `glibc-hwcaps` subdirectories, by index.
fn subdirectories(file: &[u8]) -> Option<Vec<&[u8]>> {
    let at = word32(file, 32)? as usize;
    if at == 0 || word32(file, at)? != EXTENSIONS {
        return None;
    }
    let count = word32(file, at.checked_add(4)?)? as usize;
    let sections = file.get(at.checked_add(8)?..)?.chunks_exact(16).take(count);
    for section in sections {
        if word32(section, 0)? != LEVELS {
            continue;
        }
        let (offset, size) = (word32(section, 8)? as usize, word32(section, 12)? as usize);
        let table = file.get(offset..offset.checked_add(size)?)?;
        let names = table
            .chunks_exact(4)
            .map(|n| text(file, word32(n, 0)? as usize));
        return names.collect();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of `(name, path, hwcap)`, its strings first, with two subdirectories.
    fn cache(entries: &[(&str, &str, u64)], before: usize) -> Vec<u8> {
        let mut strings = Vec::new();
        let base = 48 + entries.len() * 24;
        let mut string = |text: &str| {
            let at = base + strings.len();
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            (at as u32).to_le_bytes()
        };
        let mut table = Vec::new();
        for (name, path, hwcap) in entries {
            table.extend(flags(Arch::X86_64).to_le_bytes());
            table.extend(string(name));
            table.extend(string(path));
            table.extend(0u32.to_le_bytes());
            table.extend(hwcap.to_le_bytes());
        }
        let names = [string("x86-64-v2"), string("x86-64-v3")].concat();
        strings.resize(strings.len().next_multiple_of(8), 0);
        let extensions = base + strings.len();
        let mut file = MAGIC.to_vec();
        file.extend((entries.len() as u32).to_le_bytes());
        file.extend((strings.len() as u32).to_le_bytes());
        file.extend([2, 0, 0, 0]);
        file.extend((extensions as u32).to_le_bytes());
        file.extend([0; 12]);
        file.extend(table);
        file.extend(strings);
        for word in [EXTENSIONS, 1, LEVELS, 0, extensions as u32 + 24, 8] {
            file.extend(word.to_le_bytes());
        }
        file.extend(names);
        let mut whole = Vec::new();
        if before > 0 {
            whole.extend(OLD_MAGIC);
            whole.push(0);
            whole.extend((before as u32).to_le_bytes());
            whole.resize((16 + before * 12).next_multiple_of(8), 0xff);
        }
        whole.extend(file);
        whole
    }

    fn path(file: &[u8], levels: &[&str]) -> String {
        let levels: Vec<String> = levels.iter().map(ToString::to_string).collect();
        read(file, Arch::X86_64, &levels)[b"a.so".as_slice()]
            .display()
            .to_string()
    }

    const ENTRIES: [(&str, &str, u64); 4] = [
        ("a.so", "/hw/v2/a.so", BY_NAME),
        ("a.so", "/hw/v3/a.so", BY_NAME | 1),
        ("a.so", "/legacy/a.so", 1 << 3),
        ("a.so", "/plain/a.so", 0),
    ];

    #[test]
    fn the_best_level_that_the_processor_has_wins() {
        let file = cache(&ENTRIES, 0);
        assert_eq!(path(&file, &[]), "/plain/a.so");
        assert_eq!(path(&file, &["x86-64-v2"]), "/hw/v2/a.so");
        assert_eq!(path(&file, &["x86-64-v3", "x86-64-v2"]), "/hw/v3/a.so");
    }

    #[test]
    fn an_older_format_may_stand_in_front() {
        assert_eq!(path(&cache(&ENTRIES, 5), &["x86-64-v2"]), "/hw/v2/a.so");
    }

    #[test]
    fn entries_of_other_machines_are_passed_over() {
        let mut file = cache(&ENTRIES[3..], 0);
        file[48..52].copy_from_slice(&flags(Arch::Aarch64).to_le_bytes());
        assert!(read(&file, Arch::X86_64, &[]).is_empty());
        assert_eq!(read(&file, Arch::Aarch64, &[]).len(), 1);
    }
}
