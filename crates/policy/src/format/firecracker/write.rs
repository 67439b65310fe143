//! The writer of both.

use portcullis_abi::Arch;

use super::super::spoken::{self, Spoken};
use super::super::{Concessions, Format, Unsayable, json};
use super::{Style, read};
use crate::{Action, Condition, Filter, Op, Provenance, Width};

/// Writes the policies, each under its name; `format` is as for [`read`], which gives back the same
/// meaning.
///
/// # Errors
///
/// The first part of a policy that the format cannot say.
pub fn write(
    filters: &[Filter],
    format: Format,
    conceded: Concessions,
) -> Result<String, Unsayable> {
    let style = Style::of(format);
    let mut parts = Vec::with_capacity(filters.len());
    let mut names = std::collections::BTreeSet::new();
    for filter in filters {
        let name = filter.name.as_deref().unwrap_or("main");
        if !names.insert(name) {
            return Err(Unsayable::whole(format!("two filters are called `{name}`")));
        }
        let arches: Vec<Arch> = filter.policy.tables.iter().map(|t| t.arch).collect();
        if !matches!(arches[..], [Arch::X86_64] | [Arch::Aarch64]) {
            let message = "a file is for x86_64 or for aarch64, and for one of them";
            return Err(Unsayable::whole(message).of(filter));
        }
        let spoken = match format {
            Format::Seccompiler => spoken::of_seccompiler(filter, conceded)?,
            _ => spoken::of_libseccomp(filter, conceded)?,
        };
        let part = part(name, filter, &spoken, style).map_err(|u| u.of(filter))?;
        spoken::verify(filter, &spoken, conceded, |target| {
            read(&format!("{{{part}}}"), format, target)
        })?;
        parts.push(part);
    }
    Ok(match parts.is_empty() {
        true => "{}\n".into(),
        false => format!("{{\n{}\n}}\n", parts.join(",\n")),
    })
}

fn part(name: &str, filter: &Filter, spoken: &Spoken, style: Style) -> Result<String, Unsayable> {
    let fits = spoken.entries.first().map(|e| e.action);
    // Without rules it does not matter, but it has to be another one.
    let fits = fits.unwrap_or(match spoken.default {
        Action::Allow => Action::Trap(0),
        _ => Action::Allow,
    });
    let unsaid = |a| Unsayable::whole(format!("the format has no action {a:?}"));
    let word = |a| action_word(a).ok_or_else(|| unsaid(a));
    let mut text = format!(
        "  {}: {{\n    \"{}\": {},\n    \"{}\": {},\n    \"filter\": [",
        json::quoted(name),
        style.default,
        word(spoken.default)?,
        style.fits,
        word(fits)?
    );
    let mut separator = "\n";
    for entry in &spoken.entries {
        if entry.action != fits {
            return Err(Unsayable::rule(
                entry.rule,
                "all rules of a filter give the same answer, and this one gives another",
            ));
        }
        let conditions = entry.conditions.iter().map(condition_word);
        let conditions = conditions.collect::<Option<Vec<_>>>();
        let conditions = conditions
            .ok_or_else(|| Unsayable::rule(entry.rule, "the condition has no operator"))?;
        let note = filter.policy.tables.get(entry.rule.0);
        let note = note.and_then(|t| t.rules.get(entry.rule.1));
        let note = note.and_then(|r| r.provenance.iter().find_map(note_text));
        for name in &entry.names {
            text += separator;
            text += &format!("      {{\n        \"syscall\": {}", json::quoted(name));
            if let Some(note) = note {
                text += &format!(",\n        \"comment\": {}", json::quoted(note));
            }
            if !conditions.is_empty() {
                let all = conditions.join(",\n          ");
                text += &format!(",\n        \"args\": [\n          {all}\n        ]");
            }
            text += "\n      }";
            separator = ",\n";
        }
    }
    text += if spoken.entries.is_empty() {
        "]\n  }"
    } else {
        "\n    ]\n  }"
    };
    Ok(text)
}

fn note_text(provenance: &Provenance) -> Option<&str> {
    match provenance {
        Provenance::Note(note) => Some(note),
        _ => None,
    }
}

fn action_word(action: Action) -> Option<String> {
    Some(match action {
        Action::Allow => "\"allow\"".into(),
        Action::Log => "\"log\"".into(),
        Action::Trap(_) => "\"trap\"".into(),
        Action::KillThread => "\"kill_thread\"".into(),
        Action::KillProcess => "\"kill_process\"".into(),
        Action::Errno(errno) => format!("{{ \"errno\": {errno} }}"),
        Action::Trace(data) => format!("{{ \"trace\": {data} }}"),
        Action::Notify => return None,
    })
}

fn condition_word(condition: &Condition) -> Option<String> {
    let low = u64::from(u32::MAX);
    let narrow = condition.width == Width::W32;
    let (narrow, op, value) = match &condition.op {
        Op::Masked { mask, value } if !narrow && *mask == low => (true, "\"eq\"".into(), value),
        Op::Masked { mask, value } => (narrow, format!("{{ \"masked_eq\": {mask} }}"), value),
        Op::Equal(v) => (narrow, "\"eq\"".into(), v),
        Op::NotEqual(v) => (narrow, "\"ne\"".into(), v),
        Op::Less(v) => (narrow, "\"lt\"".into(), v),
        Op::LessEqual(v) => (narrow, "\"le\"".into(), v),
        Op::Greater(v) => (narrow, "\"gt\"".into(), v),
        Op::GreaterEqual(v) => (narrow, "\"ge\"".into(), v),
        Op::NotMasked { .. } | Op::In(_) | Op::NotIn(_) => return None,
    };
    let (index, kind) = (condition.index, if narrow { "dword" } else { "qword" });
    Some(format!(
        "{{ \"index\": {index}, \"type\": \"{kind}\", \"op\": {op}, \"val\": {value} }}"
    ))
}
