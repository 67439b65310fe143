//! The file system that a machine begins with, as `Documentation/driver-api/early-userspace/buffer-format.rst`
//! of the kernel describes it: the `newc` form of cpio, not compressed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// A regular file that everybody may read and execute.
const MODE: u32 = 0o100_755;
/// A directory that everybody may enter and list.
const DIRECTORY: u32 = 0o040_755;
const LAST: &str = "TRAILER!!!";

/// Files by their paths from the root directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Adds a file; one that has the name already is replaced.
    pub(crate) fn add(&mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(name.into(), content.into());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The content of a file.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The directories that the files are in, each after the one that it is in.
    fn directories(&self) -> BTreeSet<&str> {
        let of = |name: &'_ String| -> Vec<usize> {
            name.match_indices('/').map(|(at, _)| at).collect()
        };
        let all = self.0.keys();
        all.flat_map(|name| of(name).into_iter().map(|at| &name[..at]))
            .collect()
    }

    /// The archive.
    pub(crate) fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        let directories = self.directories().into_iter();
        let directories = directories.map(|name| (name, DIRECTORY, &[][..]));
        let all = self.iter().map(|(name, content)| (name, MODE, content));
        let all = directories.chain(all).chain([(LAST, 0, &[][..])]);
        for (at, (name, mode, content)) in all.enumerate() {
            let size =
                u32::try_from(content.len()).with_context(|| format!("{name} is too long"))?;
            let inode = u32::try_from(at + 1).context("too many files")?;
            let length = u32::try_from(name.len() + 1).context("a name is too long")?;
            let mut header = String::from("070701");
            // Inode, mode, owner, group, links, time, size, two devices of two parts, name, checksum.
            for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0] {
                write!(header, "{field:08x}")?;
            }
            archive.extend_from_slice(header.as_bytes());
            archive.extend_from_slice(name.as_bytes());
            archive.push(0);
            pad(&mut archive);
            archive.extend_from_slice(content);
            pad(&mut archive);
        }
        Ok(archive)
    }
}

/// Names and contents end at multiples of four bytes.
fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_header_a_name_and_its_content() {
        let mut files = Files::default();
        files.add("init", b"abc");
        let archive = files.archive().unwrap();
        let text = String::from_utf8(archive).unwrap();
        let (head, rest) = text.split_at(110);
        assert!(head.starts_with("07070100000001000081ed"));
        assert!(rest.starts_with(concat!("init\0\0abc\0", "070701")));
        assert!(text.trim_end_matches('\0').ends_with(LAST));
        assert_eq!(text.len() % 4, 0);
    }

    #[test]
    fn a_directory_comes_before_what_is_in_it() {
        let mut files = Files::default();
        files.add("a/b/c", b"");
        files.add("a-b", b"");
        assert_eq!(Vec::from_iter(files.directories()), ["a", "a/b"]);
        let text = String::from_utf8(files.archive().unwrap()).unwrap();
        let at = |name: &str| text.find(name).unwrap();
        assert!(at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/c\0"));
    }
}
