//! The reader of what programs in the kernel tell: from records to facts.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_sys::Error;
use portcullis_sys::signal::{Children, Forwarding};
use portcullis_sys::spawn::Held;
use portcullis_sys::wait::{self, Change, End, Stop, Usage};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::Ebpf;
use super::layout::{call, image, key, record, state};
use super::maps::{Maps, half, word};
use crate::job;
use crate::record::caller::{Caller, Callers};
use crate::record::fact::{Fact, Remark, Sink};
use crate::record::identity::Identity;
use crate::record::launch;
use crate::record::made::{MOST, Made};
use crate::record::observed::{Observed, What, socket_address};
use crate::record::seen::{CallId, ImageId};
use crate::record::{Ending, Spec};

/// How often counts are told.
const PERIOD: Duration = Duration::from_secs(10);

/// Runs the program of `spec` to its end, and all that it starts, and tells `sink` what they do. What they do to files
/// ([`Spec::files`]) is told by tracers alone.
pub fn record(
    spec: &Spec,
    ebpf: Ebpf,
    sink: &mut dyn Sink,
) -> Result<Ending, crate::record::Error> {
    let (held, forwarding) = launch::hold(spec, false)?;
    ebpf.maps.follow(held.pid)?;
    let children = Children::watch()?;
    held.release()?;
    held.executed()
        .map_err(|error| crate::record::Error::NotStarted {
            path: spec.program.clone(),
            reason: error.reason,
        })?;
    let mut reader = Reader {
        ebpf,
        seen: Seen {
            sink,
            images: HashMap::new(),
            calls: Vec::new(),
            known: HashMap::new(),
            callers: Callers::default(),
            remarks: HashSet::new(),
        },
        told: Vec::new(),
        ended: None,
    };
    reader.run(&held, forwarding, &children)?;
    reader.finish()
}

struct Reader<'a> {
    ebpf: Ebpf,
    seen: Seen<'a>,
    /// The counts that were told last.
    told: Vec<u64>,
    ended: Option<(End, Usage)>,
}

/// What was told.
struct Seen<'a> {
    sink: &'a mut dyn Sink,
    /// By the kernel's numbers.
    images: HashMap<u64, ImageId>,
    /// In the order in which they were first told.
    calls: Vec<Call>,
    known: HashMap<(u64, Made), CallId>,
    callers: Callers,
    remarks: HashSet<Remark>,
}

/// A call that was told.
struct Call {
    image: ImageId,
    /// What it returned.
    returned: HashSet<Option<u16>>,
    /// The kernel's name of the call, when what it returns says more than an error.
    name: Option<&'static str>,
    /// It puts a filter into its task when it succeeds.
    filters: bool,
    count: u64,
}

/// Device, inode, and time of the last change.
type FileKey = (u64, u64, i64, i64);

impl Reader<'_> {
    /// Until the program has ended, and all that it started.
    fn run(
        &mut self,
        held: &Held,
        forwarding: Forwarding,
        children: &Children,
    ) -> Result<(), Error> {
        let mut forwarding = Some(forwarding);
        let mut told_at = Instant::now();
        loop {
            children.clear();
            while self.ended.is_none() {
                match wait::changed(held.pid)? {
                    Some(Change::Ended(end, usage)) => {
                        self.ended = Some((end, usage));
                        // From here on a signal ends the recorder; what outlives the root goes on.
                        forwarding = None;
                    }
                    Some(Change::Stopped(Stop::Signal(signal))) if job::is_stop(signal) => {
                        job::stop_with(held.pid, signal)?;
                    }
                    Some(Change::Stopped(_)) => {}
                    None => break,
                }
            }
            // What is there was made before the last task ended, when that is seen first.
            let alive = self.ebpf.maps.counter(state::ALIVE)?;
            let Reader { ebpf, seen, .. } = self;
            ebpf.maps.ring.read(|bytes| seen.record(bytes));
            if alive == 0 && self.ended.is_some() {
                drop(forwarding);
                return Ok(());
            }
            if told_at.elapsed() >= PERIOD {
                told_at = Instant::now();
                self.counts()?;
            }
            let ring = self.ebpf.maps.ring.as_fd();
            let mut ready = [
                PollFd::from_borrowed_fd(ring, PollFlags::IN),
                PollFd::from_borrowed_fd(children.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(held.pidfd.as_fd(), PollFlags::IN),
            ];
            // The handle of a process that was reaped is always ready.
            let watched = if self.ended.is_some() { 2 } else { 3 };
            let left = PERIOD.saturating_sub(told_at.elapsed());
            let left = Timespec::try_from(left).ok();
            match rustix::event::poll(&mut ready[..watched], left.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(reason) => {
                    return Err(Error {
                        call: "poll",
                        reason: reason.into(),
                    });
                }
            }
        }
    }

    /// Tells what the tables hold beyond the records, and what is missing.
    fn finish(mut self) -> Result<Ending, crate::record::Error> {
        // Nothing is added from here on.
        self.ebpf.attached.clear();
        let Reader { ebpf, seen, .. } = &mut self;
        ebpf.maps.ring.read(|bytes| seen.record(bytes));
        Maps::each(&ebpf.maps.images, image::KEY, image::SIZE, |file, value| {
            seen.untold_image(word(value, image::ID), file)
        })?;
        Maps::each(&ebpf.maps.calls, key::SIZE, call::SIZE, |key, value| {
            seen.untold_call(key, value);
        })?;
        self.counts()?;
        let maps = &self.ebpf.maps;
        let mut lost = 0;
        for counter in [state::LOST_TASKS, state::LOST_IMAGES] {
            lost += maps.counter(counter)?;
        }
        if lost > 0 {
            self.seen.remark(Remark::Lost(lost));
        }
        let mut missed = 0;
        for program in &self.ebpf.programs {
            missed += program.misses()?;
        }
        if missed > 0 {
            self.seen.remark(Remark::Missed(missed));
        }
        if maps.counter(state::LOST_CALLS)? > 0 {
            self.seen.remark(Remark::TooMany);
        }
        let untold = maps.counter(state::UNTOLD)?;
        if untold > 0 {
            self.seen.remark(Remark::Late(untold));
        }
        let Some((end, usage)) = self.ended else {
            return Err(Error {
                call: "waitid",
                reason: std::io::Error::from_raw_os_error(libc::ECHILD),
            }
            .into());
        };
        Ok(Ending {
            end,
            usage,
            tasks: maps.counter(state::TASKS)?,
            calls: self.seen.calls.iter().map(|call| call.count).sum(),
            filters: 0,
        })
    }

    /// Tells the counts that changed.
    fn counts(&mut self) -> Result<(), Error> {
        let Reader {
            ebpf, seen, told, ..
        } = self;
        Maps::each(&ebpf.maps.calls, key::SIZE, call::SIZE, |key, value| {
            let made = made(key);
            if let Some(CallId(at)) = seen.known.get(&made) {
                seen.calls[*at as usize].count = word(value, call::COUNT);
            }
        })?;
        told.resize(seen.calls.len(), 0);
        let mut changed = Vec::new();
        for (at, (call, told)) in (0..).zip(seen.calls.iter().zip(told)) {
            if call.count != *told {
                *told = call.count;
                changed.push((CallId(at), call.count));
            }
        }
        if !changed.is_empty() {
            seen.sink.fact(Fact::Counts(changed));
        }
        Ok(())
    }
}

impl Seen<'_> {
    fn record(&mut self, bytes: &[u8]) {
        let key_at = usize::from(record::KEY.cast_unsigned());
        let key = &bytes.get(key_at..).unwrap_or_default();
        match half(bytes, record::KIND).cast_signed() {
            record::A_CALL => {
                self.call(key, Some(bytes));
            }
            record::A_RESULT => {
                let call = self.call(key, None);
                let error = half(bytes, record::ERROR) as u16;
                self.returned(call, (error != 0).then_some(error));
            }
            record::A_PROGRAM => {
                let by = self.images.get(&word(bytes, record::BY)).copied();
                let text = part(bytes, record::TEXT, half(bytes, record::LENGTHS[0]));
                let path = text.map(|text| PathBuf::from(OsString::from_vec(text)));
                let task = half(bytes, record::TASK).cast_signed();
                let file = file_key(&bytes[usize::from(record::FILE.cast_unsigned())..]);
                self.image(word(bytes, record::IMAGE), file, Some(task), path, by);
            }
            _ => {}
        }
    }

    /// A call, told when it was not; with what its record says, when there is one.
    fn call(&mut self, key: &[u8], told: Option<&[u8]>) -> CallId {
        let made = made(key);
        if let Some(known) = self.known.get(&made) {
            return *known;
        }
        let image = self.image_of(made.0);
        let id = CallId(self.calls.len() as u32);
        let name = made.1.name();
        self.calls.push(Call {
            image,
            returned: HashSet::new(),
            name,
            filters: is_filter(&made.1),
            count: 0,
        });
        self.known.insert(made, id);
        let (observed, caller) = match told {
            Some(bytes) => (
                observed(bytes, &made.1),
                self.caller(half(bytes, record::TASK).cast_signed(), bytes),
            ),
            None => (Vec::new(), Caller::unknown()),
        };
        self.sink.fact(Fact::Call {
            id,
            image,
            made: &made.1,
            observed,
            caller,
        });
        if name == Some("io_uring_setup") {
            self.remark(Remark::Ring(image));
        }
        id
    }

    fn returned(&mut self, CallId(at): CallId, error: Option<u16>) {
        let call = &mut self.calls[at as usize];
        // What these seem to return are registers of other code, which a signal interrupted.
        if matches!(call.name, Some("rt_sigreturn" | "sigreturn")) || !call.returned.insert(error) {
            return;
        }
        let filtered = (call.filters && error.is_none()).then_some(call.image);
        self.sink.fact(Fact::Returned {
            call: CallId(at),
            error,
        });
        if let Some(image) = filtered {
            self.remark(Remark::FilterPassed(image));
        }
    }

    /// A program that the kernel numbers; one whose record was lost is told without a name.
    fn image_of(&mut self, number: u64) -> ImageId {
        match self.images.get(&number) {
            Some(id) => *id,
            None => self.image(number, None, None, None, None),
        }
    }

    /// A program was executed for the first time.
    fn image(
        &mut self,
        number: u64,
        file: Option<FileKey>,
        task: Option<i32>,
        named: Option<PathBuf>,
        by: Option<ImageId>,
    ) -> ImageId {
        if let Some(known) = self.images.get(&number) {
            return *known;
        }
        let id = ImageId(self.images.len() as u32);
        self.images.insert(number, id);
        let found = file.and_then(|file| found(file, task, named.as_deref()));
        let (path, identity) = match found {
            Some((path, open)) => {
                self.callers.learn(&path, &open);
                (path, Identity::of(&open))
            }
            // It has ended, and lies somewhere else or nowhere by now.
            None => (named.unwrap_or_default(), None),
        };
        self.sink.fact(Fact::Image {
            id,
            path: &path,
            identity,
            by,
        });
        id
    }

    /// A program that is in the table of them and was not told.
    fn untold_image(&mut self, number: u64, file: &[u8]) {
        if !self.images.contains_key(&number) {
            self.image(number, file_key(file), None, None, None);
        }
    }

    /// A call that is in the table of them, and what of it was not told.
    fn untold_call(&mut self, key: &[u8], value: &[u8]) {
        let call = self.call(key, None);
        for error in 0..call::ERRORS.cast_unsigned() as u16 {
            let bits = word(value, call::RETURNED + 8 * (error / 64).cast_signed());
            if bits >> (error % 64) & 1 != 0 {
                self.returned(call, (error != 0).then_some(error));
            }
        }
    }

    /// The code that made a call: as the kernel told it when it was made, by build id; else, and for its name, as the task has
    /// it mapped now.
    fn caller(&mut self, task: i32, bytes: &[u8]) -> Caller {
        /// `BPF_STACK_BUILD_ID_VALID`, and where `struct bpf_stack_build_id` has what.
        const VALID: u32 = 1;
        const BUILD: i16 = record::FRAME + 4;
        const OFFSET: i16 = record::FRAME + 24;
        const LENGTH: u32 = 20;
        let ip = word(bytes, record::IP);
        let build = match half(bytes, record::FRAME) {
            VALID => part_of(bytes, BUILD, LENGTH),
            _ => None,
        };
        let Some(build) = build else {
            // Of what is no file, or has no build id: it may be another program's by now, and is told only where it has no file.
            return Caller::at(ip);
        };
        let offset = word(bytes, OFFSET);
        if let Some(known) = self.callers.of_build(&build, offset) {
            return known;
        }
        self.callers.forget_mappings();
        self.callers.of(task, ip);
        let known = self.callers.of_build(&build, offset);
        known.unwrap_or_else(|| Caller {
            identity: Some(Identity::Build(trimmed(&build))),
            ..Caller::at(ip)
        })
    }

    fn remark(&mut self, remark: Remark) {
        if self.remarks.insert(remark) {
            self.sink.fact(Fact::Remark(remark));
        }
    }
}

/// The call with a key, and the kernel's number of its program.
fn made(key: &[u8]) -> (u64, Made) {
    let mut values = [0; MOST];
    for (at, value) in (0..).zip(&mut values) {
        *value = word(key, key::VALUES + 8 * at);
    }
    let made = Made {
        arch: half(key, key::ARCH),
        number: half(key, key::NUMBER),
        values,
        any: word(key, key::ANY) != 0,
    };
    (word(key, key::IMAGE), made)
}

/// Whether a call puts a filter of the program's own into its task.
fn is_filter(made: &Made) -> bool {
    match made.name() {
        Some("seccomp") => made.values[0] as u32 <= libc::SECCOMP_SET_MODE_FILTER,
        Some("prctl") => made.values[0] == libc::PR_SET_SECCOMP as u64,
        _ => false,
    }
}

/// The file of a program, and its path: of the task that runs it, if it still does, or what its name leads to. It is the one if
/// the kernel knows it by the same numbers.
fn found(file: FileKey, task: Option<i32>, named: Option<&Path>) -> Option<(PathBuf, File)> {
    let open = |path: &Path| {
        // Not to wait for a FIFO that took the file's place.
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .ok()?;
        let is_it = opened
            .metadata()
            .is_ok_and(|m| m.is_file() && (m.dev(), m.ino(), m.ctime(), m.ctime_nsec()) == file);
        is_it.then_some(opened)
    };
    let own = task.map(|task| PathBuf::from(format!("/proc/{task}/exe")));
    if let Some(own) = own
        && let (Ok(path), Some(opened)) = (fs::read_link(&own), open(&own))
    {
        return Some((path, opened));
    }
    let named = named?;
    let directory = task.map(|task| PathBuf::from(format!("/proc/{task}/cwd")));
    let places = [Some(named.to_owned()), directory.map(|d| d.join(named))];
    places.into_iter().flatten().find_map(|path| {
        let opened = open(&path)?;
        Some((fs::canonicalize(&path).ok()?, opened))
    })
}

/// Paths and the address that a call's record holds.
fn observed(bytes: &[u8], made: &Made) -> Vec<Observed> {
    let [first, second, address] = record::LENGTHS.map(|at| half(bytes, at));
    let name = made.name().unwrap_or_default();
    let begins = [record::TEXT, record::TEXT + record::LONGEST];
    let places = crate::paths::arguments(name).iter().zip(begins);
    let path = |((index, begin), length): ((&u8, i16), u32)| {
        Some(Observed {
            index: *index,
            what: What::Path(part(bytes, begin, length)?),
        })
    };
    let mut all: Vec<Observed> = places.zip([first, second]).filter_map(path).collect();
    if let Some((index, _)) = crate::record::observed::address(name)
        && let Some(text) = part_of(bytes, record::TEXT, address)
        && let Some(what) = socket_address(&text)
    {
        all.push(Observed {
            index,
            what: What::Address(what),
        });
    }
    all
}

/// A text of a record, whose length counts its end; none when it is not there.
fn part(bytes: &[u8], at: i16, length: u32) -> Option<Vec<u8>> {
    part_of(bytes, at, length.checked_sub(1)?)
}

fn part_of(bytes: &[u8], at: i16, length: u32) -> Option<Vec<u8>> {
    let at = usize::from(at.cast_unsigned());
    let all = bytes.get(at..at.checked_add(length as usize)?)?;
    Some(all.to_vec())
}

/// Device, inode and time of the last change, as metadata have them (the kernel's own device numbers have 20 bits for the
/// minor: `linux/kdev_t.h`).
fn file_key(bytes: &[u8]) -> Option<FileKey> {
    let device = word(bytes, 0);
    let device = rustix::fs::makedev((device >> 20) as u32, device as u32 & 0xf_ffff);
    let times = [word(bytes, 16), word(bytes, 24)].map(u64::cast_signed);
    (bytes.len() >= usize::from(image::KEY.cast_unsigned())).then_some((
        device,
        word(bytes, 8),
        times[0],
        times[1],
    ))
}

/// A build id as its note has it: the kernel fills a shorter one up with zeros.
fn trimmed(build: &[u8]) -> Vec<u8> {
    let end = build.iter().rposition(|byte| *byte != 0);
    build[..end.map_or(0, |end| end + 1)].to_vec()
}
