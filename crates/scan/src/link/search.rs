//! Where a loader looks for a library, in its order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use portcullis_abi::Arch;

use super::LinkRequest;
use super::closure::Member;
use crate::load::Outline;

/// Which loader's rules hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Flavour {
    /// ld.so(8).
    #[default]
    Glibc,
    /// musl's ldso/dynlink.c.
    Musl,
}

/// What the loader knows beside the objects.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) flavour: Flavour,
    /// `AT_PLATFORM`, which stands for `$PLATFORM`.
    platform: &'static [u8],
    /// Directories that are always looked into.
    pub(super) system: Vec<PathBuf>,
    /// `/etc/ld.so.cache`: name to path.
    pub(super) cache: HashMap<Vec<u8>, PathBuf>,
}

/// More directories than any search path has; each costs an open for each library.
const MOST_DIRECTORIES: usize = 256;

impl Search {
    /// The rules of the loader at `path`.
    pub(super) fn of(path: &Path, outline: &Outline) -> Search {
        // `ELF_PLATFORM`, arch/x86/include/asm/elf.h and arch/arm64/include/asm/elf.h.
        let platform: &[u8] = match outline.arch() {
            Arch::Aarch64 => b"aarch64",
            _ => b"x86_64",
        };
        let name = path.file_name().unwrap_or_default().as_bytes();
        if name.starts_with(b"ld-musl-") {
            return Search {
                flavour: Flavour::Musl,
                platform,
                system: musl_path(b"/lib:/usr/local/lib:/usr/lib"),
                cache: HashMap::new(),
            };
        }
        let mut system = built_in_directories(outline);
        if system.is_empty() {
            system = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]
                .map(PathBuf::from)
                .into();
        }
        Search {
            flavour: Flavour::Glibc,
            platform,
            system,
            cache: HashMap::new(),
        }
    }

    /// Whether `name` always stands for the loader itself: musl's is the whole C library.
    pub(super) fn is_loader(&self, name: &[u8]) -> bool {
        // `load_library`, ldso/dynlink.c.
        const RESERVED: [&[u8]; 7] = [
            b"c.",
            b"pthread.",
            b"rt.",
            b"m.",
            b"dl.",
            b"util.",
            b"xnet.",
        ];
        let Some(rest) = name.strip_prefix(b"lib") else {
            return false;
        };
        self.flavour == Flavour::Musl && RESERVED.iter().any(|r| rest.starts_with(r))
    }

    /// Every path that is tried for `name` on behalf of `members[by]`.
    pub(super) fn candidates(
        &self,
        members: &[(Member, Outline)],
        by: usize,
        name: &[u8],
        request: &LinkRequest,
        levels: &[String],
    ) -> Vec<PathBuf> {
        if name.contains(&b'/') {
            let path = self.expand(name, &members[by].0.origin);
            return vec![path];
        }
        let name = OsStr::from_bytes(name);
        let environment = request.ld_library_path.as_deref().map(OsStr::as_bytes);
        let mut all = Vec::new();
        match self.flavour {
            Flavour::Glibc => {
                let mut directories = self.inherited(members, by);
                let origin = &members[0].0.origin;
                directories.extend(self.directories(environment.unwrap_or(b""), b":;", origin));
                let (member, outline) = &members[by];
                let dynamic = outline.dynamic.as_ref();
                let runpath = dynamic.and_then(|d| d.runpath.as_deref()).unwrap_or(b"");
                directories.extend(self.directories(runpath, b":", &member.origin));
                let expand = |all: &mut Vec<PathBuf>, directories: &[PathBuf]| {
                    for directory in directories.iter().take(MOST_DIRECTORIES) {
                        for level in levels {
                            let level = directory.join("glibc-hwcaps").join(level);
                            all.push(level.join(name));
                        }
                        all.push(directory.join(name));
                    }
                };
                expand(&mut all, &directories);
                let no_default = dynamic.is_some_and(|d| d.no_default_libraries);
                let cached = self.cache.get(name.as_bytes());
                let default = |p: &&PathBuf| self.system.iter().any(|s| p.starts_with(s));
                all.extend(cached.filter(|p| !no_default || !default(p)).cloned());
                if !no_default {
                    expand(&mut all, &self.system);
                }
            }
            Flavour::Musl => {
                let origin = &members[0].0.origin;
                let mut directories = self.directories(environment.unwrap_or(b""), b":\n", origin);
                let mut at = Some(by);
                while let Some(id) = at {
                    let (member, outline) = &members[id];
                    let dynamic = outline.dynamic.as_ref();
                    let path = dynamic.and_then(|d| d.runpath.as_deref().or(d.rpath.as_deref()));
                    directories.extend(self.directories(
                        path.unwrap_or(b""),
                        b":\n",
                        &member.origin,
                    ));
                    at = member.loader;
                }
                directories.extend(self.system.iter().cloned());
                directories.truncate(MOST_DIRECTORIES);
                all.extend(directories.iter().map(|d| d.join(name)));
            }
        }
        all
    }

    /// `DT_RPATH` of the object, of those that led to it, and of the program; unless the object
    /// has a `DT_RUNPATH` (`_dl_map_object`, elf/dl-load.c).
    fn inherited(&self, members: &[(Member, Outline)], by: usize) -> Vec<PathBuf> {
        let dynamic = |id: usize| members[id].1.dynamic.as_ref();
        let mut directories = Vec::new();
        if dynamic(by).is_some_and(|d| d.runpath.is_some()) {
            return directories;
        }
        let mut chain = vec![by];
        while let Some(id) = chain.last().and_then(|&id| members[id].0.loader) {
            chain.push(id);
        }
        if !chain.contains(&0) {
            chain.push(0);
        }
        for id in chain {
            let path = dynamic(id).filter(|d| d.runpath.is_none());
            let path = path.and_then(|d| d.rpath.as_deref()).unwrap_or(b"");
            directories.extend(self.directories(path, b":", &members[id].0.origin));
        }
        directories
    }

    fn directories(&self, list: &[u8], separators: &[u8], origin: &Path) -> Vec<PathBuf> {
        if list.is_empty() {
            return Vec::new();
        }
        let parts = list
            .split(|b| separators.contains(b))
            .take(MOST_DIRECTORIES);
        let one = |part: &[u8]| match part {
            // An empty part is the working directory.
            b"" => PathBuf::from("."),
            part => self.expand(part, origin),
        };
        parts.map(one).collect()
    }

    /// Replaces `$ORIGIN`, `$LIB` and `$PLATFORM`, with or without braces.
    fn expand(&self, text: &[u8], origin: &Path) -> PathBuf {
        let library = self
            .system
            .first()
            .map_or(Path::new("lib"), |d| d.strip_prefix("/").unwrap_or(d));
        let tokens: [(&[u8], &[u8]); 3] = [
            (b"ORIGIN", origin.as_os_str().as_bytes()),
            (b"LIB", library.as_os_str().as_bytes()),
            (b"PLATFORM", self.platform),
        ];
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            let token = tokens.iter().find_map(|(name, value)| {
                let bare = after.strip_prefix(*name).filter(|r| {
                    !r.first()
                        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                });
                let braced = || {
                    after
                        .strip_prefix(b"{")?
                        .strip_prefix(*name)?
                        .strip_prefix(b"}")
                };
                Some((bare.or_else(braced)?, value))
            });
            match token.filter(|_| first == b'$') {
                Some((after, value)) => {
                    out.extend_from_slice(value);
                    rest = after;
                }
                None => {
                    out.push(first);
                    rest = after;
                }
            }
        }
        PathBuf::from(OsStr::from_bytes(&out))
    }
}

/// The directories that are compiled into glibc's loader: strings one after the other, each with
/// a slash at both ends, one of them below `/usr` (`system_dirs`, elf/dl-load.c).
fn built_in_directories(outline: &Outline) -> Vec<PathBuf> {
    let memory = outline.memory();
    let mut best = Vec::new();
    for segment in memory.segments.iter().filter(|s| !s.writable) {
        let bytes = memory.from(segment.address).unwrap_or(&[]);
        let mut run: Vec<PathBuf> = Vec::new();
        for part in bytes.split(|&b| b == 0) {
            let directory = part.len() > 2
                && part.starts_with(b"/")
                && part.ends_with(b"/")
                && part
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(b));
            if directory {
                let bare = &part[..part.len() - 1];
                run.push(PathBuf::from(OsStr::from_bytes(bare)));
                continue;
            }
            if run.len() > best.len().max(1) && run.iter().any(|d| d.starts_with("/usr")) {
                best = std::mem::take(&mut run);
            }
            run.clear();
        }
    }
    best
}

/// `/etc/ld-musl-ARCH.path` for `/lib/ld-musl-ARCH.so.1`, beside its own prefix.
pub(super) fn musl_path_file(loader: &Path) -> Option<PathBuf> {
    let name = loader.file_name()?.to_str()?;
    let architecture = name.strip_prefix("ld-musl-")?.split('.').next()?;
    let prefix = loader.parent()?.parent()?;
    Some(
        prefix
            .join("etc")
            .join(format!("ld-musl-{architecture}.path")),
    )
}

/// Directories of musl's path file: separated by colons or new lines.
pub(super) fn musl_path(text: &[u8]) -> Vec<PathBuf> {
    let parts = text.split(|b| b":\n".contains(b)).filter(|p| !p.is_empty());
    let paths = parts
        .take(MOST_DIRECTORIES)
        .map(|p| PathBuf::from(OsStr::from_bytes(p)));
    paths.collect()
}

/// The subdirectories of `glibc-hwcaps` that this machine's processor can use, best first (the
/// psABI's microarchitecture levels).
pub fn hardware_levels() -> Vec<String> {
    let usable = known_levels().into_iter().filter(|(_, there)| *there);
    usable.map(|(level, _)| level.to_owned()).collect()
}

#[cfg(target_arch = "x86_64")]
fn known_levels() -> [(&'static str, bool); 3] {
    use std::arch::is_x86_feature_detected as has;
    let v2 = has!("cmpxchg16b")
        && has!("popcnt")
        && has!("sse3")
        && has!("ssse3")
        && has!("sse4.1")
        && has!("sse4.2");
    let v3 = v2
        && has!("avx")
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt")
        && has!("movbe");
    let v4 = v3
        && has!("avx512f")
        && has!("avx512bw")
        && has!("avx512cd")
        && has!("avx512dq")
        && has!("avx512vl");
    [("x86-64-v4", v4), ("x86-64-v3", v3), ("x86-64-v2", v2)]
}

/// glibc has levels for few architectures (`sysdeps/*/dl-hwcaps-subdirs.c`), aarch64 is none of them.
#[cfg(not(target_arch = "x86_64"))]
fn known_levels() -> [(&'static str, bool); 0] {
    []
}
