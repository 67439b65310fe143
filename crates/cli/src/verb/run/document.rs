//! The verdict of a run as a document.

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_abi::{Arch, Assumed, ResidualKind, SyscallSet, Sysno};
use portcullis_policy::{Class, Policy};
use portcullis_sandbox::{Mode, Outcome, Verdict};
use portcullis_scan::image::{Addr, Image};
use portcullis_watch::{Answer, Denial, Record};

use crate::analysis::Wanted;
use crate::json::verdict as json;

/// The document of a finished run.
pub(super) fn document(
    set: &SyscallSet,
    policy: &Policy,
    wanted: &Wanted,
    verdict: &Verdict<Record>,
    late: Option<json::Late>,
) -> json::Document {
    let denials = &verdict.report.denials;
    // Function names cost a look at every file: only who was denied something needs them.
    let image = if denials.is_empty() {
        None
    } else {
        wanted.image()
    };
    let (outcome, exit_code, signal, failure) = match &verdict.outcome {
        Outcome::Exited(code) => ("exited", Some(*code), None, None),
        Outcome::Signaled(signal) => ("signaled", None, Some(*signal), None),
        Outcome::Denied => ("denied", None, None, None),
        Outcome::Limit(_) => ("limit", None, None, None),
        Outcome::Failed(reason) => ("failed", None, None, Some(reason.clone())),
    };
    json::Document {
        schema: "portcullis.verdict",
        version: 1,
        program: json::Program {
            path: set.binary.path.clone(),
            script: set.binary.script.as_ref().map(|(path, _)| path.clone()),
        },
        mode: match verdict.mode {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        },
        outcome,
        exit_code,
        signal,
        limit: match &verdict.outcome {
            Outcome::Limit(limit) => Some((*limit).to_owned()),
            _ => None,
        },
        failure,
        enforced: verdict.enforced.iter().map(layer).collect(),
        not_enforced: verdict
            .not_enforced
            .iter()
            .map(|m| json::Missing {
                layer: m.layer.into(),
                reason: m.reason.clone(),
            })
            .collect(),
        denials: denials
            .iter()
            .map(|d| denial(set, policy, image.as_ref(), d))
            .collect(),
        late,
        residuals: residuals(set),
        usage: json::Usage {
            cpu_ns: verdict.usage.cpu_ns,
            wall_ns: verdict.usage.wall_ns,
            peak_memory_bytes: verdict.usage.peak_memory_bytes,
        },
    }
}

fn layer(layer: &portcullis_sandbox::Layer) -> json::Layer {
    json::Layer {
        layer: layer.layer.into(),
        mechanism: layer.mechanism.into(),
        scope: layer.scope.into(),
        detail: layer.detail.clone(),
    }
}

fn residuals(set: &SyscallSet) -> Vec<json::ResidualCount> {
    let mut counts: BTreeMap<ResidualKind, usize> = BTreeMap::new();
    for residual in &set.residuals {
        *counts.entry(residual.kind).or_default() += 1;
    }
    let counts = counts.into_iter();
    let count = |(kind, count): (ResidualKind, usize)| json::ResidualCount {
        kind: kind.name(),
        count,
    };
    counts.map(count).collect()
}

fn denial(
    set: &SyscallSet,
    policy: &Policy,
    image: Option<&Image>,
    denial: &Denial,
) -> json::Denial {
    let call = &denial.call;
    let number = Sysno(call.number);
    let arch = Arch::of_call(call.arch, call.number);
    let name = arch.and_then(|arch| arch.name(number));
    let class = policy.class(call.arch, call.number);
    let rule = match (denial.rule, class) {
        (Some(rule), _) => format!("of rule {}", rule + 1),
        (None, Class::Known) => match contradicted(set, denial) {
            Some(id) => format!("the call contradicts what is assumed about {id}"),
            None => "the call is not in the derived set".into(),
        },
        (None, Class::Newer) => "no table knows the call".into(),
        (None, Class::Foreign) => foreign_rule(arch),
    };
    let path = denial.strings.first().map(|(_, bytes)| bytes);
    let backtrace = frames(image, denial);
    json::Denial {
        code: match (denial.answer, class) {
            (_, Class::Foreign) => "PC0303",
            (Answer::LetThrough, _) => "PC0302",
            _ => "PC0301",
        },
        layer: "seccomp".into(),
        arch: arch.map_or_else(|| format!("{:#x}", call.arch), |arch| arch.to_string()),
        syscall: name.map_or(call.number.to_string(), str::to_owned),
        number: call.number,
        args: (0u8..)
            .zip(call.args)
            .map(|(index, value)| json::Arg {
                index,
                value: format!("{value:#x}"),
                symbol: (arch.zip(name)).and_then(|(arch, name)| arch.symbol(name, index, value)),
            })
            .collect(),
        path: path.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        rule,
        suggestion: match class {
            Class::Foreign => None,
            _ => suggestion(set, &backtrace),
        },
        backtrace,
        count: denial.count,
    }
}

/// The rule that answers foreign calls, for a call of `arch`.
fn foreign_rule(arch: Option<Arch>) -> String {
    match arch {
        Some(Arch::X32) => "the x32 rule: the number has bit 30 set".into(),
        Some(arch) => format!("the foreign-architecture rule: it is a call of {arch}"),
        None => "the foreign-architecture rule: no table knows the architecture".into(),
    }
}

/// The statement about the place where the call was made, if there is one: its residual's id.
fn contradicted<'a>(set: &'a SyscallSet, denial: &Denial) -> Option<&'a str> {
    let made = denial.backtrace.first()?;
    let mapped = made.object.as_deref()?;
    let is_there = |assumed: &&Assumed| {
        let at = &assumed.residual.at;
        made.file_address == Some(at.address)
            && set
                .objects
                .get(at.object)
                .is_some_and(|o| is_same(Path::new(&o.path), mapped))
    };
    Some(&set.assumed.iter().find(is_there)?.residual.id)
}

/// Whether a scanned path leads to the file that is mapped.
fn is_same(scanned: &Path, mapped: &Path) -> bool {
    scanned == mapped || std::fs::canonicalize(scanned).is_ok_and(|path| path == mapped)
}

fn frames(image: Option<&Image>, denial: &Denial) -> Vec<json::Frame> {
    let frames = denial.backtrace.iter().enumerate();
    let frame = |(index, frame): (usize, &portcullis_watch::Frame)| {
        // A return address can already be behind the function that called.
        let place = frame
            .file_address
            .map(|a| a - u64::from(index > 0 && a > 0));
        let object = frame.object.as_ref().map(|p| p.display().to_string());
        let function = image.zip(object.as_ref()).zip(place);
        json::Frame {
            function: function.and_then(|((image, path), at)| name(image, path, at)),
            address: format!("{:#x}", frame.file_address.unwrap_or(frame.address)),
            object,
        }
    };
    frames.map(frame).collect()
}

fn name(image: &Image, path: &str, at: u64) -> Option<String> {
    let mut objects = image.objects.iter();
    let object = objects.find(|o| is_same(&o.path, Path::new(path)))?;
    let (name, _) = image.function_name(Addr(object.base.wrapping_add(at)))?;
    Some(portcullis_scan::demangle(name))
}

/// A call of a library that was not analysed is answered by naming the library.
fn suggestion(set: &SyscallSet, backtrace: &[json::Frame]) -> Option<String> {
    let known = |path: &str| {
        let mut objects = set.objects.iter();
        objects.any(|o| is_same(Path::new(&o.path), Path::new(path)))
    };
    let paths = backtrace.iter().filter_map(|f| f.object.as_deref());
    let strange = paths
        .filter(|p| p.starts_with('/'))
        .find(|path| !known(path))?;
    Some(format!(
        "{strange} was loaded while the program ran and was not analysed: name it with --plugin {strange}"
    ))
}
