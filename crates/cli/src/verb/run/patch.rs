//! What an observation says about the policy: rules for the calls that were let through, and how to use them.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Provenance, toml};
use portcullis_watch::{Answer, Denial, Omitted};

use super::chosen;
use super::denied::asked;
use crate::json::verdict as json;
use crate::neutral;

/// Rules for the calls among `denials` that were let through, each once and with the arguments that say what it does;
/// `None` when there are none. `program` is what was started, `policy` the file that it ran under, if any.
pub(super) fn of(
    denials: &[Denial],
    omitted: &[Omitted],
    program: &str,
    policy: Option<&str>,
) -> Option<json::Patch> {
    let mut rules: Vec<String> = Vec::new();
    for denial in denials.iter().filter(|d| d.answer == Answer::LetThrough) {
        let Some((arch, asked)) = asked(denial) else {
            continue;
        };
        let mut rule = chosen::permission(&asked);
        rule.provenance = vec![Provenance::Note("let through by run --observe".to_owned())];
        let text = toml::write_rule(arch, &rule);
        if !rules.contains(&text) {
            rules.push(text);
        }
    }
    // What is counted only has values that nobody knows any more.
    let beyond = omitted
        .iter()
        .filter(|o| o.answer == Answer::LetThrough)
        .filter_map(|o| {
            let number = o.number?;
            Arch::of_call(o.arch, number)?.name(Sysno(number))
        });
    let incomplete: Vec<String> = beyond.map(str::to_owned).collect();
    if rules.is_empty() {
        return None;
    }
    let mut text = String::new();
    for name in &incomplete {
        text.push_str(&format!(
            "# {name} was made in more ways than are told apart: these rules are not all.\n"
        ));
    }
    text.push_str(&rules.join("\n"));
    let apply = match policy {
        Some(file) => format!("put them before the first rule of {file}"),
        None => {
            let name = program.rsplit('/').next().unwrap_or(program);
            format!(
                "portcullis policy {} -o {}, put them before its first rule, and run with --policy {1}",
                neutral::word(program),
                neutral::word(&format!("{name}.toml")),
            )
        }
    };
    Some(json::Patch { rules: text, apply })
}
