//! Changes that an audit proposes, made in the text of a policy; the rest of it stays as it is.
//!
//! The native form is edited by `toml`. In JSON a rule is an element of a list, or a name in such an
//! element: it goes with its comma, and new rules are written as the format's writer says them, laid out
//! like their neighbours. Order means nothing in these formats, so what is added stands behind.
//! Other forms are refused: what they say of a call is spread over lines that share meaning.

use std::cmp::Reverse;

use super::document::{Kind, Map, Value};
use super::{Concessions, Format, json};
use crate::audit::Edit;
use crate::{Filter, Mistake, Place, Policy, Rule, Source, Table, toml};

/// The text with all of the changes; each names its filter. `filters` are what the text was read as.
///
/// That the new text means what the changes say is for the caller to compare: a reader can see a
/// rule otherwise beside others than alone.
///
/// # Errors
///
/// The first change that cannot be said as an edit of this text, and why.
pub fn edit(
    format: Format,
    text: &str,
    filters: &[Filter],
    changes: &[(usize, &Edit)],
) -> Result<String, Mistake> {
    let mut steps = Vec::with_capacity(changes.len());
    for (filter, change) in changes {
        steps.push(Step::of(filters, *filter, change)?);
    }
    // From the end: places before an edit stay what they are.
    steps.sort_by_key(|s| Reverse((s.filter, s.place.map_or(usize::MAX, |p| p.start))));
    let mut text = text.to_owned();
    // How far the section has moved that the last edit was about.
    let mut moved = (None, 0);
    for step in &steps {
        text = match format {
            Format::Native => {
                if moved.0 != step.place {
                    moved = (step.place, 0);
                }
                native(&text, step, &mut moved.1)?
            }
            Format::Oci
            | Format::Docker
            | Format::Containers
            | Format::Kubernetes
            | Format::Firecracker
            | Format::Seccompiler => in_json(format, &text, step)?,
            _ => {
                return Err(Mistake::whole(format!(
                    "files in the form `{format}` are not edited"
                )));
            }
        };
    }
    Ok(text)
}

/// A change, and where it is made.
struct Step<'a> {
    filter: usize,
    name: Option<&'a str>,
    table: &'a Table,
    /// The rule that it is about or, when rules are added, before which; `None`: the end.
    place: Option<Place>,
    /// Nothing else is said by the part of the text that says the rule.
    alone: bool,
    /// The name of its call.
    call: &'a str,
    /// A rule of the same filter, for the layout.
    last: Option<Place>,
    change: &'a Edit,
}

impl<'a> Step<'a> {
    fn of(filters: &'a [Filter], filter: usize, change: &'a Edit) -> Result<Step<'a>, Mistake> {
        let stale = || Mistake::whole("the change is about another policy");
        let own = filters.get(filter).ok_or_else(stale)?;
        let (Edit::Remove { rule: at }
        | Edit::Replace { rule: at, .. }
        | Edit::Insert { before: at, .. }) = *change;
        let table = own.policy.tables.get(at.0).ok_or_else(stale)?;
        let places = own.places.get(at.0).map_or(&[][..], Vec::as_slice);
        let all = own.places.iter().flatten();
        let written = all.clone().filter(|p| **p != Place::default());
        let place = match (places.get(at.1), change) {
            (Some(place), _) if *place != Place::default() => Some(*place),
            (None, Edit::Insert { .. }) => None,
            _ => {
                return Err(Mistake::whole(
                    "the file has no rule that says this by itself",
                ));
            }
        };
        let rule = table.rules.get(at.1);
        let number = rule.and_then(|r| r.calls.single());
        Ok(Step {
            filter,
            name: own.name.as_deref(),
            table,
            place,
            alone: all.filter(|p| Some(**p) == place).count() == 1,
            call: number.and_then(|n| table.arch.name(n)).unwrap_or_default(),
            last: written.max().copied(),
            change,
        })
    }

    /// The rules that are new.
    fn added(&self) -> &'a [Rule] {
        match self.change {
            Edit::Remove { .. } => &[],
            Edit::Replace { by, .. } => by,
            Edit::Insert { rules, .. } => rules,
        }
    }
}

fn native(text: &str, step: &Step<'_>, moved: &mut usize) -> Result<String, Mistake> {
    let mut text = text.to_owned();
    let place = step.place.map(|p| shifted(p, *moved));
    let new = step.added().iter();
    let mut new: Vec<String> = new.map(|r| toml::write_rule(step.table.arch, r)).collect();
    let replaces = matches!(step.change, Edit::Replace { .. });
    if replaces && step.alone {
        let (Some(place), Some(last)) = (place, new.pop()) else {
            return Err(Mistake::whole("nothing stands in the place of the rule"));
        };
        text = toml::replace_rule(&text, place, &last)?;
    }
    let before = text.len();
    for rule in &new {
        let place = place.map(|p| shifted(p, text.len() - before));
        text = toml::insert_rule(&text, step.name, place, rule)?;
    }
    *moved += text.len() - before;
    let place = step.place.map(|p| shifted(p, *moved));
    match (step.change, place) {
        (Edit::Remove { .. }, Some(place)) if step.alone => toml::remove_rule(&text, place),
        (Edit::Remove { .. } | Edit::Replace { .. }, Some(place)) if !step.alone => {
            toml::remove_call(&text, place, step.call)
        }
        _ => Ok(text),
    }
}

fn shifted(place: Place, by: usize) -> Place {
    Place {
        start: place.start + by,
        end: place.end + by,
    }
}

fn in_json(format: Format, text: &str, step: &Step<'_>) -> Result<String, Mistake> {
    let document = json::parse(text).map_err(|_| Mistake::whole("only JSON is edited"))?;
    let new = written(format, step)?;
    let beside = step.place.or(step.last);
    let found = beside.and_then(|place| element(&document, place));
    let Some((list, index)) = found else {
        return match (step.place, list(format, &document, step.name)) {
            (None, Some(list)) if !new.is_empty() => {
                let new: Vec<String> = new.iter().map(one_line).collect();
                Ok(spliced(text, list.place.start + 1, 0, &new.join(", ")))
            }
            _ => Err(Mistake::whole("the rule is no element of a list")),
        };
    };
    let own = &list[index];
    let laid = Layout::of(text, own.place);
    let new: Vec<String> = new.iter().map(|value| laid.rendered(value)).collect();
    let behind = |end: usize| {
        let added: String = new.iter().map(|n| format!(",{}{n}", laid.gap)).collect();
        spliced(text, end, 0, &added)
    };
    if let Edit::Insert { .. } = step.change {
        // At the end, or behind the rule that answers now.
        let at = match step.place {
            Some(_) => Some(own),
            None => list.last(),
        };
        return Ok(behind(at.map_or(own.place.end, |v| v.place.end)));
    }
    let map = own.map("a rule")?;
    let conditional = |key: &&str| match map.get(key).map(|v| &v.kind) {
        Some(Kind::Map(members)) => !members.is_empty(),
        _ => false,
    };
    if !new.is_empty()
        && let Some(key) = ["includes", "excludes"].iter().find(|key| conditional(key))
    {
        return Err(Mistake::at(
            own.place,
            format!("the entry has `{key}`, which new ones would have to repeat"),
        ));
    }
    let names = map.list("names").unwrap_or_default();
    if names.len() > 1 {
        let at = names
            .iter()
            .position(|n| n.text("a name").is_ok_and(|n| n == step.call));
        let at = at.ok_or_else(|| Mistake::at(own.place, "the entry does not name the call"))?;
        let longer = behind(own.place.end);
        let (start, end) = with_comma(names, at);
        return Ok(spliced(&longer, start, end - start, ""));
    }
    if new.is_empty() {
        let (start, end) = with_comma(list, index);
        return Ok(spliced(text, start, end - start, ""));
    }
    let separator = format!(",{}", laid.gap);
    let Place { start, end } = own.place;
    Ok(spliced(text, start, end - start, &new.join(&separator)))
}

/// New rules as the format's writer says them.
fn written(format: Format, step: &Step<'_>) -> Result<Vec<Value>, Mistake> {
    if step.added().is_empty() {
        return Ok(Vec::new());
    }
    // Kubernetes' objects have the entries of the OCI's.
    let format = match format {
        Format::Kubernetes => Format::Oci,
        other => other,
    };
    let table = Table {
        rules: step.added().to_vec(),
        ..step.table.clone()
    };
    let foreign = crate::Action::KillProcess;
    let filter = Filter {
        name: step.name.map(str::to_owned),
        policy: Policy::of(table, foreign),
        places: Vec::new(),
    };
    let source = Source {
        filters: vec![filter],
        remarks: Vec::new(),
    };
    let conceded = Concessions {
        foreign: true,
        newer: true,
    };
    let text = super::write(format, &source, conceded)
        .map_err(|unsayable| Mistake::whole(unsayable.message))?;
    let document = json::parse(&text)?;
    let name = step.name.unwrap_or("main");
    let found = list(format, &document, Some(name));
    let found = found.ok_or_else(|| Mistake::whole("the format has no such rule"))?;
    Ok(found.list("the rules")?.to_vec())
}

/// The list of a filter's rules.
fn list<'a>(format: Format, document: &'a Value, name: Option<&str>) -> Option<&'a Value> {
    let get = |map: Option<Map<'a>>, key: &str| map.and_then(|m| m.get(key));
    let map = |value: Option<&'a Value>| value.and_then(|v| v.map("an object").ok());
    let top = map(Some(document));
    if let Format::Firecracker | Format::Seccompiler = format {
        return get(map(get(top, name?)), "filter");
    }
    let inner = map(get(map(get(top, "linux")), "seccomp"));
    let spec = map(get(top, "spec"));
    get(inner.or(spec).or(top), "syscalls")
}

/// The list of objects whose element has a place in it, the innermost.
fn element(value: &Value, place: Place) -> Option<(&[Value], usize)> {
    let has = |v: &Value| v.place.start <= place.start && place.end <= v.place.end;
    match &value.kind {
        Kind::Map(members) => {
            let own = members.iter().find(|m| has(&m.value))?;
            element(&own.value, place)
        }
        Kind::List(all) => {
            let index = all.iter().position(has)?;
            match &all[index].kind {
                Kind::Map(_) => element(&all[index], place).or(Some((all, index))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An element with the comma behind it or, of the last one, before it.
fn with_comma(list: &[Value], index: usize) -> (usize, usize) {
    let own = list[index].place;
    let before = index.checked_sub(1).and_then(|n| list.get(n));
    match (list.get(index + 1), before) {
        (Some(next), _) => (own.start, next.place.start),
        (None, Some(before)) => (before.place.end, own.end),
        (None, None) => (own.start, own.end),
    }
}

/// How an element is laid out.
struct Layout {
    /// What stands between it and the comma before it.
    gap: String,
    /// What begins each of its lines, when it has several: of its members, and of its end.
    lines: Option<(String, String)>,
}

impl Layout {
    fn of(text: &str, element: Place) -> Layout {
        let before = &text[..element.start];
        let line = before.rfind('\n').map_or(0, |n| n + 1);
        let base = &before[line..];
        let own = &text[element.start..element.end];
        let blank = |s: &str| s.chars().all(char::is_whitespace);
        let inner = own.split_once('\n').and_then(|(first, rest)| {
            let length = rest.len() - rest.trim_start().len();
            (first.trim_end() == "{").then(|| format!("\n{}", &rest[..length]))
        });
        let indented =
            |s: &str| -> String { s.chars().take_while(|c| c.is_whitespace()).collect() };
        Layout {
            gap: match blank(base) {
                true => format!("\n{base}"),
                false => " ".into(),
            },
            lines: inner.map(|inner| (inner, format!("\n{}", indented(base)))),
        }
    }

    fn rendered(&self, value: &Value) -> String {
        let (Kind::Map(members), Some((inner, end))) = (&value.kind, &self.lines) else {
            return one_line(value);
        };
        let members = members.iter().map(|m| {
            let key = json::quoted(&m.key);
            format!("{inner}{key}: {}", one_line(&m.value))
        });
        let members: Vec<String> = members.collect();
        format!("{{{}{end}}}", members.join(","))
    }
}

fn one_line(value: &Value) -> String {
    match &value.kind {
        Kind::Null => "null".into(),
        Kind::Bool(truth) => truth.to_string(),
        Kind::Number(written) => written.clone(),
        Kind::Text(text) => json::quoted(text),
        Kind::List(all) => {
            let all: Vec<String> = all.iter().map(one_line).collect();
            format!("[{}]", all.join(", "))
        }
        Kind::Map(members) => {
            let member = |m: &super::document::Member| {
                format!("{}: {}", json::quoted(&m.key), one_line(&m.value))
            };
            let all: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", all.join(", "))
        }
    }
}

fn spliced(text: &str, at: usize, gone: usize, new: &str) -> String {
    let (before, after) = (&text[..at], &text[at + gone..]);
    format!("{before}{new}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Op, Target, Width};

    fn read(format: Format, text: &str) -> Vec<Filter> {
        let target = Target {
            arches: vec![portcullis_abi::Arch::X86_64],
            capabilities: Vec::new(),
            kernel: (6, 1),
        };
        let none = |_: &str| Err(String::new());
        let source =
            super::super::read(format, text, &target, super::super::Newer::AsDefault, &none);
        source.unwrap().filters
    }

    /// A rule of a call by its place in the file, with a condition more.
    fn tight(filter: &Filter, rule: usize) -> Edit {
        let condition = Condition {
            index: 1,
            width: Width::W64,
            op: Op::Equal(7),
        };
        let mut by = filter.policy.tables[0].rules[rule].clone();
        by.conditions = vec![condition];
        Edit::Replace {
            rule: (0, rule),
            by: vec![by],
        }
    }

    fn remove(rule: usize) -> Edit {
        Edit::Remove { rule: (0, rule) }
    }

    #[test]
    fn several_changes_of_one_section() {
        let text = "schema = \"portcullis.policy\"\nversion = 1\narch = \"x86_64\"\nbaseline = \"6.1\"\n\
            default = \"kill\"\n\n# Why.\n[[rule]]\ncalls = [\"fcntl\", \"ioctl\", \"getpid\", \"getppid\"]\naction = \"allow\"\n";
        let filters = read(Format::Native, text);
        let (first, second, third) = (tight(&filters[0], 0), tight(&filters[0], 1), remove(2));
        let changes = [(0, &first), (0, &second), (0, &third)];
        let edited = edit(Format::Native, text, &filters, &changes).unwrap();
        let mut meant = filters[0].policy.clone();
        Edit::apply_all(&[&first, &second, &third], &mut meant);
        let again = read(Format::Native, &edited);
        let calls = |policy: &Policy| {
            let mut all = policy.tables[0].rules.clone();
            all.sort_by_key(|r| r.calls);
            all.into_iter()
                .map(|r| (r.calls, r.conditions, r.action))
                .collect::<Vec<_>>()
        };
        assert_eq!(calls(&again[0].policy), calls(&meant), "{edited}");
        assert!(edited.contains("# Why.\n"), "{edited}");
    }

    #[test]
    fn elements_go_with_their_commas() {
        let text = "{\"a\": {\"default_action\": \"trap\", \"filter_action\": \"allow\", \"filter\": [\n  \
            {\"syscall\": \"read\"},\n  {\"syscall\": \"write\"}\n]}}";
        let filters = read(Format::Firecracker, text);
        let all = [remove(0), remove(1)];
        let of = |which: &[usize]| {
            let changes: Vec<(usize, &Edit)> = which.iter().map(|n| (0, &all[*n])).collect();
            edit(Format::Firecracker, text, &filters, &changes).unwrap()
        };
        assert!(
            of(&[0]).contains("[\n  {\"syscall\": \"write\"}\n]"),
            "{}",
            of(&[0])
        );
        assert!(
            of(&[1]).contains("[\n  {\"syscall\": \"read\"}\n]"),
            "{}",
            of(&[1])
        );
        assert!(
            of(&[0, 1]).contains("\"filter\": [\n  \n]"),
            "{}",
            of(&[0, 1])
        );
    }

    #[test]
    fn other_forms_and_other_policies_are_refused() {
        let text = "read: 1\n";
        let filters = read(Format::Minijail, text);
        let change = remove(0);
        assert!(edit(Format::Minijail, text, &filters, &[(0, &change)]).is_err());
        assert!(edit(Format::Minijail, text, &filters, &[(1, &change)]).is_err());
        assert!(edit(Format::Minijail, text, &filters, &[(0, &remove(9))]).is_err());
    }
}
