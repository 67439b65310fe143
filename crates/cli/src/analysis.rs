//! A scan, from the cache when everything that it looked at is unchanged.

mod confined;
mod memory;

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::{Arch, SyscallSet};
use portcullis_scan::assume::Assumptions;
use portcullis_scan::files::{FileData, Files, FilesError, HostFiles};
use portcullis_scan::link::{MOST_SCRIPTS, NSSWITCH, hardware_levels, interpreter};
use portcullis_scan::{LinkRequest, Stats};
use sha2::{Digest as _, Sha256};

use crate::args::{ClosureArgs, RootArgs};
use crate::cache::codec;
use crate::cache::memo::{Holds, Memo, Recorder};
use crate::cache::store::{Key, Kind, Store};
use crate::exit::Exit;
use crate::output::say;
use crate::text::scan::Timing;
use crate::{header, neutral};

use memory::LastWord;

pub(crate) use confined::{VERB, child};

/// What is to be analysed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    program: PathBuf,
    files: HostFiles,
    request: LinkRequest,
    assumptions: Assumptions,
    /// Functions of which it is asked what can be done once they are entered.
    from: Vec<String>,
    cache: bool,
    /// Files of others are analysed in this process too.
    unconfined: bool,
    /// Bytes that the analysis may take, when it was said.
    most: Option<u64>,
    /// What this process ends with when it takes more.
    failure: Exit,
}

/// The result.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) set: SyscallSet,
    pub(crate) timing: Timing,
}

impl Wanted {
    /// The analysis of the file at `program` with `plugins`, and with the loader's variables of this
    /// environment.
    pub(crate) fn of_file<'a>(
        program: &Path,
        closure: &ClosureArgs,
        plugins: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Wanted> {
        Ok(Wanted {
            program: absolute(program)?,
            files: HostFiles::default(),
            request: LinkRequest {
                plugins: plugins
                    .into_iter()
                    .map(|p| absolute(p))
                    .collect::<Result<_>>()?,
                nsswitch: Some(match &closure.nsswitch {
                    Some(file) => absolute(file)?,
                    None => NSSWITCH.into(),
                }),
                ld_library_path: std::env::var_os("LD_LIBRARY_PATH"),
                ld_preload: std::env::var_os("LD_PRELOAD"),
                ld_audit: std::env::var_os("LD_AUDIT"),
                hardware_levels: hardware_levels(),
                ..LinkRequest::default()
            },
            assumptions: assumptions(closure)?,
            from: Vec::new(),
            cache: !closure.no_cache,
            unconfined: closure.unconfined,
            most: closure.analysis_memory,
            failure: Exit::Failure,
        })
    }

    /// The same of the file at `program` below `root`, where nothing of this machine counts: neither
    /// its loader's variables nor, because it remembers files of this machine, the cache.
    pub(crate) fn below(root: &Path, program: &Path, closure: &ClosureArgs) -> Result<Wanted> {
        let inside = |path: &Path| Path::new("/").join(path);
        Ok(Wanted {
            program: inside(program),
            files: HostFiles {
                root: Some(absolute(root)?),
            },
            request: LinkRequest {
                plugins: closure.plugins.iter().map(|p| inside(p)).collect(),
                nsswitch: Some(inside(
                    closure.nsswitch.as_deref().unwrap_or(Path::new(NSSWITCH)),
                )),
                hardware_levels: hardware_levels(),
                ..LinkRequest::default()
            },
            assumptions: assumptions(closure)?,
            from: Vec::new(),
            cache: false,
            unconfined: closure.unconfined,
            most: closure.analysis_memory,
            failure: Exit::Failure,
        })
    }

    /// The one or the other.
    pub(crate) fn of(root: &RootArgs, program: &Path, closure: &ClosureArgs) -> Result<Wanted> {
        match &root.root {
            Some(root) => Wanted::below(root, program, closure),
            None => Wanted::of_file(program, closure, &closure.plugins),
        }
    }

    /// The same, asked also what can be done once these functions are entered. That is remembered by
    /// nobody.
    pub(crate) fn from(mut self, functions: &[String]) -> Wanted {
        self.cache &= functions.is_empty();
        self.from = functions.to_vec();
        self
    }

    /// The same for a start: where there is none because of the analysis, that is no code of a program.
    pub(crate) fn for_start(mut self) -> Wanted {
        self.failure = Exit::RunFailed;
        self
    }

    /// The same, neither read from the cache nor written to it.
    pub(crate) fn uncached(&self) -> Wanted {
        Wanted {
            cache: false,
            ..self.clone()
        }
    }

    /// The same with `plugins` as well.
    pub(crate) fn with(&self, plugins: &[PathBuf]) -> Wanted {
        let mut wanted = self.clone();
        wanted.request.plugins.extend(plugins.iter().cloned());
        wanted
    }

    /// The result, analysed now or found in the cache.
    pub(crate) fn analyse(&self) -> Result<Analysis> {
        let start = Instant::now();
        if self.is_confined() {
            let Wanted {
                program,
                files,
                request,
                from,
                ..
            } = self;
            let mut set = confined::analyse(program, files, request, from, self.most())?;
            self.assumptions.apply(&mut set);
            let timing = Timing {
                elapsed: start.elapsed(),
                cached: false,
            };
            return Ok(Analysis { set, timing });
        }
        let store = self.store();
        let key = self.key();
        let known = store.as_ref().and_then(|s| remembered(s, Kind::Scan, &key));
        let (mut set, cached) = match known {
            Some(set) => (set, true),
            None => (self.analyse_now(store.as_ref(), &key)?, false),
        };
        self.assumptions.apply(&mut set);
        Ok(Analysis {
            set,
            timing: Timing {
                elapsed: start.elapsed(),
                cached,
            },
        })
    }

    /// Whether somebody else can have made what is analysed: it is then read by a process that can do nothing else,
    /// and nobody remembers what that says.
    fn is_confined(&self) -> bool {
        let mut named = std::iter::once(&self.program).chain(&self.request.plugins);
        let foreign = self.files.root.is_some() || named.any(|path| confined::is_of_others(path));
        foreign && !self.unconfined
    }

    /// The result as far as a start needs it: calls, files, residuals and warnings without the evidence for them.
    /// Statements are about places of calls: with these it is all there. What nobody remembers is not remembered here.
    pub(crate) fn analyse_brief(&self) -> Result<SyscallSet> {
        let whole = self.is_confined() || !self.assumptions.is_empty();
        let store = if whole { None } else { self.store() };
        let Some(store) = store else {
            return Ok(self.analyse()?.set);
        };
        let key = self.key();
        if let Some(set) = remembered(&store, Kind::Brief, &key) {
            return Ok(set);
        }
        let set = brief(self.analyse()?.set);
        if let Some(bytes) = codec::encode(&set) {
            // Without a cache the next start takes it from the whole again.
            let _ = store.write(Kind::Brief, &key, &bytes);
        }
        Ok(set)
    }

    /// The cache, when it is wanted and can be used.
    fn store(&self) -> Option<Store> {
        if !self.cache {
            return None;
        }
        match Store::open() {
            Ok(store) => Some(store),
            Err(reason) => {
                say(&format!("nothing is cached: {reason}"));
                None
            }
        }
    }

    /// The architecture of the program, or of what runs the script, by its header alone; `None` when that cannot
    /// be read or is of none that is known, which the analysis will tell.
    pub(crate) fn arch(&self) -> Option<Arch> {
        let mut path = self.program.clone();
        for _ in 0..=MOST_SCRIPTS {
            let data = self.files.read(&path).ok()?;
            match interpreter(&data.bytes) {
                Some(found) => path = self.files.absolute(&found.program),
                None => return header::arch(&data.bytes),
            }
        }
        None
    }

    /// The analysis looked at from the inside, made now.
    pub(crate) fn stats(&self) -> Result<(SyscallSet, Stats)> {
        ensure!(
            !self.is_confined(),
            "{} belongs to somebody else, and what its analysis is like inside is told by this process alone: \
             --unconfined lets it",
            neutral::path(&self.program)
        );
        let stats = || portcullis_scan::stats(&self.files, &self.program, &self.request);
        Ok(self.within_memory(stats)??)
    }

    /// Bytes that the analysis may take.
    fn most(&self) -> u64 {
        self.most.unwrap_or_else(memory::usual)
    }

    /// Does `analyse` with the memory that it may take; where that is not enough, this process ends.
    fn within_memory<T>(&self, analyse: impl FnOnce() -> T) -> Result<T> {
        let most = self.most();
        let to = std::io::stderr().as_fd().try_clone_to_owned();
        let last_word = LastWord {
            to: to.context("a descriptor for what is said in the end")?,
            bytes: format!("portcullis: {}\n", memory::too_large(most)).into_bytes(),
            code: self.failure.code().into(),
        };
        Ok(memory::within(most, last_word, analyse))
    }

    fn analyse_now(&self, store: Option<&Store>, key: &Key) -> Result<SyscallSet> {
        let recorder = Recorder::default();
        let files = Recorded {
            files: &self.files,
            recorder: &recorder,
        };
        let scan = || portcullis_scan::scan_from(&files, &self.program, &self.request, &self.from);
        let scan = self.within_memory(scan)??;
        if let Some(store) = store {
            let hashes = |path: &Path| {
                let seen = scan.consulted.iter().find(|c| c.path == path)?;
                seen.content.map(|(hash, _)| hash)
            };
            // What cannot be remembered is analysed again next time.
            if let Some(memo) = recorder.finish(*key, hashes)
                && let (Some(memo), Some(set)) = (memo.encode(), codec::encode(&scan.set))
            {
                let written = store.write(Kind::Scan, key, &set);
                let _ = written.and_then(|()| store.write(Kind::Memo, key, &memo));
            }
        }
        Ok(scan.set)
    }

    /// Everything that was asked for, and the analyser that answers.
    fn key(&self) -> Key {
        let mut hasher = Sha256::new();
        let mut word = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        word(env!("CARGO_PKG_VERSION").as_bytes());
        word(&analyser());
        word(self.program.as_os_str().as_bytes());
        let LinkRequest {
            plugins,
            nsswitch,
            ld_library_path,
            ld_preload,
            ld_audit,
            hardware_levels,
            ..
        } = &self.request;
        for variable in [ld_library_path, ld_preload, ld_audit] {
            word(variable.as_ref().map_or(b"-", |v: &OsString| v.as_bytes()));
        }
        for level in hardware_levels {
            word(level.as_bytes());
        }
        for plugin in nsswitch.iter().chain(plugins) {
            word(plugin.as_os_str().as_bytes());
        }
        hasher.finalize().into()
    }
}

/// What the user states of residuals.
pub(crate) fn assumptions(closure: &ClosureArgs) -> Result<Assumptions> {
    let mut all = Assumptions::default();
    for path in &closure.assume {
        let reading = || format!("reading the statements of {}", neutral::path(path));
        let text = std::fs::read_to_string(path).with_context(reading)?;
        all.add(&text).with_context(reading)?;
    }
    Ok(all)
}

/// What tells this build from another one: the command's own file. A build that was changed
/// without a new version must not believe what an older one found.
fn analyser() -> Vec<u8> {
    let metadata = std::env::current_exe().and_then(std::fs::metadata);
    metadata.map_or(Vec::new(), |m| {
        use std::os::unix::fs::MetadataExt as _;
        let words = [m.dev(), m.ino(), m.size()];
        let times = [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()];
        let words = words.iter().flat_map(|w| w.to_le_bytes());
        words
            .chain(times.iter().flat_map(|t| t.to_le_bytes()))
            .collect()
    })
}

/// The set without what shows why it is so.
fn brief(mut set: SyscallSet) -> SyscallSet {
    set.sets.clear();
    for call in &mut set.syscalls {
        call.args.clear();
        call.sites.clear();
        call.why.clear();
    }
    for residual in &mut set.residuals {
        residual.why.clear();
    }
    set
}

/// The set that an earlier analysis stored as `kind`, if all that it looked at is as it was.
fn remembered(store: &Store, kind: Kind, key: &Key) -> Option<SyscallSet> {
    let memo = Memo::decode(&store.read(Kind::Memo, key)?)?;
    match memo.holds() {
        Holds::No => return None,
        Holds::Yes => {}
        Holds::ByContent => {
            if let Some(bytes) = memo.refreshed().and_then(|fresh| fresh.encode()) {
                let _ = store.write(Kind::Memo, key, &bytes);
            }
        }
    }
    codec::decode(&store.read(kind, &memo.closure)?)
}

/// Files that remember what was asked of them.
struct Recorded<'a> {
    files: &'a HostFiles,
    recorder: &'a Recorder,
}

impl Files for Recorded<'_> {
    fn read(&self, path: &Path) -> Result<FileData, FilesError> {
        self.recorder.looked_at(path);
        self.files.read(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>, FilesError> {
        self.recorder.listed(path);
        self.files.list(path)
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesError> {
        self.recorder.looked_at(path);
        self.files.resolve(path)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        self.files.absolute(path)
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("the path {}", neutral::path(path)))
}
