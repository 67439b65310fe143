//! From a solution to what a person or a later stage reads: calls with sites and witnesses,
//! residuals, warnings.

mod paths;
mod sets;
pub(crate) mod stats;
mod witness;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{
    Arch, ArgValue, Confidence, Location, Origin, Paths, Residual, ResidualKind, Site, Syscall,
    SyscallSet, Sysno, ThreadSet, Tuple, Warning,
};

use crate::demangle::demangle;
use crate::graph::CallGraph;
use crate::image::{Addr, Image, Role};
use crate::kernel::{Kernel, X32};
use crate::solve::domain::Domain;
use crate::solve::{Entered, InstanceId, Lost, Solution};
use crate::summary::Input;
use paths::Callers;
use witness::Witness;

/// Numbers of one site that are told one by one; more are a residual.
const MOST_NUMBERS: u64 = 512;

/// Puts the solution into the form that travels.
///
/// `from` are functions of which it is asked what can be called once they are entered: their names,
/// and where they begin.
pub(crate) fn report(
    image: &Image,
    solution: &Solution,
    from: &[(String, Vec<u64>)],
) -> SyscallSet {
    let graph = CallGraph::new(image, solution);
    let witness = Witness::new(image, &graph);
    let mut report = Report {
        image,
        solution,
        arch: image.arch(),
        witness,
        callers: Callers::new(image, solution),
        calls: BTreeMap::new(),
        tuples: BTreeMap::new(),
        residuals: BTreeMap::new(),
        warnings: BTreeSet::new(),
    };
    report.warnings.extend(image.warnings.iter().cloned());
    report.collect();
    report.add_kernels();
    report.add_vdsos();
    report.announced();
    report.executable_memory();
    let syscalls = report.syscalls();
    let sets = report.sets(&graph, from);
    report.finish(syscalls, sets)
}

/// Where a call is made, by address: by which instances, with which arguments.
type Made = BTreeMap<u64, Vec<(InstanceId, Arguments)>>;
/// Arguments of which something is known, by place.
type Arguments = Vec<(u8, ArgValue)>;

struct Report<'a> {
    image: &'a Image,
    solution: &'a Solution,
    arch: Arch,
    witness: Witness<'a>,
    callers: Callers<'a>,
    calls: BTreeMap<Sysno, Made>,
    /// Which tuple of its site each instance belongs to: by call and address, in the order of `calls`.
    tuples: BTreeMap<(Sysno, u64), Vec<u32>>,
    residuals: BTreeMap<(ResidualKind, u64), Residual>,
    warnings: BTreeSet<Warning>,
}

impl Report<'_> {
    fn collect(&mut self) {
        let kernel = self.image.kernel();
        for n in 0..self.solution.instances.len() {
            let id = InstanceId(n as u32);
            let instance = &self.solution.instances[n];
            if !self.witness.reached(id) {
                continue;
            }
            for (&at, site) in &instance.sites {
                let numbers = match site.number.values(MOST_NUMBERS) {
                    // None at all: what it is read from is no memory, and the read faults.
                    Some(all) => all,
                    None => {
                        let detail = "the number of this system call is not known";
                        self.residual(ResidualKind::Number, id, at, detail.into());
                        continue;
                    }
                };
                for number in numbers {
                    if self.arch == Arch::X86_64 && number & X32 != 0 {
                        let place = self.place(at);
                        self.warn("PC0202", format!("x32 system call {number:#x} at {place}"));
                        continue;
                    }
                    let arguments = site
                        .arguments
                        .iter()
                        .enumerate()
                        .map(|(n, d)| (n as u8, argument(kernel, number, n, d)))
                        .filter(|(_, a)| *a != ArgValue::Any)
                        .collect();
                    self.calls
                        .entry(Sysno(number as u32))
                        .or_default()
                        .entry(at)
                        .or_default()
                        .push((id, arguments));
                }
            }
            for (&at, kind) in &instance.foreign {
                let place = self.place(at);
                self.warn(
                    "PC0201",
                    format!("{kind} at {place}: calls of another convention are not analysed and are killed"),
                );
            }
            for (&at, why) in &instance.lost {
                // Nothing says that a function begins there but that somebody holds the address,
                // and what follows is no code: it is data, and who goes there faults.
                let begins = self.image.function_start(Addr(self.entry(id)));
                if *why == Lost::NotCode && !begins {
                    continue;
                }
                let detail = match why {
                    Lost::Table => "a jump through a table whose form is not understood",
                    Lost::NotCode => "control goes where there is no code",
                    Lost::TooLarge => "the function is larger than the analysis follows",
                };
                self.residual(ResidualKind::Target, id, at, detail.into());
            }
        }
        if self.solution.unsettled {
            self.warn(
                "PC0203",
                "not all callers could be told apart; the set is larger than needed".into(),
            );
        }
        let apart = self.solution.apart.iter();
        let (go, library): (Vec<u64>, Vec<u64>) =
            apart.partition(|&&at| self.image.is_go_variable(Addr(at)));
        if !go.is_empty() {
            let message = "variables of Go code are taken to be reached by their own names and by \
                           pointers to them alone, as Go promises";
            self.warn("PC0208", message.into());
        }
        if !library.is_empty() {
            let message =
                "the C library has no symbols for some variables: they are taken to be apart";
            self.warn("PC0207", format!("{message} from what lies before them"));
        }
    }

    /// Calls that the kernel makes or needs by itself: `restart_syscall` after a stop in a
    /// restartable call, and the return from a signal handler.
    fn add_kernels(&mut self) {
        let kernel = self.image.kernel();
        let mut restarted = kernel.restarted.iter();
        if restarted.any(|&n| self.made(n).next().is_some()) {
            self.calls.entry(Sysno(kernel.restart as u32)).or_default();
        }
        let takes_handler = Sysno(kernel.takes_handler as u32);
        if self.calls.contains_key(&takes_handler) {
            let returns = Sysno(kernel.handler_return as u32);
            self.calls.entry(returns).or_default();
        }
    }

    /// Where the call `number` is made, and by which instances.
    fn made(&self, number: u64) -> impl Iterator<Item = (u64, &[(InstanceId, Arguments)])> {
        let sites = self.calls.get(&Sysno(number as u32)).into_iter().flatten();
        sites.map(|(&at, found)| (at, &found[..]))
    }

    /// vDSO functions fall back on system calls when they cannot answer themselves (a clock
    /// source that user space cannot read): they are in the set when their names are looked
    /// up by reached code.
    fn add_vdsos(&mut self) {
        for name in self.solution.strings.keys() {
            // Those of aarch64 are called the second way (arch/arm64/kernel/vdso/vdso.lds.S).
            let mut prefixes = ["__vdso_", "__kernel_"].into_iter();
            if let Some(function) = prefixes.find_map(|p| name.strip_prefix(p))
                && let Some(number) = self.arch.number(function)
            {
                self.calls.entry(number).or_default();
            }
        }
    }

    /// Code that the scanned files announce: modules by their libc entry points and names,
    /// programs by the calls that start them.
    fn announced(&mut self) {
        self.names_looked_up();
        // One place can make both calls.
        let mut started: BTreeMap<u64, (InstanceId, Paths)> = BTreeMap::new();
        for &number in &self.image.kernel().starts_program {
            for (at, made) in self.made(number) {
                let ids: Vec<InstanceId> = made.iter().map(|(id, _)| *id).collect();
                let paths = self.callers.paths(number, at, ids.iter().copied());
                let (Some(&id), Some(paths)) = (ids.first(), paths) else {
                    continue;
                };
                let (_, known) = started.entry(at).or_insert((id, Paths::default()));
                known.known.extend(paths.known);
                known.others |= paths.others;
            }
        }
        for (at, (id, paths)) in started {
            let what = named(&paths, "programs that are not known");
            let detail = format!("starts {what}, under the same filter");
            self.residual(ResidualKind::Exec, id, at, detail);
        }
        for (name, &(id, at)) in &self.solution.strings {
            let what = match name.as_str() {
                n if n.starts_with("libnss_") => "loads name service modules",
                n if n.starts_with("gconv") => "loads character set modules",
                n if n.starts_with("libgcc_s") => "loads libgcc_s to unwind",
                _ => continue,
            };
            self.residual(
                ResidualKind::Module,
                id,
                at,
                format!("{what} (it refers to \"{name}\")"),
            );
        }
        let mut opened: BTreeMap<(&str, u64), Vec<InstanceId>> = BTreeMap::new();
        for n in 0..self.solution.instances.len() {
            let id = InstanceId(n as u32);
            let entry = self.entry(id);
            let name = self.image.function_name(Addr(entry));
            if let Some((name @ ("dlopen" | "dlmopen" | "__libc_dlopen_mode"), start)) = name
                && start.0 == entry
                && self.witness.reached(id)
            {
                opened.entry((name, entry)).or_default().push(id);
            }
        }
        self.loaded(opened);
    }

    /// What is opened by functions of the C library that load libraries, by the names they are passed.
    fn loaded(&mut self, opened: BTreeMap<(&str, u64), Vec<InstanceId>>) {
        for ((name, entry), ids) in opened {
            // dlmopen(3) takes a namespace first.
            let file = usize::from(name == "dlmopen");
            let file = self.image.convention.arguments[file];
            let paths = self.callers.passed_in(&ids, Input::Register(file));
            let what = named(&paths, "libraries that are not known");
            let detail = format!("{name} loads {what} while the program runs");
            if let Some(&id) = ids.first() {
                self.residual(ResidualKind::Module, id, entry, detail);
            }
        }
    }

    /// Calls that look up a name that is not known: what they find is mostly in a module.
    fn names_looked_up(&mut self) {
        let mut found = Vec::new();
        for (n, instance) in self.solution.instances.iter().enumerate() {
            let id = InstanceId(n as u32);
            if self.witness.reached(id) {
                found.extend(instance.lookups.iter().map(|&at| (id, at)));
            }
        }
        for &(id, entered) in &self.solution.entries {
            let at = self.entry(id);
            if entered == Entered::Taken && self.solution.lookups.contains(at) {
                found.push((id, at));
            }
        }
        for (id, at) in found {
            let detail = "looks up a function by a name that is not known";
            self.residual(ResidualKind::Module, id, at, detail.into());
        }
    }

    /// Calls of the program that can make memory executable. What the dynamic loader maps so are
    /// the scanned files and announced modules; what the C library makes so by itself are stacks,
    /// where some object asks for that.
    fn executable_memory(&mut self) {
        let library = self.solution.lookups.library();
        let library = library.filter(|_| !self.image.executable_stacks());
        let mut found = Vec::new();
        let mut stacks = false;
        for call in &self.image.kernel().makes_executable {
            for (at, made) in self.made(call.number) {
                if self.by_loader(at) {
                    continue;
                }
                for &(id, _) in made {
                    let site = &self.solution.instances[id.0 as usize].sites[&at];
                    if !site.arguments[call.argument].may_have(call.bits) {
                        continue;
                    }
                    let is_stack = library.is_some_and(|library| {
                        let argument = call.argument;
                        self.solution
                            .is_made_in(self.image, library, id, at, argument)
                    });
                    match is_stack {
                        true => stacks = true,
                        false => found.push((id, at)),
                    }
                }
            }
        }
        // Without an interpreter or a library nobody but the kernel makes the stack so.
        let root = self
            .solution
            .entries
            .iter()
            .find(|(_, by)| *by == Entered::Root);
        if let Some(&(id, _)) = root.filter(|_| self.image.executable_stacks()) {
            let detail = "the stack is executable (PT_GNU_STACK): what runs there is not known";
            self.residual(ResidualKind::Code, id, self.entry(id), detail.into());
        }
        // Of several at one place the first is told.
        for (id, at) in found {
            let detail = "memory can become executable here: what runs there is not known";
            self.residual(ResidualKind::Code, id, at, detail.into());
        }
        if stacks {
            self.warn(
                "PC0204",
                "the C library makes stacks executable where an object asks for it, and none does"
                    .into(),
            );
        }
    }

    fn entry(&self, id: InstanceId) -> u64 {
        let function = self.solution.instances[id.0 as usize].function;
        self.solution.functions[function.0 as usize].summary.entry
    }

    fn place(&self, at: u64) -> String {
        let location = self.witness.location(at);
        let path = &self.image.objects[location.object].path;
        let name = path.file_name().unwrap_or(path.as_os_str());
        format!("{}+{:#x}", name.to_string_lossy(), location.address)
    }

    fn warn(&mut self, code: &'static str, message: String) {
        self.warnings.insert(Warning { code, message });
    }

    fn residual(&mut self, kind: ResidualKind, id: InstanceId, at: u64, detail: String) {
        if self.residuals.contains_key(&(kind, at)) {
            return;
        }
        let location = self.witness.location(at);
        let function = match &location.function {
            Some(name) => name.clone(),
            None => format!("{:#x}", self.witness.location(self.entry(id)).address),
        };
        let object = &self.image.objects[location.object];
        let file = object
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let stem = format!("{}:{file}:{function}", kind.name());
        let same = self
            .residuals
            .values()
            .filter(|r| r.id == stem || r.id.starts_with(&format!("{stem}#")))
            .count();
        let residual = Residual {
            id: if same == 0 {
                stem
            } else {
                format!("{stem}#{}", same + 1)
            },
            kind,
            at: location,
            detail,
            why: self.witness.path(id, at).0,
        };
        self.residuals.insert((kind, at), residual);
    }

    /// The calls, in ascending order of numbers.
    fn syscalls(&mut self) -> Vec<Syscall> {
        let mut tuples = BTreeMap::new();
        let syscalls = self
            .calls
            .iter()
            .map(|(&number, sites)| {
                let call = self.syscall(number, sites);
                for ((&at, found), site) in sites.iter().zip(&call.sites) {
                    let own = found.iter().map(|(_, args)| place_of(&site.tuples, args));
                    tuples.insert((number, at), own.collect());
                }
                call
            })
            .collect();
        self.tuples = tuples;
        syscalls
    }

    fn finish(self, syscalls: Vec<Syscall>, sets: Vec<ThreadSet>) -> SyscallSet {
        SyscallSet {
            binary: self.image.binary(),
            objects: self.image.scanned_objects(),
            syscalls,
            sets,
            residuals: self.residuals.into_values().collect(),
            assumed: Vec::new(),
            warnings: self.warnings.into_iter().collect(),
        }
    }

    fn syscall(&self, number: Sysno, sites: &Made) -> Syscall {
        let best = sites
            .iter()
            .flat_map(|(&at, found)| found.iter().map(move |(id, _)| (*id, at)))
            .min_by_key(|(id, at)| (self.witness.rank(*id), *at));
        let (why, confidence) = match best {
            Some((id, at)) => self.witness.path(id, at),
            None => (Vec::new(), Confidence::Direct),
        };
        let origin = match (sites.is_empty(), self.arch.name(number)) {
            (true, Some("restart_syscall" | "rt_sigreturn")) => Origin::Kernel,
            (true, _) => Origin::Vdso,
            (false, _) if sites.keys().all(|at| self.by_loader(*at)) => Origin::Loader,
            (false, _) => Origin::Program,
        };
        let mut union: BTreeMap<u8, Option<Domain>> = BTreeMap::new();
        for found in sites.values().flatten() {
            let site = &self.solution.instances[found.0.0 as usize];
            for call in sites.keys().filter_map(|at| site.sites.get(at)) {
                for (n, d) in call.arguments.iter().enumerate() {
                    let sum = union.entry(n as u8).or_insert(Some(Domain::Nothing));
                    *sum = sum.as_ref().map(|s| s.join(d));
                }
            }
        }
        let args = union
            .into_iter()
            .filter_map(|(n, d)| {
                Some((
                    n,
                    argument(self.image.kernel(), number.0.into(), n.into(), &d?),
                ))
            })
            .filter(|(_, a)| *a != ArgValue::Any)
            .collect();
        let sites = sites
            .iter()
            .map(|(&at, found)| {
                let mut tuples: Vec<Tuple> = Vec::new();
                for (id, args) in found {
                    let tuple = Tuple {
                        mode: self.witness.mode(*id),
                        via: if found.len() > 1 {
                            self.witness.via(*id)
                        } else {
                            Vec::new()
                        },
                        args: args.clone(),
                    };
                    // What a loop passes first is a part of what it passes in the end.
                    let has = |all: &Tuple, part: &Tuple| {
                        all.via == part.via && includes(&all.args, &part.args)
                    };
                    let known = |t: &Tuple| t.args == tuple.args || has(t, &tuple);
                    if !tuples.iter().any(known) {
                        tuples.retain(|t| !has(&tuple, t));
                        tuples.push(tuple);
                    }
                }
                let made = found.iter().map(|(id, _)| *id);
                Site {
                    at: self.witness.location(at),
                    tuples,
                    paths: self.callers.paths(number.0.into(), at, made),
                }
            })
            .collect();
        Syscall {
            number,
            origin,
            confidence,
            args,
            sites,
            why,
        }
    }

    fn by_loader(&self, at: u64) -> bool {
        self.image
            .object_of(Addr(at))
            .is_some_and(|o| self.image.objects[o.0 as usize].role == Role::Loader)
    }
}

/// Which of the tuples of a site arguments of it belong to.
fn place_of(tuples: &[Tuple], args: &Arguments) -> u32 {
    let mut all = tuples.iter();
    let same = all.position(|t| t.args == *args);
    let place = same.or_else(|| tuples.iter().position(|t| includes(&t.args, args)));
    // One of them is: they are made of these.
    place.unwrap_or(0) as u32
}

/// Whether arguments that can be `part` can be `all` too.
fn includes(all: &Arguments, part: &Arguments) -> bool {
    all.iter().all(|(place, known)| {
        let other = part.iter().find(|(at, _)| at == place).map(|(_, v)| v);
        match (known, other) {
            (ArgValue::Values(all), Some(ArgValue::Values(part))) => {
                part.iter().all(|v| all.contains(v))
            }
            (known, other) => Some(known) == other,
        }
    })
}

/// Files by their names, and `others` where there may be more.
fn named(paths: &Paths, others: &str) -> String {
    match (paths.known.join(", "), paths.others) {
        (known, false) if !known.is_empty() => known,
        (known, true) if !known.is_empty() => format!("{known}, and {others}"),
        _ => others.to_owned(),
    }
}

/// What is told of an argument of the call `number`: of one that the kernel declares narrower than a
/// register, that part.
fn argument(kernel: &Kernel, number: u64, place: usize, domain: &Domain) -> ArgValue {
    let declared = kernel.deciding(number).iter().find(|d| d.argument == place);
    let bits = declared.map_or(64, |d| d.bits);
    match domain {
        Domain::Nothing | Domain::Anything | Domain::Frames(..) => ArgValue::Any,
        Domain::Set(_) if bits < 64 => match domain.zero_extend(bits) {
            Domain::Set(all) => ArgValue::Values(all.to_vec()),
            _ => ArgValue::Any,
        },
        Domain::Set(all) => ArgValue::Values(all.to_vec()),
        Domain::Range(_, hi, _) if bits < 64 && *hi >= (1 << bits) - 1 => ArgValue::Any,
        Domain::Range(lo, hi, stride) => ArgValue::Ranges(vec![(*lo, *hi, *stride)]),
    }
}

/// A location without the image: used by [`witness`].
pub(crate) fn location(image: &Image, at: u64) -> Location {
    let (object, address) = image.file_address(Addr(at));
    Location {
        object: object.0 as usize,
        address,
        function: image
            .function_name(Addr(at))
            .map(|(name, _)| demangle(name)),
    }
}
