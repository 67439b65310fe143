//! The model and its meaning.

use portcullis_abi::{Arch, KernelVersion, Sysno};

use crate::{Action, ActionMap, Condition, Phase, Ramp};

/// Set in the number of an x32 call (`__X32_SYSCALL_BIT`, asm/unistd.h).
const X32: u32 = Arch::X32_BIT;
/// `syscall(-1)`: no x32 call, the kernel answers it ENOSYS (`do_syscall_64`).
const MINUS_ONE: u32 = u32::MAX;

/// What may be called, and the answer to everything else.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Policy {
    /// One for each architecture whose calls the policy knows.
    pub tables: Vec<Table>,
    /// The answer to calls of other architectures, and to x32 calls unless a table has them.
    pub foreign: Action,
    /// What of it threads still need from some point on; it answers as if there were none.
    pub phases: Vec<Phase>,
    /// The runs in which it was tried, as far as it tells.
    pub ramp: Option<Ramp>,
}

/// The answers to the calls of one architecture.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    /// The architecture whose calls the rules name.
    pub arch: Arch,
    /// In order: the first that fits a call answers it.
    pub rules: Vec<Rule>,
    /// Which calls were known when the policy was written.
    pub baseline: Baseline,
    /// The answer to known calls that no rule fits.
    pub default: Action,
    /// The answer to newer calls that no rule fits.
    pub newer: Action,
    /// Numbers of x32 are numbers like others, not foreign: what filters do that never look.
    pub x32_is_native: bool,
}

/// Which calls no longer count as new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Baseline {
    /// All: there is no class of newer calls.
    All,
    /// Up to this number.
    Number(Sysno),
    /// Those of this release: neither numbers that came later nor those that nobody has.
    Kernel(KernelVersion),
}

/// The answer to some calls.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rule {
    /// The calls.
    pub calls: Span,
    /// It fits when all of these hold.
    pub conditions: Vec<Condition>,
    /// The answer.
    pub action: Action,
    /// Why the rule is there.
    pub provenance: Vec<Provenance>,
}

/// Numbers of calls, one after the other; mostly a single one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// The lowest.
    pub first: Sysno,
    /// The highest.
    pub last: Sysno,
}

impl Span {
    /// The number, when it is one.
    pub fn single(self) -> Option<Sysno> {
        (self.first == self.last).then_some(self.first)
    }

    /// Whether `number` is one of them.
    pub fn contains(self, number: u32) -> bool {
        self.first.0 <= number && number <= self.last.0
    }
}

impl From<Sysno> for Span {
    fn from(number: Sysno) -> Span {
        Span {
            first: number,
            last: number,
        }
    }
}

/// Why a rule is there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Provenance {
    /// Code of the program makes the call here.
    Site {
        /// The file.
        object: String,
        /// Virtual address in it.
        address: u64,
        /// The function, when known.
        function: Option<String>,
    },
    /// A program was seen to make it: the trace's name.
    Trace(String),
    /// The launcher starts the program by it.
    Launch,
    /// Somebody states it.
    Assumption(String),
    /// A remark.
    Note(String),
}

/// A call as a filter sees it (`struct seccomp_data`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The number.
    pub number: u32,
    /// Address of the instruction after the call.
    pub ip: u64,
    /// The argument registers.
    pub args: [u64; 6],
}

/// Which answer applies when no rule fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// A call that was known when the policy was written.
    Known,
    /// One that was not.
    Newer,
    /// Another architecture, or x32: rules never fit.
    Foreign,
}

/// The answer to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The answer.
    pub action: Action,
    /// The rule that gave it: its table, and its place there.
    pub rule: Option<(usize, usize)>,
    /// The class that gave it otherwise.
    pub class: Class,
}

/// All numbers of one architecture, cut where other rules begin to apply.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    rules: Vec<&'a Rule>,
    all: Vec<Segment>,
}

/// Numbers of one architecture that the same rules answer.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The lowest number.
    pub first: u32,
    /// The highest.
    pub last: u32,
    /// The answer when no rule fits.
    pub otherwise: Action,
    /// Why it is.
    pub class: Class,
    rules: std::ops::Range<usize>,
}

impl<'a> Segments<'a> {
    /// The segments, ascending; together they are all numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.all.iter()
    }

    /// The segments that have numbers between these two.
    pub fn between(&self, low: u32, high: u32) -> &[Segment] {
        let from = self.all.partition_point(|s| s.last < low);
        let to = self.all.partition_point(|s| s.first <= high);
        self.all.get(from..to).unwrap_or_default()
    }

    /// The rules of a segment, in the order in which they are tried; only the last may be without
    /// conditions.
    pub fn rules(&self, of: &Segment) -> &[&'a Rule] {
        self.rules.get(of.rules.clone()).unwrap_or_default()
    }
}

impl Policy {
    /// A policy for one architecture.
    pub fn of(table: Table, foreign: Action) -> Policy {
        Policy {
            tables: vec![table],
            foreign,
            phases: Vec::new(),
            ramp: None,
        }
    }

    /// What of the policy a kernel of this architecture can be asked: a filter has to tell fewer calls apart, and it is loaded
    /// in less time.
    #[must_use]
    pub fn on(mut self, kernel: Arch) -> Policy {
        self.tables.retain(|table| table.arch.kernel() == kernel);
        self
    }

    /// The answer to `call`.
    pub fn decide(&self, call: &Call) -> Decision {
        let foreign = Decision {
            action: self.foreign,
            rule: None,
            class: Class::Foreign,
        };
        let Some(at) = self.table_for(call.arch, call.number) else {
            return foreign;
        };
        let table = &self.tables[at];
        let fits = |r: &Rule| {
            r.calls.contains(call.number) && r.conditions.iter().all(|c| c.holds(&call.args))
        };
        let rule = table.rules.iter().position(fits);
        let class = table.class(call.number);
        Decision {
            action: rule.map_or(table.unlisted(class), |r| table.rules[r].action),
            rule: rule.map(|r| (at, r)),
            class,
        }
    }

    /// The class of a call: what answers it when no rule fits.
    pub fn class(&self, arch: u32, number: u32) -> Class {
        match self.table_for(arch, number) {
            None => Class::Foreign,
            Some(at) => self.tables[at].class(number),
        }
    }

    /// The rules of all tables, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.tables.iter().flat_map(|t| &t.rules)
    }

    /// The table whose rules are tried for a call; `None` for a foreign one.
    pub(crate) fn table_for(&self, arch: u32, number: u32) -> Option<usize> {
        let of = |wanted: fn(&Table) -> bool| {
            let mut all = self.tables.iter();
            all.position(|t| t.arch.audit_arch() == arch && wanted(t))
        };
        if arch == Arch::X86_64.audit_arch() && is_x32(number) {
            return of(|t| t.arch == Arch::X32).or_else(|| of(|t| t.x32_is_native));
        }
        of(|t| t.arch != Arch::X32)
    }

    /// What answers a call that no rule fits: the table whose rules are tried before, the answer, and
    /// why it is.
    pub(crate) fn unlisted(&self, arch: u32, number: u32) -> (Option<usize>, Action, Class) {
        match self.table_for(arch, number) {
            None => (None, self.foreign, Class::Foreign),
            Some(at) => {
                let table = &self.tables[at];
                let class = table.class(number);
                (Some(at), table.unlisted(class), class)
            }
        }
    }

    /// The architectures that have tables, as `AUDIT_ARCH_*`, each once.
    pub fn audit_arches(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.tables.iter().map(|t| t.arch.audit_arch()).collect();
        let mut seen = Vec::new();
        all.retain(|arch| {
            !seen.contains(arch) && {
                seen.push(*arch);
                true
            }
        });
        all
    }

    /// All numbers of an architecture that has a table: [`Policy::decide`] in the form that compilers
    /// and proofs need.
    pub fn segments(&self, arch: u32) -> Segments<'_> {
        let own = |t: &Table| t.arch.audit_arch() == arch;
        let mut starts = vec![0, X32, X32 << 1, X32 | X32 << 1, MINUS_ONE];
        for table in self.tables.iter().filter(|t| own(t)) {
            starts.extend(table.newer_numbers().into_iter().flat_map(bounds));
            starts.extend(table.rules.iter().flat_map(|r| bounds(r.calls)));
        }
        starts.sort_unstable();
        starts.dedup();
        let mut applying: Vec<(usize, usize, usize)> = Vec::new();
        for (at, table) in self.tables.iter().enumerate().filter(|(_, t)| own(t)) {
            for (order, rule) in table.rules.iter().enumerate() {
                let from = starts.partition_point(|s| *s < rule.calls.first.0);
                let covered = starts[from..].iter();
                let covered = covered.take_while(|s| **s <= rule.calls.last.0).count();
                applying.extend((from..from + covered).map(|segment| (segment, at, order)));
            }
        }
        applying.sort_unstable();
        let mut applying = applying.into_iter().peekable();
        let mut segments = Segments {
            rules: Vec::with_capacity(applying.len()),
            all: Vec::with_capacity(starts.len()),
        };
        for (index, &first) in starts.iter().enumerate() {
            let table = self.table_for(arch, first);
            let class = match table {
                None => Class::Foreign,
                Some(t) => self.tables[t].class(first),
            };
            let begin = segments.rules.len();
            let mut answered = false;
            while let Some((_, at, order)) = applying.next_if(|(segment, ..)| *segment == index) {
                if Some(at) == table && !answered {
                    let rule = &self.tables[at].rules[order];
                    answered = rule.conditions.is_empty();
                    segments.rules.push(rule);
                }
            }
            segments.all.push(Segment {
                first,
                last: starts.get(index + 1).map_or(u32::MAX, |next| next - 1),
                otherwise: table.map_or(self.foreign, |t| self.tables[t].unlisted(class)),
                class,
                rules: begin..segments.rules.len(),
            });
        }
        segments
    }

    /// The policy that a filter under `map` has: the declared difference between what a filter
    /// answers and what its policy says.
    pub fn mapped(&self, map: &ActionMap) -> Policy {
        let mut mapped = self.clone();
        for table in &mut mapped.tables {
            for rule in &mut table.rules {
                let traced = rule.calls.single().is_some_and(|n| map.traced.contains(&n));
                rule.action = match map.denials {
                    Some(instead) if traced => instead,
                    _ => map.answer(rule.action),
                };
            }
            table.default = map.answer(table.default);
            table.newer = map.answer(table.newer);
        }
        mapped
    }
}

impl Table {
    /// The answer of a class to what no rule fits.
    fn unlisted(&self, class: Class) -> Action {
        match class {
            Class::Newer => self.newer,
            _ => self.default,
        }
    }

    /// The numbers that were not known, ascending.
    fn newer_numbers(&self) -> Vec<Span> {
        let span = |first, last| Span {
            first: Sysno(first),
            last: Sysno(last),
        };
        match self.baseline {
            Baseline::All => Vec::new(),
            Baseline::Number(newest) => match newest.0.checked_add(1) {
                Some(above) => vec![span(above, u32::MAX)],
                None => Vec::new(),
            },
            Baseline::Kernel(version) => {
                let mut gaps = Vec::new();
                let mut next = Some(0);
                for Sysno(known) in self.arch.known_at(version) {
                    gaps.extend(next.filter(|n| *n < known).map(|n| span(n, known - 1)));
                    next = known.checked_add(1);
                }
                gaps.extend(next.map(|n| span(n, u32::MAX)));
                gaps
            }
        }
    }

    /// The class of a number that is not foreign.
    fn class(&self, number: u32) -> Class {
        let newer = match self.baseline {
            Baseline::All => false,
            Baseline::Number(newest) => number > newest.0,
            Baseline::Kernel(version) => {
                let since = self.arch.since(Sysno(number));
                since.is_none_or(|since| since > version)
            }
        };
        match newer {
            true => Class::Newer,
            false => Class::Known,
        }
    }

    /// The names of the calls that a rule is about, for people.
    pub fn call_name(&self, calls: Span) -> String {
        let name = |n: Sysno| match self.arch.name(n) {
            Some(name) => name.to_owned(),
            None => n.0.to_string(),
        };
        match calls.single() {
            Some(number) => name(number),
            None => format!("{}..{}", name(calls.first), name(calls.last)),
        }
    }
}

/// Where a span begins, and what is behind it.
fn bounds(span: Span) -> impl Iterator<Item = u32> {
    std::iter::once(span.first.0).chain(span.last.0.checked_add(1))
}

/// Whether the kernel counts a number at the x86_64 entry as one of x32: the bit is set and it is not
/// -1 (`do_syscall_x32`, arch/x86/entry/syscall_64.c).
fn is_x32(number: u32) -> bool {
    number & X32 != 0 && number != MINUS_ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: Vec<Rule>) -> Policy {
        let table = Table {
            arch: Arch::X86_64,
            rules,
            baseline: Baseline::Number(Sysno(470)),
            default: Action::KillProcess,
            newer: Action::ENOSYS,
            x32_is_native: false,
        };
        Policy::of(table, Action::KillThread)
    }

    fn call(arch: u32, number: u32) -> Call {
        Call {
            arch,
            number,
            ip: 0,
            args: [0; 6],
        }
    }

    #[test]
    fn a_kernel_is_asked_for_its_own_architectures_only() {
        let table = |arch| Table {
            arch,
            ..policy(vec![rule(3, Action::Allow)]).tables.remove(0)
        };
        let whole = Policy {
            tables: Arch::ALL.map(table).into(),
            ..policy(vec![])
        };
        for kernel in [Arch::X86_64, Arch::Aarch64] {
            let part = whole.clone().on(kernel);
            for arch in Arch::ALL {
                let call = call(arch.audit_arch(), 3);
                let decided = part.decide(&call).action;
                let expected = match arch.kernel() == kernel {
                    true => whole.decide(&call).action,
                    false => whole.foreign,
                };
                assert_eq!(decided, expected, "{arch:?} on {kernel:?}");
            }
        }
    }

    fn rule(number: u32, action: Action) -> Rule {
        Rule {
            calls: Sysno(number).into(),
            conditions: vec![],
            action,
            provenance: vec![],
        }
    }

    const NATIVE: u32 = 0xc000_003e;

    #[test]
    fn classes_follow_the_kernel() {
        for (number, class) in [
            (0, Class::Known),
            (470, Class::Known),
            (471, Class::Newer),
            (0x3fff_ffff, Class::Newer),
            (0x4000_0000, Class::Foreign),
            (0x4000_0001, Class::Foreign),
            (0x8000_0000, Class::Newer),
            (0xc000_0000, Class::Foreign),
            (0xffff_fffe, Class::Foreign),
            (0xffff_ffff, Class::Newer),
        ] {
            let policy = policy(vec![]);
            let decided = |arch| policy.decide(&call(arch, number)).class;
            assert_eq!(decided(NATIVE), class, "{number:#x}");
            assert_eq!(decided(0x4000_0003), Class::Foreign);
        }
    }

    #[test]
    fn a_kernel_knows_its_calls_and_no_holes() {
        let mut policy = policy(vec![]);
        policy.tables[0].baseline = Baseline::Kernel(KernelVersion::new(5, 6));
        let segments = policy.segments(NATIVE);
        // 334 rseq, 335 to 423 are free, 434 pidfd_open (5.3), 439 faccessat2 (5.8).
        for (number, newer) in [
            (0, false),
            (334, false),
            (400, true),
            (434, false),
            (439, true),
        ] {
            let decided = policy.decide(&call(NATIVE, number));
            assert_eq!(decided.class == Class::Newer, newer, "{number}");
            let mut own = segments.iter();
            let own = own.find(|s| s.first <= number && number <= s.last);
            assert_eq!(own.map(|s| s.class), Some(decided.class), "{number}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_answers() {
        let policy = policy(vec![rule(1, Action::Allow), rule(1, Action::Trap(0))]);
        let answer = |number| policy.decide(&call(NATIVE, number)).action;
        assert_eq!(answer(1), Action::Allow);
        assert_eq!(answer(2), Action::KillProcess);
        assert_eq!(answer(500), Action::ENOSYS);
    }

    #[test]
    fn a_map_leaves_foreign_calls_alone() {
        let mapped = policy(vec![]).mapped(&ActionMap::traced(vec![]));
        assert_eq!(mapped.tables[0].default, Action::Trace(0));
        assert_eq!(mapped.foreign, Action::KillThread);
    }

    proptest::proptest! {
        #[test]
        fn segments_say_what_decide_says(
            spans in proptest::collection::vec((0u32..12, 0u32..4, 0u8..4), 0..8),
            shift in proptest::sample::select(vec![0u32, 465, 0x3fff_fffa, 0x7fff_fffa, u32::MAX - 14]),
            native in proptest::bool::ANY,
        ) {
            let rules = spans.iter().map(|&(from, more, action)| Rule {
                calls: Span {
                    first: Sysno(shift + from),
                    last: Sysno((shift + from).saturating_add(more)),
                },
                action: Action::Errno(u16::from(action)),
                ..rule(0, Action::Allow)
            });
            let mut policy = policy(rules.collect());
            policy.tables[0].x32_is_native = native;
            let segments = policy.segments(NATIVE);
            for number in (shift..=shift.saturating_add(16)).chain([0, u32::MAX]) {
                let own = segments.iter().find(|s| s.first <= number && number <= s.last);
                let own = own.expect("they are all numbers");
                let rules = segments.rules(own);
                let answer = rules.first().map_or(own.otherwise, |r| r.action);
                proptest::prop_assert!(rules.len() < 2);
                proptest::prop_assert_eq!(answer, policy.decide(&call(NATIVE, number)).action);
            }
        }
    }
}
