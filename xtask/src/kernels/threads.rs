//! Suite: the program of three threads that the audit's tests are about, behind its filters. With those that fit
//! it runs to its end; without the rules of a call that a thread makes, it is stopped there.

#[path = "../../../testdata/audit/three_threads.rs"]
mod three_threads;

pub(super) use three_threads::with_musl;

use anyhow::{Context as _, Result, anyhow, ensure};
use portcullis_abi::Arch;
use portcullis_bpf::{compile, verify};
use portcullis_policy::format::{Format, firecracker};
use portcullis_policy::{Filter, Policy, Target};

use super::feature::Feature;
use super::initramfs::Files;
use super::programs;
use super::step::{Ended, Step, Word};
use super::suite::{Case, Environment};
use crate::place;

/// Its name in a machine.
const PROGRAM: &str = "three_threads";
/// The threads, in the order in which it is given their filters, each with calls that it makes in every run before
/// it, or who waits for it, ends the process. What decides on a call of several rules is in the tests of `policy`.
const THREADS: [(&str, &[&str]); 3] = [
    (
        "api",
        &["accept4", "socket", "setsockopt", "close", "write"],
    ),
    (
        "vmm",
        &[
            "epoll_create1",
            "epoll_ctl",
            "timerfd_settime",
            "read",
            "mmap",
            "madvise",
            "munmap",
            "ioctl",
            "fcntl",
            "openat",
            "lseek",
            "fsync",
            "clock_nanosleep",
            "exit_group",
        ],
    ),
    (
        "vcpu",
        &[
            "ioctl",
            "rt_sigprocmask",
            "futex",
            "getpid",
            "gettid",
            "tgkill",
            "write",
        ],
    ),
];
/// `SIGSYS` of both architectures: the default of the filters is `trap`.
const SIGSYS: i32 = 31;

/// Adds the program of an architecture.
pub(crate) fn provide(arch: Arch, files: &mut Files) -> Result<()> {
    let directory = tempfile::tempdir().context("make a directory")?;
    let program = directory.path().join(PROGRAM);
    three_threads::build(arch, &place::target(), &program);
    files.add(PROGRAM, programs::read(&program)?);
    Ok(())
}

/// The filters as they are, and one case for each call.
pub(crate) fn cases(environment: &Environment, files: &mut Files) -> Result<Vec<Case>> {
    let filters = filters(environment.arch)?;
    for (thread, _) in THREADS {
        let policy = policy(&filters, thread)?;
        files.add(input(thread), compiled(policy)?);
    }
    let mut cases = vec![case(
        "with the rules that fit it runs to its end",
        THREADS.map(|(thread, _)| input(thread)),
        Ended::Exit(0),
    )];
    for (thread, calls) in THREADS {
        for call in calls {
            let number = environment.arch.number(call).context(*call)?;
            let mut without = policy(&filters, thread)?.clone();
            let rules = without.tables.iter_mut().map(|table| &mut table.rules);
            let removed: usize = rules
                .map(|rules| {
                    let before = rules.len();
                    rules.retain(|rule| !rule.calls.contains(number.0));
                    before - rules.len()
                })
                .sum();
            ensure!(removed > 0, "{thread} has no rule of {call}");
            let changed = input(&format!("{thread}-without-{call}"));
            files.add(changed.as_str(), compiled(&without)?);
            let given = THREADS.map(|(other, _)| match other == thread {
                true => changed.clone(),
                false => input(other),
            });
            let name = format!("{thread} is stopped without {call}");
            cases.push(case(&name, given, Ended::Signal(SIGSYS)));
        }
    }
    Ok(cases)
}

/// The filters of the file, one for each thread.
fn filters(arch: Arch) -> Result<Vec<Filter>> {
    let file = three_threads::directory().join(format!("{PROGRAM}.{arch}.json"));
    let text = String::from_utf8(programs::read(&file)?)?;
    let target = Target {
        arches: vec![arch],
        capabilities: Vec::new(),
        kernel: (0, 0),
    };
    let source = firecracker::read(&text, Format::Firecracker, &target);
    let source = source.map_err(|mistake| anyhow!("{}: {mistake}", file.display()))?;
    Ok(source.filters)
}

fn policy<'a>(filters: &'a [Filter], thread: &str) -> Result<&'a Policy> {
    let own = |filter: &&Filter| filter.name.as_deref() == Some(thread);
    let filter = filters.iter().find(own);
    Ok(&filter
        .with_context(|| format!("no filter of {thread}"))?
        .policy)
}

/// Its filter, proved.
fn compiled(policy: &Policy) -> Result<Vec<u8>> {
    let proved = verify(compile(policy)?, policy)?;
    Ok(proved.program().to_bytes())
}

fn input(name: &str) -> String {
    format!("{PROGRAM}-{name}.bpf")
}

fn case(name: &str, filters: [String; 3], ends: Ended) -> Case {
    Case {
        name: name.to_owned(),
        needs: vec![Feature::Seccomp.into(), Feature::SeccompTrap.into()],
        step: Step {
            program: PROGRAM.to_owned(),
            environment: Vec::new(),
            arguments: filters.map(Word::File).into(),
            seconds: 60,
        },
        judge: Box::new(move |seen| {
            ensure!(seen.ended == ends, "it ended with {:?}", seen.ended);
            Ok(1)
        }),
    }
}
