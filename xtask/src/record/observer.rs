//! A second observer: the kernel's tracepoints, which see every call that is really made, whoever traces whom.
//!
//! It is given what this thread starts, and all that follows from it. Its own view has no blind spot that the
//! recorder's could share: `raw_syscalls:sys_enter` comes after tracers and filters, in the task itself.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::{Arch, Sysno};
use tempfile::TempDir;

use super::Seen;

/// Memory for events of one processor, in KB: an event takes 80 bytes, and none may be lost.
const BUFFER: &str = "65536";
/// The events.
const EVENTS: [&str; 3] = [
    "raw_syscalls/sys_enter",
    "sched/sched_process_exec",
    "sched/sched_process_fork",
];

/// Tracepoints, set up for this thread.
pub(super) struct Observer {
    /// Where tracefs is mounted.
    mount: TempDir,
    /// A set of events and buffers of our own.
    instance: PathBuf,
}

impl Observer {
    /// Needs root.
    pub(super) fn new() -> Result<Observer> {
        let mount = tempfile::tempdir()?;
        let mut words = Command::new("mount");
        words.args(["-t", "tracefs", "tracefs"]).arg(mount.path());
        let done = words.status().context("start mount")?;
        ensure!(done.success(), "mount tracefs, as root: {done}");
        let name = format!("portcullis-{}", std::process::id());
        let instance = mount.path().join("instances").join(name);
        let observer = Observer { mount, instance };
        fs::create_dir(&observer.instance).context("make an instance of tracefs")?;
        observer.set("buffer_size_kb", BUFFER)?;
        observer.set("trace_clock", "mono")?;
        observer.set("options/event-fork", "1")?;
        // The recorder's own, of which there are more than of all others together.
        let ptrace = Arch::NATIVE.number("ptrace").context("ptrace")?.0;
        let filter = format!("id != {ptrace}");
        observer.set("events/raw_syscalls/sys_enter/filter", &filter)?;
        for event in EVENTS {
            observer.set(&format!("events/{event}/enable"), "1")?;
        }
        Ok(observer)
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        let path = self.instance.join(name);
        fs::write(&path, value).with_context(|| format!("write {value} to {}", path.display()))
    }

    /// What is called by what `run` starts from this thread, but for what the program `recorder` does itself.
    /// `directory` is that of relative paths.
    pub(super) fn watch<T>(
        &self,
        recorder: &Path,
        directory: &Path,
        run: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Seen)> {
        self.set("trace", "")?;
        let own = rustix::thread::gettid().as_raw_nonzero().to_string();
        self.set("set_event_pid", &own)?;
        self.set("tracing_on", "1")?;
        let result = run();
        self.set("tracing_on", "0")?;
        self.set("set_event_pid", "")?;
        let result = result?;
        self.ensure_complete()?;
        let text = fs::read(self.instance.join("trace"))?;
        let text = String::from_utf8_lossy(&text);
        let recorder = fs::canonicalize(recorder)?;
        let recorder = recorder.to_string_lossy();
        let mut seen = made(events(&text), |path| image_of(path, directory));
        seen.retain(|(image, ..)| *image != recorder);
        Ok((result, seen))
    }

    /// An error when events were lost.
    fn ensure_complete(&self) -> Result<()> {
        for cpu in fs::read_dir(self.instance.join("per_cpu"))? {
            let stats = fs::read_to_string(cpu?.path().join("stats"))?;
            for line in stats.lines() {
                let lost = line.split_once(": ").filter(|(what, _)| {
                    ["overrun", "commit overrun", "dropped events"].contains(what)
                });
                ensure!(
                    lost.is_none_or(|(_, count)| count == "0"),
                    "the tracepoints lost events: {line}"
                );
            }
        }
        Ok(())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // Nothing else can be done about what fails here.
        let _ = fs::remove_dir(&self.instance);
        let _ = Command::new("umount").arg(self.mount.path()).status();
    }
}

/// One event.
#[derive(PartialEq, Eq, Debug)]
enum Event<'a> {
    Call { number: u32, args: [u64; 6] },
    Exec { path: &'a str },
    Fork { child: u32 },
}

/// The events of a text, each with the task that it is of.
fn events(text: &str) -> impl Iterator<Item = (u32, Event<'_>)> {
    text.lines().filter_map(|line| {
        let call = line
            .rsplit_once(": sys_enter: NR ")
            .and_then(|(head, rest)| {
                let (number, rest) = rest.split_once(" (")?;
                let mut args = [0; 6];
                let values = rest.strip_suffix(')')?.split(", ");
                for (arg, value) in args.iter_mut().zip(values) {
                    *arg = u64::from_str_radix(value, 16).ok()?;
                }
                let number = number.parse::<i64>().ok()? as u32;
                Some((head, Event::Call { number, args }))
            });
        let exec = || {
            let (head, rest) = line.rsplit_once(": sched_process_exec: filename=")?;
            let path = rest.rsplit_once(" pid=")?.0;
            Some((head, Event::Exec { path }))
        };
        let fork = || {
            let (head, rest) = line.rsplit_once(": sched_process_fork: ")?;
            let child = rest.rsplit_once("child_pid=")?.1.parse().ok()?;
            Some((head, Event::Fork { child }))
        };
        let (head, event) = call.or_else(exec).or_else(fork)?;
        let task = head.rsplit_once(" [")?.0.trim_end().rsplit_once('-')?.1;
        Some((task.parse().ok()?, event))
    })
}

/// Program, call and values of what was made, without what a recorder makes tasks do.
fn made<'a>(
    events: impl Iterator<Item = (u32, Event<'a>)>,
    image_of: impl Fn(&str) -> String,
) -> Seen {
    let mut images: HashMap<u32, String> = HashMap::new();
    let mut calls: HashMap<u32, Vec<(String, u32, [u64; 6])>> = HashMap::new();
    for (task, event) in events {
        match event {
            Event::Exec { path } => drop(images.insert(task, image_of(path))),
            Event::Fork { child } => {
                if let Some(image) = images.get(&task).cloned() {
                    images.insert(child, image);
                }
            }
            // Of who has executed nothing yet since it was followed.
            Event::Call { number, args } => {
                if let Some(image) = images.get(&task).cloned() {
                    calls.entry(task).or_default().push((image, number, args));
                }
            }
        }
    }
    let mut seen = Seen::new();
    for mut own in calls.into_values() {
        without_injections(&mut own);
        seen.extend(own.into_iter().map(|(image, number, args)| {
            let number = Sysno(number);
            let name = Arch::NATIVE.name(number);
            let places = Arch::NATIVE.deciding(number);
            let values = places.map(|(index, argument)| {
                let value = args[usize::from(index)];
                let bits = if argument.width == 32 {
                    u64::from(u32::MAX)
                } else {
                    u64::MAX
                };
                format!("{:#x}", value & bits)
            });
            let name = name.map_or_else(|| number.0.to_string(), str::to_owned);
            (image, name, values.collect())
        }));
    }
    seen
}

/// Takes out of the calls of a task those that load the recorder's filters: `seccomp` with the flag that
/// nobody but it uses, and the mapping around it that holds the filter.
fn without_injections(calls: &mut Vec<(String, u32, [u64; 6])>) {
    let number = |name: &str| Arch::NATIVE.number(name).map(|n| n.0);
    let (seccomp, mmap, munmap) = (number("seccomp"), number("mmap"), number("munmap"));
    const SPEC_ALLOW: u64 = 4;
    while let Some(at) = calls
        .iter()
        .position(|(_, n, args)| Some(*n) == seccomp && args[..2] == [1, SPEC_ALLOW])
    {
        let place = calls[at].2[2];
        let is_unmap =
            |(_, n, args): &(String, u32, [u64; 6])| Some(*n) == munmap && args[0] == place;
        let mapped = calls.get(at + 1).is_some_and(is_unmap)
            && at
                .checked_sub(1)
                .is_some_and(|before| Some(calls[before].1) == mmap);
        match mapped {
            true => drop(calls.drain(at - 1..=at + 1)),
            false => drop(calls.remove(at)),
        }
    }
}

/// The program that runs when `path` is executed: of a script, its interpreter.
fn image_of(path: &str, directory: &Path) -> String {
    let file = directory.join(path);
    let bytes = fs::read(&file).unwrap_or_default();
    let line = bytes
        .strip_prefix(b"#!")
        .and_then(|rest| rest.split(|b| *b == b'\n').next());
    let interpreter = line.and_then(|line| {
        let words = std::str::from_utf8(line).ok()?;
        words.split_whitespace().next().map(PathBuf::from)
    });
    let file = interpreter.unwrap_or(file);
    fs::canonicalize(&file)
        .unwrap_or(file)
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# tracer: nop
              sh-20      [000] ..... 1.1: sys_enter: NR 1 (0, 0, 0, 0, 0, 0)
 a: sys_e [1]-b-20      [000] ..... 1.2: sched_process_exec: filename=/bin/a b pid=20 old_pid=20
              a-20      [000] ..... 1.3: sys_enter: NR 16 (1, 100005401, 7f, 0, 0, 0)
              a-20      [001] ..... 1.4: sched_process_fork: comm=a pid=20 child_comm=a child_pid=21
              a-21      [001] ..... 1.5: sys_enter: NR 9 (0, 1000, 3, 22, ffffffffffffffff, 0)
              a-21      [001] ..... 1.6: sys_enter: NR 317 (1, 4, 7f00, 0, 0, 0)
              a-20      [001] ..... 1.6: sys_enter: NR 39 (0, 0, 0, 0, 0, 0)
              a-21      [001] ..... 1.7: sys_enter: NR 11 (7f00, 1000, 0, 0, 0, 0)
              a-21      [001] ..... 1.8: sys_enter: NR 317 (1, 4, 7ff0, 0, 0, 0)
              a-21      [001] ..... 1.9: sys_enter: NR 12 (0, 0, 0, 0, 0, 0)
";

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn calls_are_of_programs_and_injections_are_none() {
        let seen = made(events(TEXT), str::to_owned);
        let one = |name: &str, values: &[&str]| {
            let values = values.iter().map(|v| (*v).to_owned()).collect();
            ("/bin/a b".to_owned(), name.to_owned(), values)
        };
        let expected = [
            one("ioctl", &["0x5401"]),
            one("getpid", &[]),
            one("brk", &[]),
        ];
        assert_eq!(seen, Seen::from(expected));
    }
}
