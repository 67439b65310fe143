//! The worker's side: one thread that loads an artifact, and forks for each job.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use portcullis_sys::allocation::Counting;
use portcullis_sys::seccomp::SockFilter;
use portcullis_sys::spawn::{self, Side};
use portcullis_sys::wait::{self, Change};
use portcullis_sys::{process, seccomp, text};
use zeroize::Zeroize as _;

use crate::directory::Given;
use crate::frame::Results;
use crate::secret::{self, Secret};
use crate::wire::{self, Answer, MOST_BODY, Message, Order, Placed};

/// What can run jobs of one kind. It must do all it can before the first job: a job's process has no descriptors
/// but the one for its results, and few system calls.
pub trait Engine {
    /// A loaded artifact.
    type Loaded;

    /// Takes an artifact, sealed in memory. The error is about the artifact.
    fn load(&mut self, artifact: File) -> Result<Self::Loaded, String>;

    /// Runs one job to its end and says its last word, in a process of its own that ends afterwards.
    fn run(&self, loaded: &Self::Loaded, task: Task, results: Results);
}

/// One job, in its process.
#[derive(Debug)]
pub struct Task {
    /// Its standard input.
    pub input: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// What nobody but its process was told.
    pub secrets: Vec<Secret>,
    /// What is in its directory.
    pub files: Vec<Given>,
    /// The files that are wanted of it ([`Results::files`]).
    pub wanted: Vec<String>,
    /// Bytes that these may have together.
    pub output: u64,
    /// Bytes of memory that it may have.
    pub memory: u64,
    /// Steps that it may make, when they are counted.
    pub fuel: Option<u64>,
}

impl Task {
    /// Takes the files from the end of the input, with which they came. `None` when they are not there.
    pub(crate) fn unpack(&mut self, placed: Vec<Placed>) -> Option<()> {
        for Placed {
            name,
            length,
            executable,
        } in placed.into_iter().rev()
        {
            let length = usize::try_from(length).ok()?;
            let begin = self.input.len().checked_sub(length)?;
            let bytes = self.input.split_off(begin);
            self.files.push(Given {
                name,
                bytes,
                executable,
            });
        }
        self.files.reverse();
        Some(())
    }

    /// What this job was given is not there for the next one.
    fn wipe(&mut self) {
        self.input.zeroize();
        self.arguments.zeroize();
        self.environment.zeroize();
        self.wanted.zeroize();
    }
}

/// What can prepare modules.
pub trait Preparer {
    /// Makes an artifact of a module; with `metered` the engine counts steps. The error is about the module.
    fn prepare(&self, module: &[u8], metered: bool) -> Result<Vec<u8>, String>;
}

/// The descriptor of a job's results: what its policy allows to be written to.
const RESULTS: i32 = 3;

/// The worker's life: until the host closes its end. `arguments` are those of the program.
pub fn serve_jobs<E: Engine>(mut engine: E, arguments: impl Iterator<Item = String>) -> ! {
    let Some((control, mut group)) = begin(arguments) else {
        process::exit_now(2)
    };
    // However that ends, its jobs find their code.
    text::ease_forks();
    let mut loaded = None;
    let mut filter = Vec::new();
    while let Ok(Some(message)) = wire::receive::<Order>(&control, MOST_BODY) {
        let Message {
            head,
            body,
            descriptor,
        } = message;
        let answered = match (head, descriptor) {
            (Order::Load { filter: given }, Some(artifact)) => {
                filter = instructions(&given);
                // One that is not taken leaves none.
                loaded = None;
                match engine.load(File::from(artifact)) {
                    Ok(it) => {
                        loaded = Some(it);
                        answer(&control, &Answer::Loaded)
                    }
                    Err(why) => answer(&control, &Answer::Refused(why)),
                }
            }
            (
                Order::Run {
                    arguments,
                    environment,
                    mut files,
                    wanted,
                    memory,
                    output,
                    fuel,
                    at_once,
                    secrets,
                },
                Some(results),
            ) => {
                let Some(loaded) = &loaded else { break };
                let mut task = Task {
                    input: body,
                    arguments,
                    environment,
                    secrets: Vec::new(),
                    files: Vec::new(),
                    wanted,
                    output,
                    memory,
                    fuel,
                };
                let started = match fork(&mut group) {
                    Ok((Side::Child, _)) => {
                        let heard = secret::hear(&results, secrets.into());
                        let unpacked = task.unpack(files);
                        let ready = results_of(&results, &filter);
                        let (Some(heard), Some(()), Ok(kept)) = (heard, unpacked, ready) else {
                            // Nothing was run, and no last word is said.
                            process::exit_now(1)
                        };
                        task.secrets = heard;
                        engine.run(loaded, task, Results::new(kept, at_once));
                        process::exit_now(0)
                    }
                    Ok((Side::Parent(pid, handle), apart)) => Ok((pid, handle, apart)),
                    Err(error) => Err(error),
                };
                drop(results);
                match started {
                    Ok((pid, handle, apart)) => {
                        task.wipe();
                        files.iter_mut().for_each(|file| file.name.zeroize());
                        watch(&control, pid, &handle, apart)
                    }
                    Err(error) => answer(&control, &Answer::NotStarted(error.errno())),
                }
            }
            _ => break,
        };
        if answered.is_err() {
            break;
        }
    }
    process::exit_now(0)
}

/// Prepares one module. `allocator` is the program's own.
pub fn serve_preparation(
    preparer: &impl Preparer,
    allocator: &Counting,
    arguments: impl Iterator<Item = String>,
) -> ! {
    let Some((control, _)) = begin(arguments) else {
        process::exit_now(2)
    };
    if let Ok(Some(message)) = wire::receive::<Order>(&control, MOST_BODY)
        && let Order::Prepare {
            metered,
            allocations,
        } = message.head
    {
        let last_word = wire::encoded(&Answer::TooLarge);
        let to = control.as_fd().try_clone_to_owned();
        let (Ok(last_word), Ok(to)) = (last_word, to) else {
            process::exit_now(1)
        };
        allocator.bound(allocations, to, last_word, 1);
        let sent = match preparer.prepare(&message.body, metered) {
            Ok(artifact) => wire::send(&control, &Answer::Prepared, &artifact, None),
            Err(why) => answer(&control, &Answer::Refused(why)),
        };
        process::exit_now(i32::from(sent.is_err()))
    }
    process::exit_now(1)
}

/// Takes its descriptors: the host's end, nothing in the place of the three standard ones, and where it has one the directory
/// of the group of its jobs.
fn begin(arguments: impl Iterator<Item = String>) -> Option<(UnixStream, Option<OwnedFd>)> {
    // A panic has nowhere to write; what it does to a job is told by how the process ends.
    std::panic::set_hook(Box::new(|_| {}));
    let mut numbers = arguments.skip(1).map(|number| number.parse::<i32>());
    let (control, null) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let null = process::inherited(null).ok()?;
    let control = process::inherited(control).ok()?;
    let group = numbers.next().and_then(Result::ok);
    let group = group.map(process::inherited).transpose().ok()?;
    for standard in 0..3 {
        process::replace(null.as_fd(), standard).ok()?;
    }
    drop(null);
    let mut kept = vec![control.as_raw_fd()];
    kept.extend(group.as_ref().map(OwnedFd::as_raw_fd));
    kept.sort_unstable();
    process::close_from(3, &kept).ok()?;
    Some((UnixStream::from(control), group))
}

/// Forks into `group`, or where that cannot be beside this process, now and from now on. Whether it is in the group.
fn fork(group: &mut Option<OwnedFd>) -> Result<(Side, bool), portcullis_sys::Error> {
    if let Some(directory) = group {
        match spawn::clone_alone_into(directory.as_fd()) {
            Ok(side) => return Ok((side, true)),
            // There is none, or it was taken away, or this kernel cannot.
            Err(_) => *group = None,
        }
    }
    spawn::clone_alone().map(|side| (side, false))
}

fn answer(control: &UnixStream, answer: &Answer) -> std::io::Result<()> {
    wire::send(control, answer, &[], None)
}

fn instructions(given: &[wire::Instruction]) -> Vec<SockFilter> {
    let rows = given.iter();
    rows.map(|&(code, jt, jf, k)| SockFilter { code, jt, jf, k })
        .collect()
}

/// Hands the job to the host, and reaps it when the host has looked at it.
fn watch(control: &UnixStream, pid: i32, handle: &OwnedFd, apart: bool) -> std::io::Result<()> {
    let started = Answer::Started { apart };
    wire::send(control, &started, &[], Some(handle.as_fd()))?;
    let over = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    match wire::receive::<Order>(control, 0)? {
        Some(Message {
            head: Order::Reap, ..
        }) => {}
        _ => return Err(over()),
    }
    let usage = loop {
        match wait::next_of(pid) {
            Ok(Some((_, Change::Ended(_, usage)))) => break usage,
            Ok(Some((_, Change::Stopped(_)))) => {}
            Ok(None) | Err(_) => return Err(over()),
        }
    };
    let peak_memory = usage.peak_memory_bytes;
    answer(control, &Answer::Reaped { peak_memory })
}

/// Leaves a job's process its results and nothing else, behind its filter.
fn results_of(results: &OwnedFd, filter: &[SockFilter]) -> Result<OwnedFd, portcullis_sys::Error> {
    let kept = process::keep_only(results.as_fd(), RESULTS)?;
    seccomp::install(filter)?;
    Ok(kept)
}
