//! The policy of a run: derived from the program, or of a file, with the calls that the user allows besides.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use portcullis_abi::{Arch, KernelVersion, Sysno};
use portcullis_policy::{
    Asked, Condition, Decision, LineColumn, NO_LISTENER, Op, Place, Policy, Provenance, Rule, Width,
};

use super::confinement;
use crate::args::{ConfinementArgs, InputArgs};
use crate::filter_file::{Content, FilterFile};
use crate::neutral;
use crate::profile::PolicySource;

/// A policy, and what is known about where it comes from.
pub(in crate::verb) struct Chosen {
    /// What the tracer answers by. It has no launch rule: when the tracer is asked, the launch is over.
    pub(in crate::verb) policy: Policy,
    /// The file.
    file: Option<Written>,
}

struct Written {
    name: String,
    text: String,
    /// Of each rule of each table; none of those that were added here.
    places: Vec<Vec<Option<Place>>>,
}

impl Written {
    /// A rule was put into the policy that is not in the file.
    fn added(&mut self, table: usize, at: usize) {
        if let Some(places) = self.places.get_mut(table) {
            places.insert(at.min(places.len()), None);
        }
    }
}

impl Chosen {
    /// One that was derived.
    pub(in crate::verb) fn derived(policy: Policy) -> Chosen {
        Chosen { policy, file: None }
    }

    /// One in any form.
    pub(in crate::verb) fn of(source: &PolicySource) -> Result<Chosen> {
        let input = InputArgs {
            form: None,
            arch: vec![Arch::NATIVE],
            capabilities: Vec::new(),
            kernel: KernelVersion {
                major: 6,
                minor: 1,
                patch: 0,
            },
            as_runc: false,
            filter: None,
        };
        let file = match source {
            PolicySource::File(path) => FilterFile::open(path, &input)?,
            PolicySource::Shipped { name, text } => {
                FilterFile::of(Path::new(name), text.as_bytes(), &input)?
            }
        };
        let policy = file.policy(&input)?;
        ensure!(
            policy.tables.iter().any(|t| t.arch == Arch::NATIVE),
            "{}: it says nothing about {}",
            file.name(),
            Arch::NATIVE
        );
        let places = match &file.content {
            Content::Policies { source, .. } => {
                let places = &file.filter(source, &input)?.places;
                let of_table = |of: &Vec<Place>| of.iter().copied().map(Some).collect();
                places.iter().map(of_table).collect()
            }
            _ => Vec::new(),
        };
        let name = file.plain_name();
        let text = match file.content {
            Content::Policies { text, .. } => text,
            _ => String::new(),
        };
        let written = Written { name, text, places };
        Ok(Chosen {
            policy,
            file: Some(written),
        })
    }

    /// With the calls `allowed`, each as [`Asked`] has it, before all else; and without what would let the
    /// program answer its own calls.
    pub(in crate::verb) fn with(mut self, allowed: &[String]) -> Result<Chosen> {
        for text in allowed.iter().rev() {
            let asked = Asked::read(text, Arch::NATIVE);
            let asked = asked.map_err(|m| anyhow!("--allow `{}`: {m}", neutral::text(text)))?;
            let mut tables = self.policy.tables.iter();
            let table = tables.position(|t| t.arch.audit_arch() == asked.arch);
            let table = table.ok_or_else(|| {
                let text = neutral::text(text);
                anyhow!("--allow `{text}`: calls of that architecture are all denied")
            })?;
            let mut rule = permission(&asked);
            rule.provenance = vec![Provenance::Note(format!("--allow {text}"))];
            self.policy.tables[table].rules.insert(0, rule);
            for phase in &mut self.policy.phases {
                phase.calls.push(Sysno(asked.number));
            }
            if let Some(file) = &mut self.file {
                file.added(table, 0);
            }
        }
        self.policy = self.policy.without_listeners();
        for (index, table) in self.policy.tables.iter().enumerate() {
            let at = table.rules.iter().position(is_listener);
            if let (Some(file), Some(at)) = (&mut self.file, at) {
                file.added(index, at);
            }
        }
        Ok(self)
    }

    /// With what `--net` says of sockets, and what nobody does to a terminal, before all else.
    pub(super) fn within(mut self, options: &ConfinementArgs, traced: bool) -> Chosen {
        let lengths = self.policy.tables.iter().map(|table| table.rules.len());
        let before: Vec<usize> = lengths.collect();
        self.policy = self.policy.without_typing(traced);
        self.policy = confinement::with_sockets(self.policy, options, traced);
        for (index, (table, before)) in self.policy.tables.iter().zip(before).enumerate() {
            for _ in before..table.rules.len() {
                if let Some(file) = &mut self.file {
                    file.added(index, 0);
                }
            }
        }
        self
    }

    /// The name of the file.
    pub(super) fn file(&self) -> Option<&str> {
        self.file.as_ref().map(|file| &*file.name)
    }

    /// Where the rule stands that decided, `FILE:LINE:COLUMN`.
    pub(super) fn place(&self, decision: Decision) -> Option<String> {
        let file = self.file.as_ref()?;
        let (table, rule) = decision.rule?;
        let place = (*file.places.get(table)?.get(rule)?)?;
        let at = LineColumn::of(&file.text, place.start);
        Some(format!("{}:{at}", file.name))
    }
}

fn is_listener(rule: &Rule) -> bool {
    matches!(rule.provenance.as_slice(), [Provenance::Note(note)] if note == NO_LISTENER)
}

/// The rule that allows what is asked: its arguments at the width that the kernel reads.
pub(super) fn permission(asked: &Asked) -> Rule {
    let number = Sysno(asked.number);
    let arch = Arch::of_call(asked.arch, asked.number);
    let declared = arch.and_then(|arch| arch.arguments(number));
    let condition = |(index, value): (u8, Option<u64>)| {
        let value = value?;
        let declared = declared.and_then(|all| all.get(usize::from(index)));
        let narrow = declared.is_some_and(|argument| argument.width == 32);
        Some(Condition {
            index,
            width: if narrow { Width::W32 } else { Width::W64 },
            op: Op::Equal(if narrow { value & 0xffff_ffff } else { value }),
        })
    };
    Rule {
        calls: number.into(),
        conditions: (0u8..).zip(asked.args).filter_map(condition).collect(),
        action: portcullis_policy::Action::Allow,
        provenance: Vec::new(),
    }
}
