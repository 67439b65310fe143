//! From policies to a text that reads back to the same meaning.

use std::collections::HashMap;

use portcullis_abi::{Arch, Sysno};

use super::layout::{Sheet, key_text, quoted};
use super::truth::{Truth, exclude, truth};
use super::{SCHEMA, VERSION, automatic, condition, facts, phrase};
use crate::{Baseline, Condition, Filter, Policy, Ramp, Rule, Source, Span, Table, Width};

/// Writes a policy; [`super::read`] gives back one that answers every call the same, with the same
/// rules but for conditions that no call or every call fulfils: those are written as `never`, or
/// left out.
pub fn write(policy: &Policy) -> String {
    let mut sheet = opening();
    settings(&mut sheet, policy, "");
    rules(&mut sheet, policy, "rule");
    phases(&mut sheet, policy, "phase");
    sheet.text
}

/// Writes the policies of a file. Remarks and places are not part of it.
pub fn write_source(source: &Source) -> String {
    if let [
        Filter {
            name: None, policy, ..
        },
    ] = source.filters.as_slice()
    {
        return write(policy);
    }
    let mut sheet = opening();
    // The filters say all themselves.
    sheet.line("arch = []");
    for filter in &source.filters {
        sheet.gap();
        sheet.line("[[filter]]");
        if let Some(name) = &filter.name {
            sheet.line(&format!("name = {}", quoted(name)));
        }
        settings(&mut sheet, &filter.policy, "filter.");
        rules(&mut sheet, &filter.policy, "filter.rule");
        phases(&mut sheet, &filter.policy, "filter.phase");
    }
    sheet.text
}

/// Writes one rule of an architecture, as [`super::insert_rule`] takes it.
pub fn write_rule(arch: Arch, rule: &Rule) -> String {
    let mut sheet = Sheet::default();
    let body = Body::of(arch, rule);
    section(&mut sheet, "rule", &[call(arch, rule.calls)], &[], &body);
    sheet.text
}

fn opening() -> Sheet {
    let mut sheet = Sheet::default();
    sheet.line(&format!("schema = {}", quoted(SCHEMA)));
    sheet.line(&format!("version = {VERSION}"));
    sheet
}

/// The tables of a policy that can answer a call: the first of each architecture.
fn tables(policy: &Policy) -> Vec<&Table> {
    let mut tables: Vec<&Table> = Vec::new();
    for table in &policy.tables {
        if tables.iter().all(|t| t.arch != table.arch) {
            tables.push(table);
        }
    }
    tables
}

/// Settings that tables can differ in: the keys, and their texts.
fn own_settings(table: &Table) -> [(&'static str, String); 4] {
    let baseline = match table.baseline {
        Baseline::All => ("baseline", quoted("none")),
        Baseline::Number(newest) => ("newest", newest.to_string()),
        Baseline::Kernel(version) => ("baseline", quoted(&version.to_string())),
    };
    [
        baseline,
        ("default", quoted(&table.default.to_string())),
        ("newer", quoted(&table.newer.to_string())),
        (
            "x32",
            quoted(match table.x32_is_native {
                true => "native",
                false => "foreign",
            }),
        ),
    ]
}

fn settings(sheet: &mut Sheet, policy: &Policy, prefix: &str) {
    let tables = tables(policy);
    let names: Vec<String> = tables.iter().map(|t| quoted(&t.arch.to_string())).collect();
    match names.as_slice() {
        [one] => sheet.line(&format!("arch = {one}")),
        all => sheet.list("arch", all, ""),
    }
    let common = tables.first().map(|t| own_settings(t));
    let foreign = format!("foreign = {}", quoted(&policy.foreign.to_string()));
    for (key, text) in common.iter().flatten() {
        if *key == "x32" {
            sheet.line(&foreign);
        }
        if *key != "x32" || text.contains("native") {
            sheet.line(&format!("{key} = {text}"));
        }
    }
    if common.is_none() {
        sheet.line(&foreign);
    }
    // The reader would add a rule that this policy does not have.
    let plain = tables.iter().any(|t| {
        let number = |name| t.arch.number(name);
        let both = number("clone").zip(number("clone3"));
        both.is_some_and(|(clone, clone3)| {
            let about = |r: &&Rule| [clone, clone3].iter().any(|n| r.calls.contains(n.0));
            let as_read = |rule: &Rule| Rule {
                conditions: conditions(&rule.conditions),
                provenance: Vec::new(),
                ..*rule
            };
            let kept: Vec<Rule> = t.rules.iter().filter(about).map(as_read).collect();
            automatic::by_argument(&kept, clone, clone3).is_some()
        })
    });
    if plain {
        sheet.line("clone3 = \"default\"");
    }
    if let Some(Ramp { runs, since }) = policy.ramp {
        sheet.line(&format!("ramp-runs = {runs}"));
        sheet.line(&format!("ramp-since = {}", quoted(&since.to_string())));
    }
    for table in tables.iter().skip(1) {
        let differing = own_settings(table).into_iter();
        let common = common.iter().flatten();
        let differing: Vec<_> = differing
            .filter(|own| !common.clone().any(|c| c == own))
            .collect();
        if differing.is_empty() {
            continue;
        }
        sheet.gap();
        sheet.line(&format!(
            "[{prefix}for.{}]",
            key_text(&table.arch.to_string())
        ));
        for (key, text) in differing {
            sheet.line(&format!("{key} = {text}"));
        }
    }
}

/// Conditions without those that every call fulfils; `never` alone when no call fulfils all.
fn conditions(all: &[Condition]) -> Vec<Condition> {
    let mut kept: Vec<Condition> = Vec::new();
    for condition in all {
        match truth(condition) {
            Truth::Always => {}
            Truth::Never => return vec![condition::never()],
            Truth::Sometimes(condition) => {
                if kept.iter().any(|other| exclude(other, &condition)) {
                    return vec![condition::never()];
                }
                if !kept.contains(&condition) {
                    kept.push(condition);
                }
            }
        }
    }
    kept
}

/// All of a rule but its calls, as text: rules of several calls or architectures with equal texts
/// are one section.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Body {
    when: Vec<String>,
    action: String,
    from: Vec<String>,
    /// What the conditions were before they became `never`.
    comment: Option<String>,
}

impl Body {
    fn of(arch: Arch, rule: &Rule) -> Body {
        let text = |c: &Condition| {
            let usual = facts::declared(arch, rule.calls, c.index);
            condition::write(c, usual.unwrap_or(Width::W64))
        };
        let kept = conditions(&rule.conditions);
        let impossible = kept == [condition::never()] && rule.conditions != kept;
        let was: Vec<String> = rule.conditions.iter().map(text).collect();
        Body {
            when: kept.iter().map(|c| quoted(&text(c))).collect(),
            action: quoted(&rule.action.to_string()),
            from: rule
                .provenance
                .iter()
                .map(|p| quoted(&phrase::reason(p)))
                .collect(),
            comment: impossible.then(|| format!(" # {}", was.join("; "))),
        }
    }
}

/// A rule of some architectures, with the calls that it is about.
struct Block {
    calls: Vec<String>,
    arches: Vec<Arch>,
    body: Body,
}

fn rules(sheet: &mut Sheet, policy: &Policy, header: &str) {
    let tables = tables(policy);
    for block in blocks(&tables) {
        sheet.gap();
        let everywhere = block.arches.len() == tables.len();
        let arches: &[Arch] = if everywhere { &[] } else { &block.arches };
        section(sheet, header, &block.calls, arches, &block.body);
    }
}

/// The rules of all tables in an order that keeps that of each. Equal ones of several tables are
/// taken together where their turn has come in all, and neighbours that differ in their calls alone
/// as well.
fn blocks(tables: &[&Table]) -> Vec<Block> {
    let written = |table: &&Table| {
        let one = |rule: &Rule| (call(table.arch, rule.calls), Body::of(table.arch, rule));
        let all: Vec<(String, Body)> = table.rules.iter().map(one).collect();
        all
    };
    let all: Vec<_> = tables.iter().map(written).collect();
    // How often each rule is still to come, by table; a single table waits for none.
    let mut waiting: Vec<HashMap<&(String, Body), usize>> = vec![HashMap::new(); all.len()];
    for (counts, rules) in waiting.iter_mut().zip(&all).filter(|_| all.len() > 1) {
        for rule in rules {
            *counts.entry(rule).or_default() += 1;
        }
    }
    let mut next = vec![0; all.len()];
    let mut blocks: Vec<Block> = Vec::new();
    loop {
        let head = |t: usize| all[t].get(next[t]);
        let heads: Vec<usize> = (0..all.len()).filter(|t| head(*t).is_some()).collect();
        let at_head = |rule: &(String, Body)| -> Vec<usize> {
            let mut all = heads.clone();
            all.retain(|t| head(*t) == Some(rule));
            all
        };
        // One whose turn has come wherever it is still to come; else the first table's.
        let ready = heads.iter().copied().find(|t| {
            head(*t).is_some_and(|rule| {
                let here = at_head(rule);
                let mut others = (0..all.len()).filter(|o| !here.contains(o));
                others.all(|o| waiting[o].get(rule).copied().unwrap_or(0) == 0)
            })
        });
        let Some(rule) = ready.or(heads.first().copied()).and_then(head) else {
            return blocks;
        };
        let taken = at_head(rule);
        let arches: Vec<Arch> = taken.iter().map(|t| tables[*t].arch).collect();
        for t in taken {
            next[t] += 1;
            if let Some(count) = waiting[t].get_mut(rule) {
                *count -= 1;
            }
        }
        let (name, body) = rule;
        match blocks.last_mut() {
            Some(last)
                if last.body == *body && last.arches == arches && !last.calls.contains(name) =>
            {
                last.calls.push(name.clone());
            }
            _ => blocks.push(Block {
                calls: vec![name.clone()],
                arches,
                body: body.clone(),
            }),
        }
    }
}

fn section(sheet: &mut Sheet, header: &str, calls: &[String], arches: &[Arch], body: &Body) {
    sheet.line(&format!("[[{header}]]"));
    match calls {
        [one] => sheet.line(&format!("call = {one}")),
        all => sheet.list("calls", all, ""),
    }
    let arches: Vec<String> = arches.iter().map(|a| quoted(&a.to_string())).collect();
    match arches.as_slice() {
        [] => {}
        [one] => sheet.line(&format!("arch = {one}")),
        all => sheet.list("arch", all, ""),
    }
    if !body.when.is_empty() {
        sheet.list(
            "when",
            &body.when,
            body.comment.as_deref().unwrap_or_default(),
        );
    }
    sheet.line(&format!("action = {}", body.action));
    if !body.from.is_empty() {
        sheet.list("from", &body.from, "");
    }
}

/// The text of a rule's calls on an architecture.
fn call(arch: Arch, calls: Span) -> String {
    match calls.single() {
        Some(number) => number_text(Some(arch), number),
        None => quoted(&format!("{}..{}", calls.first, calls.last)),
    }
}

/// A name that means this number, else the number.
fn number_text(arch: Option<Arch>, number: Sysno) -> String {
    match arch.and_then(|a| a.name(number)) {
        Some(name) => quoted(name),
        None => number.to_string(),
    }
}

fn phases(sheet: &mut Sheet, policy: &Policy, header: &str) {
    let arch = tables(policy).first().map(|t| t.arch);
    for phase in &policy.phases {
        sheet.gap();
        sheet.line(&format!("[[{header}]]"));
        sheet.line(&format!("thread = {}", quoted(&phase.thread)));
        sheet.line(&format!("phase = {}", quoted(&phase.phase)));
        if let Some(hash) = phase.file {
            let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            sheet.line(&format!("file = {}", quoted(&digits)));
        }
        if !phase.begins.is_empty() {
            let all = phase.begins.iter().map(|at| format!("{at:#x}"));
            sheet.list("at", &all.collect::<Vec<_>>(), "");
        }
        let calls = phase.calls.iter().map(|n| number_text(arch, *n));
        sheet.list("calls", &calls.collect::<Vec<_>>(), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    /// The lines that a derived policy has always had.
    #[test]
    fn one_table_is_plain() {
        let rule = Rule {
            calls: Sysno(16).into(),
            conditions: Vec::new(),
            action: Action::Allow,
            provenance: Vec::new(),
        };
        let table = Table {
            arch: Arch::X86_64,
            rules: vec![rule],
            baseline: Baseline::Number(Sysno(470)),
            default: Action::KillProcess,
            newer: Action::ENOSYS,
            x32_is_native: false,
        };
        insta::assert_snapshot!(write(&Policy::of(table, Action::KillProcess)), @r#"
        schema = "portcullis.policy"
        version = 1
        arch = "x86_64"
        newest = 470
        default = "kill"
        newer = "errno:38"
        foreign = "kill"

        [[rule]]
        call = "ioctl"
        action = "allow"
        "#);
    }
}
