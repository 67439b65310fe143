//! Scan results as bytes. The structures here are the cache's own: what the libraries' types look
//! like is no file format. Decoding checks everything that later code relies on.

use portcullis_abi::{
    ArgValue, Binary, Confidence, Language, Linkage, Location, Made, Mode, Origin, Paths, Residual,
    ResidualKind, ScannedObject, Site, Syscall, SyscallSet, Sysno, ThreadSet, Tuple, Warning,
};
use portcullis_scan::ARCHITECTURES;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct StoredSet {
    path: String,
    script: Option<(String, Option<String>)>,
    arch: u8,
    linkage: u8,
    stripped: bool,
    languages: Vec<u8>,
    objects: Vec<(String, Option<String>, [u8; 32])>,
    /// Function names occur thousands of times in witness paths; each is kept once.
    names: Vec<String>,
    syscalls: Vec<StoredCall>,
    sets: Vec<StoredThread>,
    residuals: Vec<StoredResidual>,
    warnings: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct StoredCall {
    number: u32,
    origin: u8,
    confidence: u8,
    args: Vec<(u8, StoredArg)>,
    sites: Vec<(Place, Vec<StoredTuple>, Option<StoredPaths>)>,
    why: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
struct StoredThread {
    thread: String,
    phase: String,
    begins: Vec<u64>,
    mode: u8,
    numbers: Vec<u32>,
    /// Number, site, tuple.
    made: Option<Vec<(u32, u32, u32)>>,
    starts: Vec<String>,
}

/// Known ones, and whether there are others.
type StoredPaths = (Vec<String>, bool);

#[derive(Serialize, Deserialize)]
struct StoredTuple {
    mode: u8,
    via: Vec<Place>,
    args: Vec<(u8, StoredArg)>,
}

#[derive(Serialize, Deserialize)]
struct StoredResidual {
    id: String,
    kind: u8,
    at: Place,
    detail: String,
    why: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
enum StoredArg {
    Any,
    Values(Vec<u64>),
    Ranges(Vec<(u64, u64, u64)>),
    Masked(u64, Vec<u64>),
    Text(String),
}

/// Object, address, and the index of the function's name plus one (0: no name).
#[derive(Serialize, Deserialize, Clone, Copy)]
struct Place(u32, u64, u32);

const LINKAGES: [Linkage; 3] = [Linkage::Static, Linkage::StaticPie, Linkage::Dynamic];
const LANGUAGES: [Language; 4] = [Language::C, Language::Cpp, Language::Rust, Language::Go];
const ORIGINS: [Origin; 4] = [
    Origin::Program,
    Origin::Loader,
    Origin::Kernel,
    Origin::Vdso,
];
const CONFIDENCES: [Confidence; 3] = [Confidence::Direct, Confidence::Tight, Confidence::Sound];
const MODES: [Mode; 2] = [Mode::Sound, Mode::Tight];
const KINDS: [ResidualKind; 5] = [
    ResidualKind::Number,
    ResidualKind::Target,
    ResidualKind::Module,
    ResidualKind::Exec,
    ResidualKind::Code,
];

/// The bytes of `set`; `None` when it cannot be stored faithfully: statements are applied to what is
/// stored, each time anew.
pub(crate) fn encode(set: &SyscallSet) -> Option<Vec<u8>> {
    if !set.assumed.is_empty() {
        return None;
    }
    let mut names = Names::default();
    let syscalls = set
        .syscalls
        .iter()
        .map(|call| {
            Some(StoredCall {
                number: call.number.0,
                origin: code(&ORIGINS, call.origin)?,
                confidence: code(&CONFIDENCES, call.confidence)?,
                args: store_args(&call.args),
                sites: call
                    .sites
                    .iter()
                    .map(|site| {
                        let tuples = site
                            .tuples
                            .iter()
                            .map(|tuple| {
                                Some(StoredTuple {
                                    mode: code(&MODES, tuple.mode)?,
                                    via: names.places(&tuple.via)?,
                                    args: store_args(&tuple.args),
                                })
                            })
                            .collect::<Option<_>>()?;
                        let paths = site.paths.clone().map(|p| (p.known, p.others));
                        Some((names.place(&site.at)?, tuples, paths))
                    })
                    .collect::<Option<_>>()?,
                why: names.places(&call.why)?,
            })
        })
        .collect::<Option<_>>()?;
    let residuals = set
        .residuals
        .iter()
        .map(|r| {
            Some(StoredResidual {
                id: r.id.clone(),
                kind: code(&KINDS, r.kind)?,
                at: names.place(&r.at)?,
                detail: r.detail.clone(),
                why: names.places(&r.why)?,
            })
        })
        .collect::<Option<_>>()?;
    let stored = StoredSet {
        path: set.binary.path.clone(),
        script: set.binary.script.clone(),
        arch: code(&ARCHITECTURES, set.binary.arch)?,
        linkage: code(&LINKAGES, set.binary.linkage)?,
        stripped: set.binary.stripped,
        languages: set
            .binary
            .languages
            .iter()
            .map(|l| code(&LANGUAGES, *l))
            .collect::<Option<_>>()?,
        objects: set
            .objects
            .iter()
            .map(|o| (o.path.clone(), o.soname.clone(), o.sha256))
            .collect(),
        names: names.list,
        syscalls,
        sets: set
            .sets
            .iter()
            .map(|s| {
                let made = |m: &Made| (m.number.0, m.site, m.tuple);
                Some(StoredThread {
                    thread: s.thread.clone(),
                    phase: s.phase.clone(),
                    begins: s.begins.clone(),
                    mode: code(&MODES, s.mode)?,
                    numbers: s.numbers.iter().map(|n| n.0).collect(),
                    made: s.made.as_ref().map(|all| all.iter().map(made).collect()),
                    starts: s.starts.clone(),
                })
            })
            .collect::<Option<_>>()?,
        residuals,
        warnings: set
            .warnings
            .iter()
            .map(|w| (w.code.to_owned(), w.message.clone()))
            .collect(),
    };
    postcard::to_stdvec(&stored).ok()
}

/// The set that `bytes` hold; `None` when they hold none.
pub(crate) fn decode(bytes: &[u8]) -> Option<SyscallSet> {
    let (stored, rest) = postcard::take_from_bytes::<StoredSet>(bytes).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let objects: Vec<ScannedObject> = stored
        .objects
        .into_iter()
        .map(|(path, soname, sha256)| ScannedObject {
            path,
            soname,
            sha256,
        })
        .collect();
    let names = stored.names;
    let place = |Place(object, address, name): Place| {
        let object = usize::try_from(object).ok()?;
        let function = match usize::try_from(name).ok()? {
            0 => None,
            name => Some(names.get(name - 1)?.clone()),
        };
        (object < objects.len()).then_some(Location {
            object,
            address,
            function,
        })
    };
    let places = |way: Vec<Place>| way.into_iter().map(place).collect::<Option<Vec<_>>>();
    let syscalls: Vec<Syscall> = stored
        .syscalls
        .into_iter()
        .map(|call| {
            Some(Syscall {
                number: Sysno(call.number),
                origin: meaning(&ORIGINS, call.origin)?,
                confidence: meaning(&CONFIDENCES, call.confidence)?,
                args: load_args(call.args),
                sites: call
                    .sites
                    .into_iter()
                    .map(|(at, tuples, paths)| {
                        Some(Site {
                            at: place(at)?,
                            tuples: tuples
                                .into_iter()
                                .map(|tuple| {
                                    Some(Tuple {
                                        mode: meaning(&MODES, tuple.mode)?,
                                        via: places(tuple.via)?,
                                        args: load_args(tuple.args),
                                    })
                                })
                                .collect::<Option<_>>()?,
                            paths: paths.map(|(known, others)| Paths { known, others }),
                        })
                    })
                    .collect::<Option<_>>()?,
                why: places(call.why)?,
            })
        })
        .collect::<Option<_>>()?;
    if !syscalls.is_sorted_by(|a, b| a.number < b.number) {
        return None;
    }
    let residuals = stored
        .residuals
        .into_iter()
        .map(|r| {
            Some(Residual {
                id: r.id,
                kind: meaning(&KINDS, r.kind)?,
                at: place(r.at)?,
                detail: r.detail,
                why: places(r.why)?,
            })
        })
        .collect::<Option<_>>()?;
    let warnings = stored
        .warnings
        .into_iter()
        .map(|(code, message)| {
            Some(Warning {
                code: crate::json::warning_code(&code)?,
                message,
            })
        })
        .collect::<Option<_>>()?;
    Some(SyscallSet {
        binary: Binary {
            path: stored.path,
            script: stored.script,
            arch: meaning(&ARCHITECTURES, stored.arch)?,
            linkage: meaning(&LINKAGES, stored.linkage)?,
            stripped: stored.stripped,
            languages: stored
                .languages
                .into_iter()
                .map(|l| meaning(&LANGUAGES, l))
                .collect::<Option<_>>()?,
        },
        syscalls,
        sets: stored
            .sets
            .into_iter()
            .map(|stored| {
                let made = |(number, site, tuple)| Made {
                    number: Sysno(number),
                    site,
                    tuple,
                };
                Some(ThreadSet {
                    thread: stored.thread,
                    phase: stored.phase,
                    begins: stored.begins,
                    mode: *MODES.get(usize::from(stored.mode))?,
                    numbers: stored.numbers.into_iter().map(Sysno).collect(),
                    made: stored.made.map(|all| all.into_iter().map(made).collect()),
                    starts: stored.starts,
                })
            })
            .collect::<Option<_>>()?,
        residuals,
        assumed: Vec::new(),
        warnings,
        objects,
    })
}

/// The position of `value` in its table.
fn code<T: PartialEq>(table: &[T], value: T) -> Option<u8> {
    u8::try_from(table.iter().position(|v| *v == value)?).ok()
}

fn meaning<T: Copy>(table: &[T], code: u8) -> Option<T> {
    table.get(usize::from(code)).copied()
}

fn store_args(args: &[(u8, ArgValue)]) -> Vec<(u8, StoredArg)> {
    args.iter()
        .map(|(index, value)| {
            let value = match value {
                ArgValue::Any => StoredArg::Any,
                ArgValue::Values(v) => StoredArg::Values(v.clone()),
                ArgValue::Ranges(r) => StoredArg::Ranges(r.clone()),
                ArgValue::Masked { mask, values } => StoredArg::Masked(*mask, values.clone()),
                ArgValue::Text(t) => StoredArg::Text(t.clone()),
            };
            (*index, value)
        })
        .collect()
}

fn load_args(args: Vec<(u8, StoredArg)>) -> Vec<(u8, ArgValue)> {
    args.into_iter()
        .map(|(index, value)| {
            let value = match value {
                StoredArg::Any => ArgValue::Any,
                StoredArg::Values(v) => ArgValue::Values(v),
                StoredArg::Ranges(r) => ArgValue::Ranges(r),
                StoredArg::Masked(mask, values) => ArgValue::Masked { mask, values },
                StoredArg::Text(t) => ArgValue::Text(t),
            };
            (index, value)
        })
        .collect()
}

#[derive(Default)]
struct Names {
    list: Vec<String>,
    index: std::collections::HashMap<String, u32>,
}

impl Names {
    fn place(&mut self, at: &Location) -> Option<Place> {
        let name = match &at.function {
            None => 0,
            Some(name) => match self.index.get(name) {
                Some(index) => *index,
                None => {
                    self.list.push(name.clone());
                    let index = u32::try_from(self.list.len()).ok()?;
                    self.index.insert(name.clone(), index);
                    index
                }
            },
        };
        Some(Place(u32::try_from(at.object).ok()?, at.address, name))
    }

    fn places(&mut self, way: &[Location]) -> Option<Vec<Place>> {
        way.iter().map(|at| self.place(at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn set() -> SyscallSet {
        SyscallSet {
            assumed: Vec::new(),
            ..sample::set()
        }
    }

    #[test]
    fn a_set_survives_the_way_there_and_back() {
        let mut set = set();
        for arch in ARCHITECTURES {
            set.binary.arch = arch;
            assert_eq!(decode(&encode(&set).unwrap()).unwrap(), set);
        }
        assert_eq!(encode(&sample::set()), None);
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let good = encode(&set()).unwrap();
        for at in 0..good.len() {
            assert_eq!(decode(&good[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                // Some flips still decode (another letter in a name): what decodes must render.
                if let Some(set) = decode(&bad) {
                    let _ = crate::json::scan::Document::new(&set);
                }
            }
        }
    }

    #[test]
    fn a_location_outside_the_objects_is_refused() {
        let mut set = set();
        set.syscalls[0].why[0].object = 7;
        assert_eq!(decode(&encode(&set).unwrap()), None);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&set()).unwrap();
        bytes.push(0);
        assert_eq!(decode(&bytes), None);
    }
}
