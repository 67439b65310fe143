//! Texts of policies, in the language of this project and in those of others. A reader gives a policy or a mistake with its
//! place; what a writer can say comes back the same, and a file that is laid out anew says the same.

use portcullis_abi::Arch;
use portcullis_policy::format::{self, Concessions, Format, Newer};
use portcullis_policy::lint::lint;
use portcullis_policy::{Filter, LineColumn, Mistake, Place, Source, Target, toml};

use crate::{calls, seeds};

/// Bytes of a policy, with what it includes.
pub(crate) const LONGEST: usize = 4096;

/// Stands between a policy and what it includes; no text has this byte.
const BETWEEN: u8 = 0xff;

/// The forms that are texts: programs of filters are the subject `filter`'s.
fn forms() -> impl Iterator<Item = Format> {
    let programs = [Format::Bpf, Format::C, Format::Rust];
    let all = Format::ALL.into_iter();
    all.filter(move |form| !programs.contains(form))
}

/// Policies of all forms that there are, those with mistakes among them.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let mut texts = seeds::of(&["testdata/policy", "profiles"]);
    let included = b"read: 1\n";
    for text in &mut texts {
        text.truncate(LONGEST - included.len() - 1);
        text.push(BETWEEN);
        text.extend_from_slice(included);
    }
    texts
}

/// Asks of one text.
pub fn ask(bytes: &[u8]) {
    let mut texts = bytes.split(|byte| *byte == BETWEEN).map(str::from_utf8);
    let Some(Ok(text)) = texts.next() else {
        return;
    };
    let included = texts.next().and_then(Result::ok).unwrap_or_default();
    let found = Format::detect(text.as_bytes());
    for arches in [&[Arch::X86_64, Arch::I386, Arch::X32][..], &[Arch::Aarch64]] {
        for form in forms() {
            if found.is_none_or(|found| found == form) {
                one(form, text, included, arches);
            }
        }
    }
}

fn one(form: Format, text: &str, included: &str, arches: &[Arch]) {
    let within = |place: Place| {
        assert!(
            place.start <= place.end && place.end <= text.len(),
            "{form}: {place:?}"
        );
        LineColumn::of(text, place.start);
    };
    let source = match read(form, text, included, arches) {
        Ok(source) => source,
        Err(mistake) => return mistake.place.into_iter().for_each(within),
    };
    for filter in &source.filters {
        lint(filter)
            .iter()
            .for_each(|finding| within(finding.place));
        for to in forms() {
            written(to, filter);
        }
    }
    if form == Format::Native {
        laid_out(text, included, &source, arches);
    }
}

fn read(form: Format, text: &str, included: &str, arches: &[Arch]) -> Result<Source, Mistake> {
    let target = Target {
        arches: arches.to_vec(),
        capabilities: vec!["CAP_SYS_ADMIN".to_owned()],
        kernel: (6, 1),
    };
    let include = |_: &str| Ok(included.to_owned());
    format::read(form, text, &target, Newer::AsDefault, &include)
}

/// What a form can say of a filter, and concedes nothing, has the same answers.
fn written(form: Format, filter: &Filter) {
    let mut one = Source {
        filters: vec![filter.clone()],
        remarks: Vec::new(),
    };
    if form == Format::Native {
        // It has no words for what can decide nothing.
        one.filters.iter_mut().for_each(format::without_repeated);
    }
    let Ok(text) = format::write(form, &one, Concessions::default()) else {
        return;
    };
    let arches: Vec<Arch> = filter
        .policy
        .tables
        .iter()
        .map(|table| table.arch)
        .collect();
    let again = match read(form, &text, "", &arches) {
        Ok(again) => again,
        Err(mistake) => panic!("{form} does not read what it wrote: {mistake:?}\n{text}"),
    };
    let again = &again.filters[0].policy;
    for call in calls::of_policy(&filter.policy) {
        let (before, after) = (filter.policy.decide(&call), again.decide(&call));
        assert_eq!(before.action, after.action, "{form}: {call:x?}\n{text}");
    }
}

/// A file in its layout says the same, and has it already.
fn laid_out(text: &str, included: &str, source: &Source, arches: &[Arch]) {
    let new = match toml::fmt(text) {
        Ok(new) => new,
        Err(mistake) => panic!("{mistake:?}"),
    };
    let policies = |source: &Source| -> Vec<_> {
        let filters = source.filters.iter();
        filters
            .map(|filter| (filter.name.clone(), filter.policy.clone()))
            .collect()
    };
    match read(Format::Native, &new, included, arches) {
        Ok(again) => assert_eq!(policies(&again), policies(source), "{new}"),
        Err(mistake) => panic!("{mistake:?}\n{new}"),
    }
    assert_eq!(toml::fmt(&new).ok().as_ref(), Some(&new));
}
