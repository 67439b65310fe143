//! A program of three threads with a filter for each, in which single rules are changed: what was
//! changed must be found, and nothing else. It is built for each architecture that programs are
//! analysed for.

#[path = "../../../testdata/audit/three_threads.rs"]
mod three_threads;

use std::fmt::Write as _;
use std::sync::OnceLock;

use portcullis_abi::{Arch, SyscallSet};
use portcullis_policy::audit::{Audit, Code, Finding, Kind, Point, audit, subjects};
use portcullis_policy::format::{Format, firecracker};
use portcullis_policy::{Filter, Target};
use portcullis_scan::{LinkRequest, files::HostFiles, scan};

/// Calls that no thread makes behind its filter, or not so: some are made before it, or by another
/// thread.
const ADDED: [(&str, &str); 30] = [
    ("vmm", r#"{"syscall": "execve"}"#),
    ("vmm", r#"{"syscall": "clone"}"#),
    ("vmm", r#"{"syscall": "mprotect"}"#),
    ("vmm", r#"{"syscall": "prctl"}"#),
    ("vmm", r#"{"syscall": "eventfd2"}"#),
    ("vmm", r#"{"syscall": "rt_sigaction"}"#),
    ("vmm", r#"{"syscall": "recvfrom"}"#),
    ("vmm", r#"{"syscall": "write"}"#),
    (
        "vmm",
        r#"{"syscall": "ioctl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 44672}]}"#,
    ),
    (
        "vmm",
        r#"{"syscall": "fcntl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 4}]}"#,
    ),
    (
        "vmm",
        r#"{"syscall": "openat", "args": [{"index": 2, "type": "dword", "op": "eq", "val": 2}]}"#,
    ),
    (
        "vmm",
        r#"{"syscall": "mmap", "args": [{"index": 2, "type": "dword", "op": {"masked_eq": 4}, "val": 4}]}"#,
    ),
    ("api", r#"{"syscall": "ptrace"}"#),
    ("api", r#"{"syscall": "listen"}"#),
    ("api", r#"{"syscall": "bind"}"#),
    ("api", r#"{"syscall": "read"}"#),
    ("api", r#"{"syscall": "ioctl"}"#),
    ("api", r#"{"syscall": "getpid"}"#),
    (
        "api",
        r#"{"syscall": "socket", "args": [{"index": 0, "type": "dword", "op": "eq", "val": 1}]}"#,
    ),
    (
        "api",
        r#"{"syscall": "socket", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 3}]}"#,
    ),
    (
        "api",
        r#"{"syscall": "fcntl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 1}]}"#,
    ),
    (
        "api",
        r#"{"syscall": "setsockopt", "args": [{"index": 2, "type": "dword", "op": "eq", "val": 9}]}"#,
    ),
    ("vcpu", r#"{"syscall": "openat"}"#),
    ("vcpu", r#"{"syscall": "close"}"#),
    ("vcpu", r#"{"syscall": "prctl"}"#),
    ("vcpu", r#"{"syscall": "epoll_pwait"}"#),
    (
        "vcpu",
        r#"{"syscall": "ioctl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 1083223682}]}"#,
    ),
    (
        "vcpu",
        r#"{"syscall": "ioctl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 1074310753}]}"#,
    ),
    (
        "vcpu",
        r#"{"syscall": "ioctl", "args": [{"index": 1, "type": "dword", "op": {"masked_eq": 65280}, "val": 512}]}"#,
    ),
    (
        "vcpu",
        r#"{"syscall": "tgkill", "args": [{"index": 2, "type": "dword", "op": "eq", "val": 9}]}"#,
    ),
];

/// Runs each test for each architecture.
macro_rules! of_each_architecture {
    ($($test:ident)*) => {
        mod x86_64 {
            $(#[test] fn $test() { super::$test(portcullis_abi::Arch::X86_64); })*
        }
        mod aarch64 {
            $(#[test] fn $test() { super::$test(portcullis_abi::Arch::Aarch64); })*
        }
    };
}

of_each_architecture! {
    the_file_as_it_is_has_no_findings
    every_deletion_is_found
    every_addition_is_found
    widened_rules_are_found
    narrowed_rules_are_found
}

/// The calls of the program.
fn program(arch: Arch) -> &'static SyscallSet {
    static X86_64: OnceLock<SyscallSet> = OnceLock::new();
    static AARCH64: OnceLock<SyscallSet> = OnceLock::new();
    let set = match arch {
        Arch::Aarch64 => &AARCH64,
        _ => &X86_64,
    };
    set.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("three_threads");
        let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/..");
        three_threads::build(arch, target.as_ref(), &program);
        let scan = scan(&HostFiles::default(), &program, &LinkRequest::default());
        let set = scan.unwrap().set;
        assert_eq!(set.binary.arch, arch);
        set
    })
}

/// The rules of a file, as text: by filter.
#[derive(Clone)]
struct Rules {
    arch: Arch,
    filters: Vec<(String, Vec<String>)>,
}

impl Rules {
    fn read(arch: Arch) -> Rules {
        let file = three_threads::directory().join(format!("three_threads.{arch}.json"));
        let text = std::fs::read_to_string(file).unwrap();
        let mut filters: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some((name, _)) = line.split_once("\": {\"default_action\"") {
                filters.push((name.trim_start_matches('"').to_owned(), Vec::new()));
            } else if line.starts_with("{\"syscall\"") {
                let rule = line.trim_end_matches(',').to_owned();
                filters.last_mut().unwrap().1.push(rule);
            }
        }
        Rules { arch, filters }
    }

    fn text(&self) -> String {
        let mut text = "{".to_owned();
        for (n, (name, rules)) in self.filters.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let rules = rules.join(",\n");
            let _ = write!(
                text,
                "{comma}\"{name}\": {{\"default_action\": \"trap\", \"filter_action\": \"allow\", \
                 \"filter\": [\n{rules}\n]}}"
            );
        }
        text + "}"
    }

    fn audit(&self) -> (Vec<Filter>, Audit) {
        let target = Target {
            arches: vec![self.arch],
            capabilities: Vec::new(),
            kernel: (6, 1),
        };
        let read = firecracker::read(&self.text(), Format::Firecracker, &target);
        let filters = read.unwrap().filters;
        let named = [("vmm".to_owned(), "main".to_owned())];
        let subjects = subjects(program(self.arch), &filters, &named, &Point::Install);
        let audit = audit(&filters, &subjects);
        (filters, audit)
    }

    /// Each rule, and the filter that it is of.
    fn each(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        let filters = self.filters.iter().enumerate();
        filters.flat_map(|(filter, (_, rules))| {
            let rules = rules.iter().enumerate();
            rules.map(move |(n, rule)| (filter, n, &**rule))
        })
    }

    fn with(&self, filter: usize, rule: usize, text: Option<String>) -> Rules {
        let mut changed = self.clone();
        changed.filters[filter].1.splice(rule..=rule, text);
        changed
    }
}

/// The name of the call of a rule.
fn call(rule: &str) -> &str {
    rule.split('"').nth(3).unwrap()
}

/// The conditions of a rule, each as text.
fn conditions(rule: &str) -> Vec<&str> {
    let Some((_, args)) = rule.split_once("\"args\": [") else {
        return Vec::new();
    };
    args.trim_end_matches("]}")
        .split_inclusive('}')
        .map(|c| c.trim_start_matches(", "))
        .collect()
}

fn with_conditions(rule: &str, conditions: &[String]) -> String {
    let call = call(rule);
    match conditions.is_empty() {
        true => format!("{{\"syscall\": \"{call}\"}}"),
        false => format!(
            "{{\"syscall\": \"{call}\", \"args\": [{}]}}",
            conditions.join(", ")
        ),
    }
}

/// Whether something was found of a kind, of a call, in a filter; all else that was found is about the
/// same call of the same filter.
fn found(audit: &Audit, kind: Kind, filter: usize, call: &str) -> bool {
    let own = |f: &Finding| f.filter == Some(filter) && f.call == call;
    assert!(
        audit.findings.iter().all(own),
        "of {call}: {:#?}",
        audit.findings
    );
    audit.findings.iter().any(|f| f.code.kind() == kind)
}

fn the_file_as_it_is_has_no_findings(arch: Arch) {
    let (filters, audit) = Rules::read(arch).audit();
    assert_eq!(filters.len(), 3);
    assert!(filters.iter().all(|f| f.policy.tables[0].rules.len() >= 16));
    assert_eq!(audit.findings, []);
    assert_eq!(audit.on_purpose, []);
}

fn every_deletion_is_found(arch: Arch) {
    let rules = Rules::read(arch);
    let mut all = 0;
    for (filter, n, rule) in rules.each() {
        let (_, audit) = rules.with(filter, n, None).audit();
        assert!(found(&audit, Kind::Missing, filter, call(rule)), "{rule}");
        let kernels = ["rt_sigreturn", "restart_syscall"].contains(&call(rule));
        let told = audit.findings.iter().all(|f| f.code == Code::MissingKernel);
        assert_eq!(kernels, told, "{rule}");
        all += 1;
    }
    assert!(all >= 60, "{all}");
}

fn every_addition_is_found(arch: Arch) {
    let rules = Rules::read(arch);
    for (name, rule) in ADDED {
        let filter = rules.filters.iter().position(|f| f.0 == name).unwrap();
        let mut changed = rules.clone();
        changed.filters[filter].1.push(rule.to_owned());
        let (_, audit) = changed.audit();
        assert!(
            found(&audit, Kind::Redundant, filter, call(rule)),
            "{name} {rule}"
        );
        // It is that rule.
        let place = audit.findings[0].rule.as_ref().unwrap().place.unwrap();
        let text = changed.text();
        let line = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
        assert!(text[line..].starts_with(rule), "{rule}");
    }
}

fn widened_rules_are_found(arch: Arch) {
    let rules = Rules::read(arch);
    let (mut all, mut told) = (0, 0);
    for (filter, n, rule) in rules.each() {
        let conditions: Vec<String> = conditions(rule).into_iter().map(str::to_owned).collect();
        for at in 0..conditions.len() {
            let mut fewer = conditions.clone();
            fewer.remove(at);
            let mut masked = conditions.clone();
            let value = masked[at]
                .rsplit(' ')
                .next()
                .unwrap()
                .trim_end_matches('}')
                .parse::<u32>();
            let value = value.unwrap();
            masked[at] = masked[at].replace(
                "\"eq\"",
                &format!("{{\"masked_eq\": {}}}", value | 0x1_0000),
            );
            for wider in [fewer, masked] {
                let changed = rules.with(filter, n, Some(with_conditions(rule, &wider)));
                let (_, audit) = changed.audit();
                all += 1;
                told += usize::from(found(&audit, Kind::TooBroad, filter, call(rule)));
            }
        }
    }
    assert!(all >= 40, "{all}");
    assert!(told * 10 >= all * 9, "{told} of {all}");
}

fn narrowed_rules_are_found(arch: Arch) {
    let rules = Rules::read(arch);
    let mut all = 0;
    for (filter, n, rule) in rules.each() {
        let conditions: Vec<String> = conditions(rule).into_iter().map(str::to_owned).collect();
        let mut narrow = conditions.clone();
        let kind = match narrow.pop() {
            // Other values than what is passed.
            Some(last) => {
                let (start, _) = last.rsplit_once(' ').unwrap();
                narrow.push(format!("{start} 77777}}"));
                Kind::Missing
            }
            // A value that is not known.
            None => {
                narrow.push(r#"{"index": 5, "type": "dword", "op": "eq", "val": 77777}"#.into());
                Kind::Unknown
            }
        };
        let changed = rules.with(filter, n, Some(with_conditions(rule, &narrow)));
        let (_, audit) = changed.audit();
        let is_found = found(&audit, kind, filter, call(rule));
        let missing = found(&audit, Kind::Missing, filter, call(rule));
        assert!(is_found || missing, "{rule}: {:#?}", audit.findings);
        all += 1;
    }
    assert!(all >= 60, "{all}");
}
