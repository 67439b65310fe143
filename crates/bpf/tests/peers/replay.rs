//! libseccomp's own tables through this compiler: what each row says of its library must be true of our
//! filter, on every architecture that both know, as if each in turn were the machine's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use portcullis_abi::Arch;
use portcullis_bpf::{Program, compile, run, verify};
use portcullis_policy::{Action, Call, Policy};

use crate::rows::{Asked, Row};
use crate::{meaning, recorded, rows};

/// Rows that Debian 12's version has, less those of architectures without a table here. A smaller number
/// means that something is not read any more.
const FEWEST_ROWS: usize = 450;
/// And the calls that come of them.
const FEWEST_CALLS: u64 = 15_000;

/// Where `cargo xtask needs` unpacks the source package.
pub(crate) fn tests_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../libseccomp/tests")
}

/// A compiled and proved filter.
struct Filter {
    policy: Policy,
    program: Program,
}

#[test]
fn libseccomp_s_tables_hold_of_our_filters() {
    let directory = tests_directory();
    let rows = rows::read(&directory);
    let mut filters: HashMap<(String, Arch), Filter> = HashMap::new();
    let mut calls = 0;
    let mut replayed = 0;
    let mut left_out: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let mut own = 0;
        let mut unknown = BTreeSet::new();
        for native in Arch::ALL {
            let asked = match &row.asked {
                Asked::Random(_) => vec![native],
                Asked::Calls { arches, .. } => selected(arches, native, &mut unknown),
            };
            if asked.is_empty() {
                continue;
            }
            let key = (row.program.clone(), native);
            let filter = filters.entry(key).or_insert_with(|| {
                let recorded = recorded::record(&directory, &row.program, native);
                let policy = meaning::policy(&recorded, native);
                let program = compile(&policy).expect("fits");
                verify(program.clone(), &policy).expect("equal");
                Filter { policy, program }
            });
            own += replay(row, native, &asked, filter, &mut wrong);
        }
        calls += own;
        if own > 0 {
            replayed += 1;
        } else {
            let why = Vec::from_iter(unknown).join(", ");
            left_out.entry(why).or_default().push(&row.text);
        }
    }
    println!(
        "libseccomp: {replayed} of {} rows replayed, {} filters, {calls} calls",
        rows.len(),
        filters.len()
    );
    for (why, texts) in &left_out {
        println!("not replayed, no table of {why}:");
        texts.iter().for_each(|text| println!("    {text}"));
    }
    assert!(
        wrong.is_empty(),
        "{} rows do not hold:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Every row that was left out is about architectures without a table, and says which.
    assert!(
        left_out.keys().all(|why| !why.is_empty()),
        "{:?}",
        left_out.get("")
    );
    assert!(replayed >= FEWEST_ROWS, "only {replayed} rows");
    assert!(calls >= FEWEST_CALLS, "only {calls} calls");
}

/// Puts the calls of a row to a filter, as calls of these architectures; how many they were.
fn replay(
    row: &Row,
    native: Arch,
    arches: &[Arch],
    filter: &Filter,
    wrong: &mut Vec<String>,
) -> u64 {
    let mut count = 0;
    match &row.asked {
        Asked::Random(wanted) => {
            let mut state = u64::from(native.audit_arch()) << 8 | 1;
            for _ in 0..*wanted {
                let call = random_call(native, &mut state);
                let answers = (answer(filter, &call), filter.policy.decide(&call).action);
                if answers.0 != answers.1 {
                    wrong.push(format!("{native}: {}: {call:?} {answers:?}", row.text));
                }
                count += 1;
            }
        }
        Asked::Calls {
            call,
            args,
            answer: expected,
            ..
        } => {
            let expected = meaning::answer(expected);
            for &arch in arches {
                for number in numbers(call, arch) {
                    each(args, &mut |args| {
                        let call = Call {
                            arch: arch.audit_arch(),
                            number,
                            ip: 0,
                            args,
                        };
                        let found = answer(filter, &call);
                        if found != expected {
                            wrong.push(format!("{native}, {arch}: {}: {found:?}", row.text));
                        }
                        count += 1;
                    });
                }
            }
        }
    }
    count
}

fn answer(filter: &Filter, call: &Call) -> Action {
    Action::from_code(run(&filter.program, call))
}

/// The architectures that a row selects on a machine of this one, as libseccomp's `regression` script
/// does: a bare name selects the machine's own if it is that, a `+` selects in any case, `-` takes away.
fn selected(words: &str, native: Arch, unknown: &mut BTreeSet<String>) -> Vec<Arch> {
    let wide = |a: &Arch| matches!(a, Arch::X86_64 | Arch::Aarch64);
    let mut all = Vec::new();
    let mut without = Vec::new();
    for word in words.split(',') {
        match word {
            "all" | "all_le" => all.push(native),
            "+all_le" => all.extend(Arch::ALL),
            // No table here is of a big-endian one.
            "all_be" | "+all_be" => {
                unknown.insert("big-endian architectures".to_owned());
            }
            "all_64" => all.extend(Some(native).filter(wide)),
            "all_32" => all.extend(Some(native).filter(|a| !wide(a))),
            "+all_64" => all.extend(Arch::ALL.into_iter().filter(wide)),
            "+all_32" => all.extend(Arch::ALL.into_iter().filter(|a| !wide(a))),
            _ => {
                let (sign, name) = match word.strip_prefix(['+', '-']) {
                    Some(name) => (&word[..1], name),
                    None => ("", word),
                };
                match (sign, recorded::arch(name)) {
                    (_, None) => {
                        unknown.insert(name.to_owned());
                    }
                    ("+", Some(arch)) => all.push(arch),
                    ("-", Some(arch)) => without.push(arch),
                    (_, Some(arch)) => all.extend(Some(native).filter(|n| *n == arch)),
                }
            }
        }
    }
    all.retain(|a| !without.contains(a));
    all
}

/// The numbers that a row means on an architecture; a name that it lacks is a number that no rule has.
fn numbers(call: &str, arch: Arch) -> std::ops::RangeInclusive<u32> {
    if call == "-1" {
        return u32::MAX..=u32::MAX;
    }
    if call.starts_with(|c: char| c.is_ascii_digit()) {
        let (low, high) = rows::range(call);
        let narrow = |n: u64| u32::try_from(n).expect("a number");
        return narrow(low)..=narrow(high);
    }
    let name = meaning::multiplexed(arch, call).map_or(call, |(multiplexer, _)| multiplexer);
    // libseccomp gives numbers far below zero to calls that an architecture lacks.
    let number = arch.number(name).map_or(-10_000i32 as u32, |n| n.0);
    number..=number
}

/// Every combination of values.
fn each(values: &[Option<(u64, u64)>; 6], then: &mut impl FnMut([u64; 6])) {
    let ranges = values.map(|v| v.unwrap_or((0, 0)));
    let mut args = ranges.map(|(low, _)| low);
    loop {
        then(args);
        let next = (0..6).find(|n| args[*n] < ranges[*n].1);
        let Some(next) = next else { return };
        args[next] += 1;
        for (arg, (low, _)) in args.iter_mut().zip(&ranges).take(next) {
            *arg = *low;
        }
    }
}

/// A call of numbers and arguments that are small as often as not.
fn random_call(native: Arch, state: &mut u64) -> Call {
    let mut next = || {
        // xorshift64 (Marsaglia, 2003).
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state >> (*state % 60)
    };
    Call {
        arch: native.audit_arch(),
        number: next() as u32,
        ip: next(),
        args: std::array::from_fn(|_| next()),
    }
}
