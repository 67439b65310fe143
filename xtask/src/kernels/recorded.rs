//! Suite: recordings. The static command records a program that makes one call again and again, with each
//! back-end and under a policy.

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::{Arch, KernelVersion};
use serde_json::Value;

use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment, Judge};

/// A call that every kernel answers.
const CALL: &str = "getppid";
/// How often the program makes it.
const TIMES: u64 = 3000;
/// What the program ends with.
const CODE: i32 = 3;
/// Every call stops, on an emulated processor.
const SECONDS: u32 = 200;
/// The file of the policy under which it is recorded.
const POLICY: &str = "record.toml";
/// `EXDEV`.
const DENIED: i64 = 18;
/// Since then programs in the kernel may be interrupted, and the kernel leaves them out meanwhile: it counts how often.
const INTERRUPTED: KernelVersion = KernelVersion::new(7, 0);
/// What tells that.
const LEFT_OUT: &str = "PC0511";

/// What is tried.
pub(crate) fn cases(environment: &Environment, files: &mut Files) -> Result<Vec<Case>> {
    let number = environment.arch.number(CALL).context(CALL)?.0;
    files.add(POLICY, policy(environment.arch).into_bytes());
    let under_policy = ["--policy".into(), Word::File(POLICY.to_owned())];
    let version: KernelVersion = environment
        .release
        .parse()
        .context("the kernel's release")?;
    let mut in_kernel = case(
        "programs in the kernel see and count every call",
        number,
        &["--backend".into(), "ebpf".into()],
        Box::new(move |seen| in_kernel(seen, version >= INTERRUPTED)),
    );
    in_kernel.needs.push(Feature::EbpfRing.into());
    Ok(vec![
        case(
            "every call is seen and counted",
            number,
            &["--full".into()],
            Box::new(full),
        ),
        in_kernel,
        case("known calls run free", number, &[], Box::new(free)),
        case(
            "what a policy denies is told",
            number,
            &under_policy,
            Box::new(denied),
        ),
    ])
}

fn policy(arch: Arch) -> String {
    format!(
        "schema = \"portcullis.policy\"\nversion = 1\narch = \"{arch}\"\nbaseline = \"none\"\n\
         default = \"allow\"\n\n[[rule]]\ncalls = [\"{CALL}\"]\naction = \"errno:{DENIED}\"\n"
    )
}

fn case(name: &str, number: u32, options: &[Word], judge: Judge) -> Case {
    // Another run with the same file would be added behind.
    let trace = format!("{}.trace", name.replace(' ', "-"));
    let trace = trace.as_str();
    let mut words = vec![Word::from(trace), Word::File("portcullis".to_owned())];
    words.extend(["record", "-o", trace].map(Word::from));
    words.extend(options.iter().cloned());
    words.extend([Word::from("--"), Word::File("caller".to_owned())]);
    let own = ["native".to_owned(), number.to_string(), TIMES.to_string()];
    words.extend(own.map(Word::Text));
    Case {
        name: name.to_owned(),
        needs: [
            Feature::Seccomp,
            Feature::SeccompKillProcess,
            Feature::SyscallInfo,
            Feature::Pidfd,
        ]
        .map(Need::from)
        .into(),
        step: Step::then_shown(words, SECONDS),
        judge,
    }
}

/// What one run showed.
struct Run {
    /// What the last call returned.
    value: i64,
    facts: Vec<Value>,
}

impl Run {
    fn of(seen: &Seen) -> Result<Run> {
        let text = seen.text(CODE)?;
        let at = text.find('{').context("no trace")?;
        let (wrote, trace) = text.split_at(at);
        let value = wrote.strip_prefix("before\n").context("no first line")?;
        let facts = trace.lines().map(serde_json::from_str);
        Ok(Run {
            value: value.trim_end().parse().context("no value")?,
            facts: facts.collect::<Result<_, _>>()?,
        })
    }

    fn told(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.facts.iter().filter_map(move |fact| fact.get(kind))
    }

    /// The call's number in the trace.
    fn call(&self) -> Result<&Value> {
        let mut all = self.told("call");
        let own = all.find(|call| call["name"] == CALL);
        Ok(&own.context("the call is not in the trace")?["id"])
    }

    fn count(&self) -> Result<u64> {
        let call = self.call()?;
        let told = self
            .told("counts")
            .filter_map(|told| told["calls"].as_array());
        let own = told.flatten().filter(|pair| pair[0] == *call);
        let last = own.last().context("it is not counted")?;
        last[1].as_u64().context("no number")
    }

    fn filters(&self) -> Result<u64> {
        let end = self.told("end").last().context("the trace has no end")?;
        end["filters"].as_u64().context("no number")
    }
}

fn full(seen: &Seen) -> Result<usize> {
    let run = Run::of(seen)?;
    ensure!(run.value >= 0, "the call failed: {}", run.value);
    ensure!(run.count()? == TIMES, "it was seen {} times", run.count()?);
    ensure!(run.filters()? == 0, "there is a filter");
    Ok(3)
}

fn in_kernel(seen: &Seen, interrupted: bool) -> Result<usize> {
    let run = Run::of(seen)?;
    let left_out = |remark: &Value| interrupted && remark["code"] == LEFT_OUT;
    let (told, others): (Vec<_>, Vec<_>) = run.told("remark").partition(|remark| left_out(remark));
    ensure!(others.is_empty(), "remarks: {others:?}");
    let images: Vec<&Value> = run.told("image").collect();
    ensure!(images.len() == 1, "programs: {images:?}");
    ensure!(
        images[0]["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("/caller")),
        "{}",
        images[0]
    );
    ensure!(!images[0]["identity"].is_null(), "the file was not found");
    if !told.is_empty() {
        let count = run.count()?;
        ensure!(count > 0 && count <= TIMES, "it was seen {count} times");
        return Ok(5);
    }
    full(seen)?;
    // The last call does not return, and is seen all the same.
    ensure!(
        run.told("call").any(|call| call["name"] == "exit_group"),
        "no end"
    );
    Ok(7)
}

fn free(seen: &Seen) -> Result<usize> {
    let run = Run::of(seen)?;
    ensure!(run.value >= 0, "the call failed: {}", run.value);
    ensure!(run.filters()? == 1, "{} filters", run.filters()?);
    let count = run.count()?;
    ensure!(count > 0 && count < TIMES, "it was seen {count} times");
    // What is new comes after that, and stops.
    ensure!(
        run.told("call").any(|call| call["name"] == "exit_group"),
        "no end"
    );
    Ok(4)
}

fn denied(seen: &Seen) -> Result<usize> {
    let run = Run::of(seen)?;
    ensure!(run.value == -DENIED, "the call returned {}", run.value);
    let call = run.call()?;
    let mut answers = run.told("denied").filter(|told| told["call"] == *call);
    let answer = answers.next().context("no denial is told")?;
    ensure!(answer["answer"] == format!("errno:{DENIED}"), "{answer}");
    Ok(3)
}
