//! One denial of the verdict: what was called and where, which rule answered it, and what would allow it.

use std::path::Path;

use portcullis_abi::{Arch, Assumed, Residual, ResidualKind, Risk, SyscallSet, Sysno, errno_name};
use portcullis_bpf::Program;
use portcullis_policy::{Action, ActionMap, Asked, Call, Class, Provenance, Rule, toml};
use portcullis_sandbox::Plan;
use portcullis_watch::{Answer, Denial, Frame, Function, Shown, Sources};

use super::also::Layers;
use super::chosen::{self, Chosen};
use super::phases::Phases;
use crate::json::verdict as json;

/// Bytes that an instruction that calls can have (x86: 15 are the most of any).
const LONGEST_CALL: u64 = 15;

/// What denials are explained by.
pub(super) struct Explaining<'a> {
    pub(super) set: &'a SyscallSet,
    pub(super) chosen: &'a Chosen,
    /// The filter with the placeholder in place of the secret, and what it answers differently.
    pub(super) filter: &'a Program,
    pub(super) map: &'a ActionMap,
    pub(super) plan: &'a Plan,
    pub(super) phases: Option<&'a Phases>,
    /// Without them places are addresses, and no path is looked at.
    pub(super) sources: Option<Sources<'a>>,
}

impl Explaining<'_> {
    /// The document of one denial.
    pub(super) fn denial(&mut self, denial: &Denial) -> json::Denial {
        let told = self.by_policy(denial);
        match denial.answer {
            Answer::OwnKilled | Answer::OwnThreadKilled => json::Denial {
                code: "PC0306",
                layer: "own-filter".into(),
                rule: "a filter that the program installed itself kills it; the policy lets it be made"
                    .into(),
                rule_text: None,
                rule_place: None,
                filter: None,
                suggestion: None,
                allow: None,
                risk: None,
                also: None,
                also_unknown: denial.count,
                ..told
            },
            _ => match self.phase(denial) {
                None => told,
                Some(phase) => json::Denial {
                    code: "PC0332",
                    rule: format!("the program does not need it any more in its phase {phase}"),
                    rule_text: None,
                    rule_place: None,
                    filter: None,
                    suggestion: None,
                    ..told
                },
            },
        }
    }

    /// The phase that takes the call away.
    fn phase(&self, denial: &Denial) -> Option<&str> {
        let (phase, _) = self.phases?.at(denial.phase?)?;
        Some(phase)
    }

    fn by_policy(&mut self, denial: &Denial) -> json::Denial {
        let call = asked_of_policy(denial);
        let decision = self.chosen.policy.decide(&call);
        let rule = decision.rule.and_then(|(table, rule)| {
            let table = self.chosen.policy.tables.get(table)?;
            Some((table.arch, table.rules.get(rule)?))
        });
        let arch = Arch::of_call(call.arch, call.number);
        let number = Sysno(call.number);
        let name = arch.and_then(|arch| arch.name(number));
        let backtrace = self.frames(denial);
        let (suggestion, allow) = match decision.class {
            Class::Foreign => (None, None),
            // What the analysis lacks is no reason where a rule says what to answer.
            _ if decision.rule.is_some() || self.chosen.file().is_some() => {
                (None, permitted(denial))
            }
            _ => (self.advice(denial, &backtrace), permitted(denial)),
        };
        let path = denial.shown.iter().find_map(|(_, shown)| match shown {
            Shown::Path(bytes) => Some(lossy(bytes)),
            _ => None,
        });
        let layers = match (&self.sources, denial.answer) {
            (None, _) | (_, Answer::LetThrough) => Layers::unknown(denial.count),
            _ => Layers::of(self.plan, denial),
        };
        json::Denial {
            code: code(denial.answer, decision.class, rule.map(|(_, rule)| rule)),
            layer: "seccomp".into(),
            answer: answer(denial.answer),
            pid: Some(denial.pid),
            tid: Some(denial.tid),
            thread: lossy(&denial.thread),
            image: denial.image.as_ref().map(|p| p.display().to_string()),
            arch: arch.map_or_else(|| format!("{:#x}", call.arch), |arch| arch.to_string()),
            syscall: Some(name.map_or(call.number.to_string(), str::to_owned)),
            number: Some(call.number),
            ip: Some(format!("{:#x}", call.ip)),
            args: arguments(denial, arch.zip(name)),
            path,
            rule: self.reason(denial, decision.class, rule.map(|(_, rule)| rule)),
            rule_text: rule.map(|(arch, rule)| toml::write_rule(arch, rule)),
            rule_place: self.chosen.place(decision),
            filter: self.instruction(&call, decision.class, decision.action),
            backtrace,
            suggestion,
            allow,
            risk: name.map(|name| {
                let (level, why) = Risk::of(name);
                json::Risk {
                    level: level.name(),
                    why,
                }
            }),
            also: layers.also,
            also_unknown: layers.unknown,
            blockers: Vec::new(),
            audited: 0,
            count: denial.count,
        }
    }

    /// Why the call was denied, in one sentence.
    fn reason(&self, denial: &Denial, class: Class, rule: Option<&Rule>) -> String {
        let file = self.chosen.file();
        let default = |action: Action| format!("which it answers with {}", said(action));
        match (rule, class) {
            (Some(rule), _) => match rule.provenance.first() {
                Some(Provenance::Note(note)) => note.clone(),
                _ => format!("a rule answers it with {}", said(rule.action)),
            },
            (None, Class::Foreign) => {
                foreign_rule(Arch::of_call(denial.call.arch, denial.call.number))
            }
            (None, class) => {
                let decision = self.chosen.policy.decide(&asked_of_policy(denial));
                match (file, class) {
                    (Some(file), Class::Newer) => format!(
                        "no rule of {file} is about it, and it is newer than its baseline, {}",
                        default(decision.action)
                    ),
                    (Some(file), _) => {
                        format!("no rule of {file} allows it, {}", default(decision.action))
                    }
                    (None, Class::Newer) => "no table knows the call".into(),
                    (None, _) => match contradicted(self.set, denial) {
                        Some(id) => format!("the call contradicts what is assumed about {id}"),
                        None => "the call is not in the derived set".into(),
                    },
                }
            }
        }
    }

    /// The instruction of the filter that answered; `None` where the filter's answer is not that of the policy
    /// under the declared map, which cannot be.
    fn instruction(&self, call: &Call, class: Class, action: Action) -> Option<json::Instruction> {
        let path = portcullis_bpf::path(self.filter, call);
        let answered = portcullis_bpf::run(self.filter, call);
        let expected = match class {
            Class::Foreign => action,
            _ => self.map.answer(action),
        };
        let of = self.filter.instructions().len();
        let at = path.last().copied()?;
        let found = Action::from_code(answered);
        // Observed, the tracer also sees calls that the policy answers otherwise.
        (found == expected || matches!(found, Action::Trace(_))).then(|| json::Instruction {
            instruction: at,
            of,
            answer: found.to_string(),
        })
    }

    fn frames(&mut self, denial: &Denial) -> Vec<json::Frame> {
        let mut all = Vec::new();
        for (index, frame) in denial.backtrace.iter().enumerate() {
            let object = frame.object.as_ref().map(|p| p.display().to_string());
            let functions = match &mut self.sources {
                Some(sources) => sources.at(frame, index == 0),
                None => vec![Function::default()],
            };
            for function in functions {
                all.push(json::Frame {
                    object: object.clone(),
                    address: format!("{:#x}", frame.file_address.unwrap_or(frame.address)),
                    function: function.name.as_deref().map(portcullis_scan::demangle),
                    inlined: function.inlined,
                    source: function.line.as_ref().map(|(file, _)| file.clone()),
                    line: function.line.map(|(_, line)| line),
                    certain: frame.certain,
                });
            }
        }
        all
    }

    /// What the analysis lacked.
    fn advice(&self, denial: &Denial, backtrace: &[json::Frame]) -> Option<String> {
        let residual = || self.residual(denial).map(|r| assumption(denial, r));
        strange(self.set, denial.image.as_deref(), backtrace).or_else(residual)
    }

    /// The place on the stack that the analysis left open.
    fn residual(&self, denial: &Denial) -> Option<&Residual> {
        let of_calls =
            |r: &&Residual| matches!(r.kind, ResidualKind::Number | ResidualKind::Target);
        let frames = || denial.backtrace.iter().enumerate();
        let is_there = |r: &&Residual| {
            let object = self.set.objects.get(r.at.object);
            frames().any(|(index, frame)| {
                let place = frame.file_address.zip(frame.object.as_deref());
                place.is_some_and(|(at, mapped)| {
                    let behind = at.wrapping_sub(r.at.address);
                    let fits = match index {
                        0 => behind == 0,
                        _ => (1..=LONGEST_CALL).contains(&behind),
                    };
                    fits && object.is_some_and(|o| is_same(Path::new(&o.path), mapped))
                })
            })
        };
        self.set.residuals.iter().filter(of_calls).find(is_there)
    }
}

/// What would allow the call with the arguments that say what it does.
fn permitted(denial: &Denial) -> Option<json::Allow> {
    let (arch, asked) = asked(denial)?;
    let question = question(arch, &asked);
    Some(json::Allow {
        policy: toml::write_rule(arch, &chosen::permission(&asked)),
        option: match question.contains('(') {
            true => format!("--allow '{question}'"),
            false => format!("--allow {question}"),
        },
    })
}

/// The call with just the arguments that say what it does; `None` when no table knows its architecture.
pub(super) fn asked(denial: &Denial) -> Option<(Arch, Asked)> {
    let call = &denial.call;
    let arch = Arch::of_call(call.arch, call.number)?;
    let mut asked = Asked {
        arch: call.arch,
        number: call.number,
        args: [None; 6],
    };
    for (index, _) in arch.deciding(Sysno(call.number)) {
        let index = usize::from(index);
        asked.args[index] = Some(call.args[index]);
    }
    Some((arch, asked))
}

/// The call as policies are asked.
fn asked_of_policy(denial: &Denial) -> Call {
    let call = &denial.call;
    Call {
        arch: call.arch,
        number: call.number,
        ip: call.ip,
        args: call.args,
    }
}

fn code(answer: Answer, class: Class, rule: Option<&Rule>) -> &'static str {
    let is_listener = |rule: &Rule| {
        matches!(rule.provenance.as_slice(),
            [Provenance::Note(note)] if note == portcullis_policy::NO_LISTENER)
    };
    match (answer, class) {
        (_, Class::Foreign) => "PC0303",
        (Answer::LetThrough, _) => "PC0302",
        (Answer::Errno(_), _) if rule.is_some_and(is_listener) => "PC0305",
        (Answer::Errno(_), _) => "PC0304",
        _ => "PC0301",
    }
}

/// As the document has it: `kill-process`, `kill-thread`, `trap`, `errno EPERM`, `let-through`.
pub(super) fn answer(answer: Answer) -> String {
    match answer {
        Answer::Killed | Answer::OwnKilled => "kill-process".into(),
        Answer::ThreadKilled | Answer::OwnThreadKilled => "kill-thread".into(),
        Answer::Trapped => "trap".into(),
        Answer::Errno(0) => "errno".into(),
        Answer::Errno(number) => format!("errno {}", errno(number)),
        Answer::LetThrough => "let-through".into(),
    }
}

fn errno(number: u16) -> String {
    errno_name(number).map_or(number.to_string(), str::to_owned)
}

/// An answer of a policy in a sentence.
fn said(action: Action) -> String {
    match action {
        Action::KillProcess => "a kill of the process".into(),
        Action::KillThread => "a kill of the thread".into(),
        Action::Trap(_) => "a SIGSYS".into(),
        Action::Errno(number) => errno(number),
        Action::Notify | Action::Trace(_) => {
            format!("`{action}`; there is nobody who is asked, so it gets ENOSYS")
        }
        Action::Log | Action::Allow => format!("`{action}`"),
    }
}

fn arguments(denial: &Denial, known: Option<(Arch, &str)>) -> Vec<json::Arg> {
    let call = &denial.call;
    let declared = known.and_then(|(arch, _)| arch.arguments(Sysno(call.number)));
    let one = |(index, value): (u8, u64)| {
        let argument = declared.and_then(|all| all.get(usize::from(index)));
        let shown = denial.shown.iter().find(|(at, _)| *at == index);
        json::Arg {
            index,
            name: argument.map(|a| a.name()),
            value: format!("{value:#x}"),
            symbol: known.and_then(|(arch, name)| arch.symbol(name, index, value)),
            observed: shown.map(|(_, shown)| observed(shown)),
        }
    };
    (0u8..).zip(call.args).map(one).collect()
}

fn observed(shown: &Shown) -> json::Observed {
    let (kind, text) = match shown {
        Shown::Path(bytes) => ("path", lossy(bytes)),
        Shown::Text(bytes) => ("text", lossy(bytes)),
        Shown::Address(bytes) => ("address", lossy(bytes)),
        Shown::Descriptor(bytes) => ("descriptor", lossy(bytes)),
        Shown::Structure(fields) => {
            let field = |(name, value): &(&str, String)| format!("{name}={value}");
            let fields: Vec<String> = fields.iter().map(field).collect();
            ("structure", fields.join(", "))
        }
    };
    json::Observed { kind, text }
}

/// Text of the program as a string of the document; it is made harmless where it is written.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A call with the arguments that say what it does, as `--allow` and `explain` take it.
fn question(arch: Arch, asked: &Asked) -> String {
    let number = Sysno(asked.number);
    let name = arch.name(number);
    let last = asked.args.iter().rposition(Option::is_some);
    let Some((name, last)) = name.zip(last) else {
        return name.map_or(number.to_string(), str::to_owned);
    };
    let part = |(index, value): (u8, &Option<u64>)| match value {
        None => "_".to_owned(),
        Some(value) => {
            let symbol = arch.symbol(name, index, *value);
            symbol.unwrap_or_else(|| format!("{value:#x}"))
        }
    };
    let parts: Vec<String> = (0u8..).zip(&asked.args[..=last]).map(part).collect();
    format!("{name}({})", parts.join(", "))
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
    let made: &Frame = denial.backtrace.first()?;
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

/// What to state about a place that the analysis could not tell.
fn assumption(denial: &Denial, residual: &Residual) -> String {
    let arch = Arch::of_call(denial.call.arch, denial.call.number);
    let name = arch.and_then(|arch| arch.name(Sysno(denial.call.number)));
    let name = name.map_or(denial.call.number.to_string(), str::to_owned);
    format!(
        "the analysis could not tell what is called here; state it in a file for --assume: {} = {{ {name} }}",
        residual.id
    )
}

/// A call of a program or library that was not analysed is answered by naming it.
fn strange(set: &SyscallSet, image: Option<&Path>, backtrace: &[json::Frame]) -> Option<String> {
    let known = |path: &str| {
        let mut objects = set.objects.iter();
        objects.any(|o| is_same(Path::new(&o.path), Path::new(path)))
    };
    let paths = backtrace.iter().filter_map(|f| f.object.as_deref());
    let strange = paths
        .filter(|p| p.starts_with('/'))
        .find(|path| !known(path))?;
    if image == Some(Path::new(strange)) {
        return Some(format!(
            "{strange} was started and is not analysed: name it with --exec {strange}"
        ));
    }
    Some(format!(
        "{strange} was loaded while the program ran and was not analysed: name it with --plugin {strange}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_reads_back_as_the_rule() {
        let arch = Arch::X86_64;
        let number = arch.number("socket").unwrap();
        let asked = Asked {
            arch: arch.audit_arch(),
            number: number.0,
            args: [Some(2), Some(0x80001), Some(0), None, None, None],
        };
        let text = question(arch, &asked);
        assert_eq!(text, "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0x0)");
        assert_eq!(Asked::read(&text, arch).unwrap(), asked);
        let open = Asked {
            number: 104,
            args: [None; 6],
            ..asked
        };
        assert_eq!(question(arch, &open), "getgid");
    }
}
