//! From the text to the policies.

use super::automatic;
use super::calls::Groups;
use super::document::{Literal, Section, Word, parse};
use super::include::{Included, Includes, Loader};
use super::lower::{Budget, Lowering, numbers};
use super::settings::{self, Settings};
use super::{SCHEMA, VERSION};
use crate::{Filter, Mistake, NoDay, Phase, Place, Policy, Ramp, Remark, Source};

/// Keys of a file that another includes: rules, and groups for them.
pub(super) const KEYS_OF_INCLUDED: [&str; 5] = ["schema", "version", "include", "groups", "rule"];
/// Keys of a filter, besides the settings.
const KEYS_OF_FILTER: [&str; 5] = ["name", "include", "for", "rule", "phase"];
/// Keys of the top, besides the settings.
const KEYS_OF_TOP: [&str; 8] = [
    "schema", "version", "include", "groups", "for", "rule", "filter", "phase",
];

/// Filters of one file: threads that differ in what they do.
const MOST_FILTERS: usize = 256;

/// What is gathered over all filters of a file.
struct Reading {
    budget: Budget,
    remarks: Vec<Remark>,
}

/// Reads a file: see the module above.
pub(super) fn read(text: &str, source: &dyn Includes) -> Result<Source, Mistake> {
    let document = parse(text)?;
    let top = Section::top(&document, "a policy");
    // Another kind of document is told so, and not of its first unknown key.
    schema(top, true)?;
    top.has_only(&[&KEYS_OF_TOP[..], &settings::KEYS].concat())?;
    let settings = Settings::read(top, None)?;
    let mut loader = Loader::new(source);
    let includes = loader.load(top)?;
    let groups = Groups::read(top, &includes, &settings.arches)?;
    let mut reading = Reading {
        budget: Budget::new(),
        remarks: Vec::new(),
    };
    let mut filters: Vec<Filter> = Vec::new();
    let named = top.each("filter", "a filter")?;
    if let Some(one) = named.get(MOST_FILTERS) {
        let message = format!("a file has at most {MOST_FILTERS} filters");
        return Err(Mistake::at(one.header(), message));
    }
    let whole = !top.each("rule", "a rule")?.is_empty()
        || !top.each("phase", "a phase")?.is_empty()
        || has_rules(&includes)?;
    if whole || named.is_empty() {
        let filter = filter(top, None, &settings, &includes, &groups, &mut reading)?;
        filters.push(filter);
    }
    for section in named {
        section.has_only(&[&KEYS_OF_FILTER[..], &settings::KEYS].concat())?;
        let name = section.text("name")?;
        let wrong = |message: String| match name {
            Some((_, word)) => word.mistake(message),
            None => Mistake::at(section.header(), message),
        };
        let name = name.map(|(name, _)| name.to_owned());
        if filters.iter().any(|other| other.name == name) {
            return Err(wrong(match &name {
                Some(name) => format!("the filter `{name}` is there twice"),
                None => "only one filter is without `name`: that of the whole process".into(),
            }));
        }
        let own = Settings::read(section, Some(&settings))?;
        let own_includes = loader.load(section)?;
        // A filter of other architectures has its names looked up there.
        let mut groups = match own.arches == settings.arches {
            true => groups.clone(),
            false => Groups::read(top, &includes, &own.arches)?,
        };
        groups.add(Groups::read_includes(&own_includes, &own.arches)?);
        let filter = filter(section, name, &own, &own_includes, &groups, &mut reading)?;
        filters.push(filter);
    }
    Ok(Source {
        filters,
        remarks: reading.remarks,
    })
}

/// Whether files that are included say anything but groups.
fn has_rules(files: &[Included]) -> Result<bool, Mistake> {
    for file in files {
        let rules = file.top().each("rule", "a rule");
        let rules = rules.map_err(|mistake| file.mistake(mistake))?;
        if !rules.is_empty() || has_rules(&file.includes)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks what kind of document it is; an included file need not say.
pub(super) fn schema(section: Section<'_>, needed: bool) -> Result<(), Mistake> {
    match section.text("schema")? {
        Some((SCHEMA, _)) => {}
        Some((other, word)) => {
            return Err(word.mistake(format!("this is a `{other}` document, not {SCHEMA}")));
        }
        None if needed => {
            return Err(Mistake::at(
                Place::default(),
                format!("`schema` is missing, as schema = \"{SCHEMA}\""),
            ));
        }
        None => {}
    }
    match section.number("version")? {
        Some(VERSION) => Ok(()),
        None if !needed => Ok(()),
        Some(other) => Err(Mistake::at(
            section.key("version"),
            format!("version {other} of {SCHEMA} is not known; {VERSION} is"),
        )),
        None => Err(Mistake::at(
            Place::default(),
            format!("`version` is missing, as version = {VERSION}"),
        )),
    }
}

/// The runs in which a policy was tried.
fn ramp(section: Section<'_>) -> Result<Option<Ramp>, Mistake> {
    let runs = section.number("ramp-runs")?;
    let since = section.text("ramp-since")?.map(|(text, word)| {
        text.parse()
            .map_err(|why: NoDay| word.mistake(why.to_string()))
    });
    match (runs, since.transpose()?) {
        (Some(runs), Some(since)) => Ok(Some(Ramp { runs, since })),
        (None, None) => Ok(None),
        (runs, _) => {
            let (there, missing) = match runs {
                Some(_) => ("ramp-runs", "ramp-since"),
                None => ("ramp-since", "ramp-runs"),
            };
            let message = format!("`{there}` says nothing without `{missing}`");
            Err(Mistake::at(section.key(there), message))
        }
    }
}

fn filter(
    section: Section<'_>,
    name: Option<String>,
    settings: &Settings,
    includes: &[Included],
    groups: &Groups,
    reading: &mut Reading,
) -> Result<Filter, Mistake> {
    let mut lowering = Lowering::new(&settings.arches, &mut reading.budget);
    lowering.section(section, includes, groups)?;
    let mut tables = Vec::with_capacity(settings.arches.len());
    let mut places = Vec::with_capacity(settings.arches.len());
    for (at, arch) in settings.arches.iter().enumerate() {
        let mut table = settings.table(*arch, Vec::new())?;
        let mut placed = std::mem::take(&mut lowering.tables[at]);
        if let Some(place) = settings.strict_high {
            // Otherwise a dirty half would be the way around a rule that denies.
            if table.default.permits() {
                let message = "`strict-high` needs a `default` that denies";
                return Err(Mistake::at(place, message));
            }
            automatic::strict_high(*arch, table.default, &mut placed);
        }
        if settings.clone3_by_itself {
            automatic::clone3(*arch, &mut placed);
        }
        let (rules, own) = placed;
        table.rules = rules;
        tables.push(table);
        places.push(own);
    }
    reading.remarks.append(&mut lowering.remarks);
    let mut phases = Vec::new();
    for phase in &section.each("phase", "a phase")? {
        phase.has_only(&["thread", "phase", "at", "file", "calls"])?;
        let text = |key: &str| match phase.text(key)? {
            Some((text, _)) => Ok(text.to_owned()),
            None => Err(Mistake::at(
                phase.header(),
                format!("a phase needs `{key}`"),
            )),
        };
        let mut calls = Vec::new();
        for word in phase.words("calls")?.unwrap_or_default() {
            let numbers = numbers(word, settings.arches.first().copied(), groups)?;
            reading.budget.spend(numbers.len(), word)?;
            calls.extend(numbers);
        }
        calls.sort_unstable();
        calls.dedup();
        phases.push(Phase {
            thread: text("thread")?,
            phase: text("phase")?,
            begins: begins(phase)?,
            file: file(phase)?,
            calls,
        });
    }
    Ok(Filter {
        name,
        policy: Policy {
            tables,
            foreign: settings.foreign,
            phases,
            ramp: ramp(section)?,
        },
        places,
    })
}

/// Where a phase begins.
fn begins(phase: &Section<'_>) -> Result<Vec<u64>, Mistake> {
    let address = |word: Word<'_>| match word.literal {
        Literal::Number(number) => u64::try_from(number)
            .map_err(|_| word.mistake("an address of a file is no negative number")),
        Literal::Text(_) => Err(word.mistake("`at` takes addresses: numbers, as 0x1139")),
    };
    let words = phase.words("at")?.unwrap_or_default().into_iter();
    let mut all = words.map(address).collect::<Result<Vec<u64>, _>>()?;
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The file in which it begins.
fn file(phase: &Section<'_>) -> Result<Option<[u8; 32]>, Mistake> {
    let Some((text, word)) = phase.text("file")? else {
        return Ok(None);
    };
    let mut hash = [0; 32];
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).zip(&mut hash);
    let whole = digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit);
    for (pair, byte) in pairs.filter(|_| whole) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    match whole {
        true => Ok(Some(hash)),
        false => Err(word.mistake("`file` is a SHA-256: 64 hexadecimal digits")),
    }
}
