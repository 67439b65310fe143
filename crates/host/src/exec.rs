//! Native programs as jobs: each in a sandbox of its own, followed by a tracer, under the same limits and with the same
//! classes of outcomes as jobs of workers.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::{ActionMap, Policy};
use portcullis_sandbox::{
    Confinement, Features, Filter, Followed, Layer, LayerName, Limits as Bounds, MappedFile,
    Missing, Mode, Network, Observer, Plan, Program, Root, Shortage, Spec, Unlisted, Verdict,
    launch_embedded, rehearse_embedded,
};
use portcullis_sys::process;
use portcullis_watch::record::Recording;
use portcullis_watch::{self as watch, Record};

use crate::course::Course;
use crate::directory::{Directory, PLACE};
use crate::error::Error;
use crate::image::{reopened, sealed};
use crate::job::Job;
use crate::leash::Leash;
use crate::limits::Limits;
use crate::outcome::{Ended, Limit, Outcome, judge_program};
use crate::output::Seen;
use crate::pipes;
use crate::pool::Enforced;
use crate::recorded::Trace;
use crate::running::{CpuOf, Done, Hold, PeakOf};
use crate::victim;

/// A native program, what it may call, and what of the machine it is given: nothing of anybody's home, no network, and
/// one directory that it can write, in which it begins and which ends with it.
pub struct Executable {
    program: Program,
    policy: Policy,
    filter: Filter,
    mapped: Option<Vec<MappedFile>>,
    confinement: Confinement,
}

/// Descriptors of one process: more than a program of this kind needs.
const FILES: u64 = 256;

/// What belongs to people or to services and not to the system.
const NOT_OF_THE_SYSTEM: [&str; 5] = ["/home", "/root", "/srv", "/mnt", "/media"];

impl Executable {
    /// The program at `path` under `policy`: one of a scan, or of a file. In the policy nobody types into terminals,
    /// makes sockets of a network, or answers calls in place of the tracer, whatever it says of that; the filter is
    /// proved to be what is left.
    pub fn open(path: &Path, policy: Policy) -> Result<Executable, Error> {
        let program = Program::open(path)?;
        let policy = policy.without_listeners().without_typing(false);
        let policy = Network::None.narrow(policy, false);
        let filter = Filter::new(&policy, &ActionMap::seen()).map_err(|e| Error::Filter {
            what: "a program",
            reason: e.to_string(),
        })?;
        let mut confinement = Confinement::new(PathBuf::from(PLACE));
        let homes = NOT_OF_THE_SYSTEM.map(PathBuf::from).into_iter();
        let own = std::env::var_os("HOME").map(PathBuf::from);
        let hidden = homes
            .chain(own)
            .filter(|path| path.is_absolute() && path.parent().is_some() && path.is_dir());
        confinement.hide = hidden.collect();
        confinement.session = true;
        Ok(Executable {
            program,
            policy,
            filter,
            mapped: None,
            confinement,
        })
    }

    /// Ends the program when it has mapped another file than these when its own code begins: those that were scanned.
    #[must_use]
    pub fn mapped(mut self, files: Vec<MappedFile>) -> Executable {
        self.confinement
            .parts
            .extend(files.iter().map(|file| file.path.clone()));
        self.mapped = Some(files);
        self
    }

    /// Of what else than libraries it consists: the script that an interpreter runs.
    #[must_use]
    pub fn part(mut self, file: PathBuf) -> Executable {
        self.confinement.parts.push(file);
        self
    }

    /// Lets it read a tree that would be hidden.
    #[must_use]
    pub fn read(mut self, tree: PathBuf) -> Executable {
        self.confinement.read.push(tree);
        self
    }

    /// What traces call it.
    pub(crate) fn name(&self) -> String {
        self.program.path().to_string_lossy().into_owned()
    }

    /// How many bytes its file has.
    pub(crate) fn length(&self) -> u64 {
        self.program.identity().size
    }

    fn plan(
        &self,
        job: &Job,
        without: &[LayerName],
        standard: [Option<OwnedFd>; 3],
    ) -> Result<Plan, Error> {
        let mut confinement = self.confinement.clone();
        confinement.without.extend(without.iter().copied());
        confinement.limits = match confinement.has(LayerName::Limits) {
            true => bounds(&job.limits),
            false => Bounds::default(),
        };
        let permits = self.policy.rules().filter(|r| r.action.permits());
        let spec = Spec {
            arguments: job.arguments.iter().map(Into::into).collect(),
            environment: job.environment.iter().map(Into::into).collect(),
            // The launch is one more.
            allowed: 1 + permits.count(),
            mapped: self.mapped.clone().unwrap_or_default(),
            unlisted: match self.mapped {
                Some(_) => Unlisted::Refuse,
                None => Unlisted::Allow,
            },
            mode: Mode::Enforce,
            standard,
            ..Spec::new(self.program.again()?, confinement)
        };
        Ok(Plan::new(spec, &Features::probe())?)
    }
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        cpu: Some(limits.cpu),
        wall: Some(limits.wall),
        memory: Some(limits.memory),
        processes: Some(limits.processes),
        files: Some(FILES),
        // Its directory is memory, too.
        file_size: Some(limits.memory),
        // Each of its outputs is bounded, and not both together.
        output: None,
    }
}

/// Tries whether this machine gives the layers that jobs are to have, with this program in place of theirs.
pub(crate) fn rehearse(without: &[LayerName]) -> Result<Enforced, Error> {
    let own = Program::open(Path::new("/proc/self/exe"))?;
    let mut confinement = Confinement::new(PathBuf::from(PLACE));
    confinement.without.extend(without.iter().copied());
    if confinement.has(LayerName::Limits) {
        confinement.limits = bounds(&Limits::default());
    }
    let plan = Plan::new(Spec::new(own, confinement), &Features::probe())?;
    rehearse_embedded(&plan)?;
    Ok(enforced(plan.enforced(), plan.not_enforced()))
}

/// Of a sandbox, and what is bounded outside of it.
fn enforced(mut layers: Vec<Layer>, mut missing: Vec<Missing>) -> Enforced {
    let limits = LayerName::Limits.name();
    if layers.iter().any(|layer| layer.layer == limits) {
        missing.retain(|missing| missing.layer != limits);
        layers.push(Layer {
            layer: limits,
            mechanism: "pipes that the host empties and counts",
            scope: "program and all that it starts",
            detail: "output of each stream".to_owned(),
        });
    }
    Enforced { layers, missing }
}

/// Runs one job to its end, or until its leash is pulled. An error is the host's.
pub(crate) fn run(
    executable: &Executable,
    job: &Job,
    without: &[LayerName],
    trace: Option<Box<dyn Trace>>,
    hold: Hold<'_>,
) -> Result<(Done, Arc<Enforced>), Error> {
    let Hold {
        leash,
        listener,
        course,
    } = hold;
    let input = OwnedFd::from(reopened(&sealed("input", &job.input, false)?)?);
    let (output, error) = (process::pipe()?, process::pipe()?);
    let ends = [output.0, error.0];
    let plan = executable.plan(job, without, [Some(input), Some(output.1), Some(error.1)])?;
    course.ends("prepare");
    let ended_before = ended_for_memory();
    let mut seen = Seen::new(&job.limits, leash, listener);
    let mut following = Following {
        executable,
        trace,
        job,
        leash,
        course,
        directory: None,
        failure: None,
    };
    let (stop, stopped) = process::pipe()?;
    let verdict = std::thread::scope(|scope| {
        let heard = scope.spawn(|| pipes::hear(&mut seen, ends, &stop, leash));
        let verdict = launch_embedded(&plan, || executable.filter.arm(), &mut following);
        leash.let_go();
        // Nothing of it is left: what it wrote is in the pipes.
        drop(stopped);
        heard
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, Error>(verdict)
    })?;
    let Following {
        directory, failure, ..
    } = following;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let Verdict {
        outcome,
        usage,
        report,
        enforced: layers,
        not_enforced,
        reached,
        shortage,
        ..
    } = match verdict {
        Ok(verdict) => verdict,
        Err(error) => return unbegun(error, &plan, leash),
    };
    let over_cpu = Duration::from_nanos(usage.cpu_ns) > job.limits.cpu;
    let ended = Ended {
        outcome,
        over: seen.over.or(over_cpu.then_some(Limit::Cpu)),
        called_off: leash.is_pulled(),
        // Its own group tells. What happens elsewhere others can bring about, and would be an excuse.
        ended_for_others: shortage.map_or_else(
            || ended_for_memory().saturating_sub(ended_before),
            Shortage::of_others,
        ),
        call: report.ended_by.map(|call| call.to_string()),
    };
    let [stdout, stderr] = seen.kept;
    // What a filter of its own killed it for, its policy allows.
    let of_policy = |denial: &&watch::Denial| {
        use watch::Answer::{OwnKilled, OwnThreadKilled};
        !matches!(denial.answer, OwnKilled | OwnThreadKilled)
    };
    let denials = report.denials.iter().filter(of_policy);
    let done = Done {
        outcome: judge_program(ended),
        stdout,
        stderr,
        files: directory.map_or(Vec::new(), |d| d.take(&job.wanted, job.limits.output)),
        end: Some(report.end),
        traced: true,
        denials: denials
            .map(|denial| (denial.call.to_string(), denial.count))
            .collect(),
        reached: reached
            .iter()
            .map(|reached| (reached.limit, reached.count))
            .collect(),
        cpu_ns: usage.cpu_ns,
        cpu_of: Some(CpuOf::Program),
        wall_ns: usage.wall_ns,
        peak_memory_bytes: usage.peak_memory_bytes,
        peak_memory_of: Some(PeakOf::Program),
    };
    Ok((done, Arc::new(enforced(layers, not_enforced))))
}

/// A program that could not be begun: for what its file is, or for what happened in the middle of its exec, which
/// whoever made the file can have brought about.
fn unbegun(
    error: portcullis_sandbox::Error,
    plan: &Plan,
    leash: &Leash,
) -> Result<(Done, Arc<Enforced>), Error> {
    use portcullis_sandbox::Error as Cause;
    const OF_THE_FILE: [i32; 4] = [libc::ENOEXEC, libc::ENOENT, libc::EACCES, libc::ELIBBAD];
    let done = match &error {
        Cause::Child { reason, .. }
            if reason
                .raw_os_error()
                .is_some_and(|n| OF_THE_FILE.contains(&n)) =>
        {
            Done::refused(error.to_string())
        }
        _ if leash.is_pulled() => Done::called_off(),
        Cause::EndedEarly(_) => Done::without_process(Outcome::Ambiguous(error.to_string())),
        _ => return Err(error.into()),
    };
    let enforced = enforced(plan.enforced(), plan.not_enforced());
    Ok((done, Arc::new(enforced)))
}

/// Processes that the kernel has ended for want of memory, anywhere on this machine (`oom_kill` of `/proc/vmstat`).
fn ended_for_memory() -> u64 {
    let all = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = all.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Follows one program, after its directory was filled.
struct Following<'a> {
    executable: &'a Executable,
    /// What is told of every call.
    trace: Option<Box<dyn Trace>>,
    job: &'a Job,
    leash: &'a Leash,
    course: &'a mut Course,
    directory: Option<Directory>,
    /// Why it was not let go.
    failure: Option<Error>,
}

impl Following<'_> {
    fn fill(&mut self, root: &Root<'_>) -> Result<(), Error> {
        let first = process::handle(root.init.unwrap_or(root.pid))?;
        self.leash.hold(Arc::new(first));
        let job = self.job;
        if !job.files.is_empty() || !job.wanted.is_empty() || !job.secrets.is_empty() {
            let failed = |reason: io::Error| Error::File {
                path: PLACE.into(),
                reason,
            };
            let directory = Directory::of(root.pid).map_err(failed)?;
            directory.place(&job.files, &job.secrets).map_err(failed)?;
            self.directory = Some(directory);
        }
        Ok(())
    }
}

impl Observer for Following<'_> {
    type Report = Record;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Record>, portcullis_sys::Error> {
        if let Err(failure) = self.fill(&root) {
            self.failure = Some(failure);
            return Err(portcullis_sys::Error {
                call: "filling a job's directory",
                reason: io::ErrorKind::Other.into(),
            });
        }
        victim::mark(root.pid, root.init);
        let start = watch::Start {
            pid: root.pid,
            entry: root.entry,
            check: root.check,
            audit: None,
            phases: None,
        };
        self.course.ends("set-up");
        let policy = &self.executable.policy;
        let record = match self.trace.take() {
            None => watch::follow(start, watch::Mode::Enforce, policy)?,
            Some(mut trace) => {
                let recording = Recording {
                    sink: &mut *trace,
                    name: &self.executable.name(),
                    policy,
                };
                let mode = watch::Mode::Enforce;
                let (record, ending) = watch::follow_recorded(start, mode, policy, recording)?;
                trace.end(&ending);
                record
            }
        };
        self.course.ends("run");
        Ok(Followed {
            end: record.end,
            denied: record.denied,
            own_filter: record.own_filter,
            refused: record.refused.clone(),
            usage: record.usage,
            report: record,
        })
    }
}
