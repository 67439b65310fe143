//! What a scan says about a program: its calls, their evidence, and what could not be told.

use crate::{Arch, KernelVersion, Sysno};

/// The result of scanning one program: `scan`'s output and every later stage's input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyscallSet {
    /// The program that was scanned.
    pub binary: Binary,
    /// Every file whose code was considered, the program first.
    pub objects: Vec<ScannedObject>,
    /// The calls that the program can make, in ascending order of numbers.
    pub syscalls: Vec<Syscall>,
    /// The calls per thread and phase.
    pub sets: Vec<ThreadSet>,
    /// What the analysis could not resolve; a residual adds nothing to the set by itself.
    pub residuals: Vec<Residual>,
    /// Residuals that somebody resolved by a statement.
    pub assumed: Vec<Assumed>,
    /// Facts that a reader must know, each with a stable code.
    pub warnings: Vec<Warning>,
}

impl SyscallSet {
    /// No number, target or code residual: the set holds all that the scanned code can do.
    pub fn complete(&self) -> bool {
        !self.residuals.iter().any(|r| {
            matches!(
                r.kind,
                ResidualKind::Number | ResidualKind::Target | ResidualKind::Code
            )
        })
    }

    /// No module or exec residual: no code beyond the scanned files can run.
    pub fn closed(&self) -> bool {
        !self
            .residuals
            .iter()
            .any(|r| matches!(r.kind, ResidualKind::Module | ResidualKind::Exec))
    }

    /// The same with the calls alone that the tight answer has.
    pub fn tight(&self) -> SyscallSet {
        let mut tight = self.clone();
        tight
            .syscalls
            .retain(|call| call.confidence != Confidence::Sound);
        tight.sets.retain(|s| s.mode == Mode::Tight);
        tight
    }

    /// The same with the calls alone that one thread can make in one phase, by one of the answers;
    /// `None` when there is no such thread or phase.
    pub fn narrowed(&self, thread: &str, phase: &str, mode: Mode) -> Option<SyscallSet> {
        let is = |s: &&ThreadSet| (&*s.thread, &*s.phase, s.mode) == (thread, phase, mode);
        let own = self.sets.iter().find(is)?;
        let mut narrowed = self.clone();
        narrowed
            .syscalls
            .retain(|call| own.numbers.contains(&call.number));
        narrowed.sets.retain(|s| is(&s));
        Some(narrowed)
    }

    /// The oldest kernel that knows every call of the set, and the calls for which it must be that new;
    /// `None` when some number is in no table.
    ///
    /// An older kernel answers those calls `ENOSYS`. Programs, and most of all their C library, have
    /// older calls to fall back to for many of them; whether this one has is not said.
    pub fn kernel(&self) -> Option<(KernelVersion, Vec<Sysno>)> {
        let arch = self.binary.arch;
        let since = |call: &Syscall| Some((arch.since(call.number)?, call.number));
        let all: Vec<_> = self.syscalls.iter().map(since).collect::<Option<_>>()?;
        let (oldest, _) = *all.iter().max()?;
        let newest = all.into_iter().filter(|(version, _)| *version == oldest);
        Some((oldest, newest.map(|(_, number)| number).collect()))
    }

    /// The call with this number.
    pub fn get(&self, number: Sysno) -> Option<&Syscall> {
        self.syscalls.iter().find(|s| s.number == number)
    }
}

/// The program as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binary {
    /// Absolute path of the ELF file (of the interpreter when the program is a script).
    pub path: String,
    /// The script that names `path` in its first line, and the argument given there.
    pub script: Option<(String, Option<String>)>,
    /// Its architecture.
    pub arch: Arch,
    /// How it is linked.
    pub linkage: Linkage,
    /// No `.symtab`.
    pub stripped: bool,
    /// The languages whose traces were found in it.
    pub languages: Vec<Language>,
}

/// How a program is linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linkage {
    /// Fixed addresses, no dynamic section to relocate by.
    Static,
    /// Relocates itself, no interpreter.
    StaticPie,
    /// Has a program interpreter.
    Dynamic,
}

/// A source language.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Language {
    /// C, or nothing that says otherwise.
    C,
    /// C++.
    Cpp,
    /// Rust.
    Rust,
    /// Go.
    Go,
}

/// One file of the closure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScannedObject {
    /// Absolute path, links resolved by the loader's rules only.
    pub path: String,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// Hash of the whole file.
    pub sha256: [u8; 32],
}

/// A place in code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location {
    /// Index into [`SyscallSet::objects`].
    pub object: usize,
    /// Virtual address in the file (not relocated).
    pub address: u64,
    /// The function that holds it, demangled, when a symbol says so.
    pub function: Option<String>,
}

/// One call that the program can make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Syscall {
    /// Its number.
    pub number: Sysno,
    /// Whose code makes it.
    pub origin: Origin,
    /// How sure the way to it is.
    pub confidence: Confidence,
    /// Arguments at call level: the union over all tuples, one entry per argument that any
    /// site sets; empty when nothing is known.
    pub args: Vec<(u8, ArgValue)>,
    /// Where it is made.
    pub sites: Vec<Site>,
    /// The shortest way from a root, root first, site last.
    pub why: Vec<Location>,
}

/// Whose code makes a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// The program and its libraries.
    Program,
    /// Only the dynamic loader.
    Loader,
    /// The kernel on the program's behalf (`restart_syscall`, `rt_sigreturn`).
    Kernel,
    /// The vDSO, when it cannot answer by itself.
    Vdso,
}

/// How sure it is that a call can be reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Confidence {
    /// Direct calls and exactly resolved pointers only.
    Direct,
    /// Some pointer was resolved by shape.
    Tight,
    /// Some pointer may be any function whose address is taken.
    Sound,
}

impl Syscall {
    /// The paths that it is passed at any of its sites; `None` when it takes none.
    pub fn paths(&self) -> Option<Paths> {
        let all = self.sites.iter().filter_map(|s| s.paths.as_ref());
        all.fold(None, |sum: Option<Paths>, one| {
            let mut sum = sum.unwrap_or_default();
            sum.known.extend(one.known.iter().cloned());
            sum.known.sort();
            sum.known.dedup();
            sum.others |= one.others;
            Some(sum)
        })
    }
}

/// One `syscall` instruction that can make the call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The instruction.
    pub at: Location,
    /// Argument combinations kept apart by call chain.
    pub tuples: Vec<Tuple>,
    /// The paths that it is passed, if the call takes any.
    pub paths: Option<Paths>,
}

/// Paths that a call is passed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Paths {
    /// Constant ones, as they are passed, in ascending order.
    pub known: Vec<String>,
    /// It may be passed others as well.
    pub others: bool,
}

/// Arguments that occur together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tuple {
    /// Which of the two answers this belongs to.
    pub mode: Mode,
    /// The call chain that distinguishes it from the other tuples of its site.
    pub via: Vec<Location>,
    /// Argument index and what is known of it.
    pub args: Vec<(u8, ArgValue)>,
}

/// The two answers that a scan gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// Over-approximates what was understood; the only one that is enforced by default.
    Sound,
    /// Resolved by shape as well.
    Tight,
}

/// What is known of one argument.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ArgValue {
    /// Nothing.
    Any,
    /// One of these, ascending.
    Values(Vec<u64>),
    /// One of these strided ranges `(low, high, stride)`, bounds included.
    Ranges(Vec<(u64, u64, u64)>),
    /// `argument & mask` is one of these.
    Masked {
        /// The bits that are known.
        mask: u64,
        /// Their values, ascending.
        values: Vec<u64>,
    },
    /// Points to this constant string.
    Text(String),
}

/// A residual of which somebody states what happens there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assumed {
    /// What the analysis could not tell.
    pub residual: Residual,
    /// All calls that are made there; they are in the set. Ascending.
    pub calls: Vec<Sysno>,
}

/// The calls of one thread in one phase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadSet {
    /// `main`, or the start routine's name.
    pub thread: String,
    /// `startup`, `main`, `after:NAME`, `after:install`, `loop`.
    pub phase: String,
    /// Where it begins: addresses of the program's file. Of `startup` and of what begins in a library there are none.
    pub begins: Vec<u64>,
    /// Which of the two answers.
    pub mode: Mode,
    /// Ascending.
    pub numbers: Vec<Sysno>,
    /// Which argument tuples belong to it, ascending; `None` when that is not known: all of the numbers.
    pub made: Option<Vec<Made>>,
    /// The threads that are started in it, by their names in [`SyscallSet::sets`].
    pub starts: Vec<String>,
}

/// A tuple of a [`SyscallSet`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Made {
    /// The call.
    pub number: Sysno,
    /// Which of its sites.
    pub site: u32,
    /// Which of the site's tuples.
    pub tuple: u32,
}

/// Something that the analysis could not resolve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Residual {
    /// Stable over builds of the same code: kind, object and function, not the address alone.
    pub id: String,
    /// What kind of thing is unknown.
    pub kind: ResidualKind,
    /// Where.
    pub at: Location,
    /// What is unknown there, for a person.
    pub detail: String,
    /// The way from a root.
    pub why: Vec<Location>,
}

/// What is unknown at a residual.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ResidualKind {
    /// The number of a system call.
    Number,
    /// The target of a jump or call.
    Target,
    /// A library that is loaded while the program runs.
    Module,
    /// A program that it starts.
    Exec,
    /// Memory that becomes executable with content that is not known.
    Code,
}

impl ResidualKind {
    /// The name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            ResidualKind::Number => "number",
            ResidualKind::Target => "target",
            ResidualKind::Module => "module",
            ResidualKind::Exec => "exec",
            ResidualKind::Code => "code",
        }
    }
}

/// A fact that a reader must know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Warning {
    /// Stable: `PC0104`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}
