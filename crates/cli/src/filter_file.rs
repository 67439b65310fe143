//! A file that says which calls are answered how: a policy in any form, a filter program, the document
//! of a scan, or a program.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use portcullis_abi::{Arch, SyscallSet};
use portcullis_bpf::{Program, compile, import, verify};
use portcullis_policy::format::{self, Format as Form, Newer};
use portcullis_policy::lint::caret;
use portcullis_policy::{
    Derivation, Filter, LineColumn, Mistake, Policy, Ramp, Remark, Source, Target, Trace,
};
use rustix::fs::{Mode, OFlags};

use crate::analysis::Wanted;
use crate::args::{ClosureArgs, InputArgs};
use crate::json::scan_input;
use crate::neutral;
use crate::output::say;
use crate::text;
use crate::trace::Log;

/// More than any document of a scan has; policies are bounded by their readers.
const MOST_BYTES: u64 = 256 << 20;
/// And more than any policy that another one includes.
const MOST_INCLUDED: u64 = 4 << 20;
/// The architecture of a file that says none, where nothing else tells it.
const ASSUMED: Arch = Arch::X86_64;
/// The capabilities that Docker gives to containers (moby, daemon/pkg/oci/caps/defaults.go).
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A file, read.
pub(crate) struct FilterFile {
    path: PathBuf,
    /// What it holds.
    pub(crate) content: Content,
}

/// What a file holds.
pub(crate) enum Content {
    /// Policies, and their text, in which the places of the rules are.
    Policies {
        /// The file's text.
        text: String,
        /// What it means.
        source: Source,
        /// The form that it is in.
        form: Form,
    },
    /// A filter program.
    Program(Program),
    /// What programs can do.
    Sets(Vec<SyscallSet>),
    /// What a program was seen to do.
    Trace(Traced),
}

impl FilterFile {
    /// Reads policies or a filter program; `-` is standard input.
    pub(crate) fn open(path: &Path, input: &InputArgs) -> Result<FilterFile> {
        FilterFile::of(path, &bytes(path)?, input)
    }

    /// Reads also documents of scans, and scans programs.
    pub(crate) fn open_any(
        path: &Path,
        input: &InputArgs,
        closure: &ClosureArgs,
    ) -> Result<FilterFile> {
        let bytes = bytes(path)?;
        let content = if input.form.is_some() {
            return FilterFile::of(path, &bytes, input);
        } else if bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"#!") {
            let wanted = Wanted::of_file(path, closure, &closure.plugins)?;
            Content::Sets(vec![wanted.analyse()?.set])
        } else if is_scan(&bytes) {
            let reading = || format!("reading {}", neutral::path(path));
            let images = scan_input::parse(&bytes).with_context(reading)?;
            Content::Sets(images.sets().cloned().collect())
        } else if let Some(traced) = trace(path, &bytes, input.arch.first().copied())? {
            Content::Trace(traced)
        } else {
            return FilterFile::of(path, &bytes, input);
        };
        Ok(FilterFile {
            path: path.to_owned(),
            content,
        })
    }

    /// Reads what was read from `path` already.
    pub(crate) fn of(path: &Path, bytes: &[u8], input: &InputArgs) -> Result<FilterFile> {
        let named = neutral::path(path);
        let form = input.form.or_else(|| Form::detect(bytes));
        let form = form.with_context(|| {
            format!("{named}: it looks like no form of policies; say which with --from")
        })?;
        let content = match form {
            Form::Bpf => {
                let program = Program::from_bytes(bytes);
                Content::Program(program.with_context(|| format!("{named}: no filter program"))?)
            }
            Form::C | Form::Rust => bail!("{named}: filters in {form} are written, not read"),
            _ => {
                let text = std::str::from_utf8(bytes);
                let text =
                    text.map_err(|e| anyhow!("{named}: byte {} is no text", e.valid_up_to()))?;
                let source = policies(form, path, text, input);
                if input.arch.is_empty() {
                    let other = InputArgs {
                        arch: vec![Arch::Aarch64],
                        ..input.clone()
                    };
                    // What means the same for both says its architecture.
                    if source != policies(form, path, text, &other) {
                        assumed(path);
                    }
                }
                let source = source.map_err(|mistake| mistaken(path, text, &mistake))?;
                for line in remarks(text, &source.remarks) {
                    say(&format!("{named}:{line}"));
                }
                Content::Policies {
                    text: text.to_owned(),
                    source,
                    form,
                }
            }
        };
        Ok(FilterFile {
            path: path.to_owned(),
            content,
        })
    }

    /// What another text would mean in this file's place.
    pub(crate) fn read_again(
        &self,
        form: Form,
        text: &str,
        input: &InputArgs,
    ) -> Result<Source, Mistake> {
        policies(form, &self.path, text, input)
    }

    /// The file's name as it was given.
    pub(crate) fn plain_name(&self) -> String {
        self.path.display().to_string()
    }

    /// The file's name, harmless.
    pub(crate) fn name(&self) -> String {
        neutral::path(&self.path).into_owned()
    }

    /// The one filter that is asked for.
    pub(crate) fn filter<'a>(&self, source: &'a Source, input: &InputArgs) -> Result<&'a Filter> {
        let named = |f: &&Filter| f.name.as_deref() == input.filter.as_deref();
        match (source.filters.as_slice(), &input.filter) {
            ([only], None) => Ok(only),
            ([], _) => bail!("{}: it has no filter", self.name()),
            (all, wanted) => {
                let names = all.iter().filter_map(|f| f.name.as_deref());
                let names: Vec<&str> = names.collect();
                let names = neutral::text(&names.join(", ")).into_owned();
                all.iter().find(named).with_context(|| match wanted {
                    None => format!("{}: say which with --filter: {names}", self.name()),
                    Some(_) => format!("{}: no such filter; it has: {names}", self.name()),
                })
            }
        }
    }

    /// The policy that the file means.
    pub(crate) fn policy(&self, input: &InputArgs) -> Result<Policy> {
        Ok(match &self.content {
            Content::Policies { source, .. } => self.filter(source, input)?.policy.clone(),
            Content::Program(program) => {
                import(program).with_context(|| format!("reading {} as a policy", self.name()))?
            }
            Content::Trace(seen) => seen.derivation().policy(),
            Content::Sets(sets) => match sets.split_first() {
                Some((first, others)) => Policy::from_scans(first, others),
                None => bail!("{}: it has no program", self.name()),
            },
        })
    }

    /// The filter program, proved equal to the policy when it is made of one.
    pub(crate) fn program(&self, input: &InputArgs) -> Result<Program> {
        if let Content::Program(program) = &self.content {
            return Ok(program.clone());
        }
        let policy = self.policy(input)?;
        let compiling = || format!("compiling {}", self.name());
        let program = compile(&policy).with_context(compiling)?;
        let proved = verify(program, &policy).with_context(compiling)?;
        Ok(proved.program().clone())
    }
}

/// The policies of a text; what it includes lies beside `path`.
fn policies(form: Form, path: &Path, text: &str, input: &InputArgs) -> Result<Source, Mistake> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let include = |name: &str| included(directory, name);
    let newer = match input.as_runc {
        true => Newer::AsRunc,
        false => Newer::AsDefault,
    };
    format::read(form, text, &target(input), newer, &include)
}

/// What a reader remarked, a line for each kind: remarks that differ in what they quote are one.
fn remarks(text: &str, all: &[Remark]) -> Vec<String> {
    let mut kinds: Vec<(Vec<&str>, LineColumn, Vec<&str>)> = Vec::new();
    for remark in all {
        let parts: Vec<&str> = remark.message.split('`').collect();
        let (quoted, kind): (Vec<_>, Vec<_>) =
            parts.iter().enumerate().partition(|(n, _)| n % 2 == 1);
        let kind: Vec<&str> = kind.into_iter().map(|(_, part)| *part).collect();
        let quoted = quoted.into_iter().map(|(_, part)| *part);
        match kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((.., all)) => all.extend(quoted),
            None => {
                let at = LineColumn::of(text, remark.place.start);
                kinds.push((kind, at, quoted.collect()));
            }
        }
    }
    let line = |(kind, at, quoted): (Vec<&str>, LineColumn, Vec<&str>)| {
        let [before, rest @ ..] = kind.as_slice() else {
            return at.to_string();
        };
        let several = quoted.len() >= kind.len();
        let quoted: Vec<String> = quoted.iter().map(|q| format!("`{q}`")).collect();
        match several {
            // One message, with its own words where they stand.
            false => {
                let mut message = (*before).to_owned();
                for (word, part) in quoted.iter().zip(rest) {
                    message.push_str(word);
                    message.push_str(part);
                }
                format!("{at}: {message}")
            }
            true => format!(
                "{at}: {}{}: {}",
                before,
                rest.concat().trim_start(),
                quoted.join(" ")
            ),
        }
    };
    kinds.into_iter().map(line).collect()
}

/// The text of a file; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let text = String::from_utf8(bytes(path)?);
    text.with_context(|| format!("{} is no text", neutral::path(path)))
}

/// A mistake in a file, with the line in which it is.
pub(crate) fn mistaken(path: &Path, text: &str, mistake: &Mistake) -> anyhow::Error {
    let path = neutral::path(path);
    let message = neutral::text(&mistake.message);
    match mistake.place {
        None => anyhow!("{path}: {message}"),
        Some(place) => {
            let at = LineColumn::of(text, place.start);
            anyhow!("{path}:{at}: {message}\n{}", caret(text, place).trim_end())
        }
    }
}

/// Tells that a file was read for [`ASSUMED`].
fn assumed(path: &Path) {
    say(&format!(
        "{}: read for {ASSUMED}; if it is for another architecture, say which with --arch",
        neutral::path(path)
    ));
}

fn target(input: &InputArgs) -> Target {
    let arches = match input.arch.as_slice() {
        [] => vec![ASSUMED],
        named => named.to_vec(),
    };
    let capabilities = match input.capabilities.as_slice() {
        [] => CAPABILITIES.map(str::to_owned).to_vec(),
        named => named.to_vec(),
    };
    Target {
        arches,
        capabilities,
        kernel: (input.kernel.major, input.kernel.minor),
    }
}

/// The calls that are made most often in a trace, those first.
pub(crate) fn frequent(path: &Path, input: &InputArgs) -> Result<Vec<u32>> {
    let traced = trace(path, &bytes(path)?, input.arch.first().copied())?;
    let traced = traced.with_context(|| format!("{}: no trace", neutral::path(path)))?;
    let calls = traced.trace.by_frequency().into_iter();
    Ok(calls.map(|n| n.0).collect())
}

/// What a program was seen to do, and the name that it has as a reason.
pub(crate) struct Traced {
    /// The calls.
    pub(crate) trace: Trace,
    /// The file, and of a trace of ours its runs.
    pub(crate) name: String,
    /// Of a trace of ours.
    ramp: Option<Ramp>,
}

impl Traced {
    /// Adds what it tells to what a policy is made of.
    pub(crate) fn add_to(&self, derivation: Derivation) -> Derivation {
        let derivation = derivation.with_trace(&self.trace, &self.name);
        match self.ramp {
            Some(ramp) => derivation.with_ramp(ramp),
            None => derivation,
        }
    }

    /// What a policy of just its calls is made of.
    fn derivation(&self) -> Derivation {
        self.add_to(Derivation::new(self.trace.arch, []))
    }

    /// The trace in a file: ours, or of strace.
    pub(crate) fn open(path: &Path, arch: Option<Arch>) -> Result<Traced> {
        let traced = trace(path, &bytes(path)?, arch)?;
        traced.with_context(|| format!("{}: no trace", neutral::path(path)))
    }
}

/// The trace in a file's `bytes`; `None` when it looks like something else.
fn trace(path: &Path, bytes: &[u8], arch: Option<Arch>) -> Result<Option<Traced>> {
    let name = neutral::path(path).into_owned();
    if Log::is_trace(bytes) {
        let log = Log::read(bytes).with_context(|| format!("reading {name}"))?;
        let arch = arch.or(log.arch()).unwrap_or(ASSUMED);
        let since = log.since().map(text::record::date);
        return Ok(Some(Traced {
            trace: log.of_arch(arch),
            ramp: since.as_ref().and_then(|since| {
                Some(Ramp {
                    runs: u32::try_from(log.all_runs).unwrap_or(u32::MAX),
                    since: since.parse().ok()?,
                })
            }),
            name: match since {
                Some(since) => format!("{name}, runs: {}, since {since}", log.all_runs),
                None => name,
            },
        }));
    }
    let text = std::str::from_utf8(bytes).ok();
    let Some(trace) = text.and_then(|text| Trace::read(text, arch.unwrap_or(ASSUMED))) else {
        return Ok(None);
    };
    if arch.is_none() {
        assumed(path);
    }
    Ok(Some(Traced {
        trace,
        name,
        ramp: None,
    }))
}

/// What a policy of just the calls in a trace is made of; `None` when the file is something else.
pub(crate) fn traced(path: &Path, arch: Option<Arch>) -> Result<Option<Derivation>> {
    // A program is larger than it is worth to look for lines in, and a FIFO would be waited for.
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file()) {
        return Ok(None);
    }
    let mut head = [0; 2];
    let whole = File::open(path).and_then(|mut f| f.read_exact(&mut head));
    if whole.is_err() || &head == b"\x7fE" || &head == b"#!" {
        return Ok(None);
    }
    let traced = trace(path, &bytes(path)?, arch)?;
    Ok(traced.map(|t| t.derivation()))
}

/// A regular file that another one includes, relative to that one.
fn included(directory: &Path, name: &str) -> Result<String, String> {
    let path = directory.join(name);
    // Not waiting for the writer of a FIFO is what O_NONBLOCK is for here; open(2).
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| e.to_string())?;
    let file = File::from(descriptor);
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err("it is no regular file".into());
    }
    let mut text = String::new();
    match file.take(MOST_INCLUDED).read_to_string(&mut text) {
        Ok(read) if (read as u64) < MOST_INCLUDED => Ok(text),
        Ok(_) => Err(format!("it has {MOST_INCLUDED} bytes or more")),
        Err(error) => Err(error.to_string()),
    }
}

/// A file's bytes, bounded; `-` is standard input.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let reading = || format!("reading {}", neutral::path(path));
    let mut bytes = Vec::new();
    let source: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).with_context(reading)?)
    };
    let read = source.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    if read.with_context(reading)? as u64 > MOST_BYTES {
        bail!("{} is larger than {MOST_BYTES} bytes", neutral::path(path));
    }
    Ok(bytes)
}

/// Whether this is a document of `scan`.
fn is_scan(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(256)];
    bytes.first() == Some(&b'{') && head.windows(15).any(|w| w == b"portcullis.scan")
}
