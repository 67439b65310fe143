//! What a file says of all its calls: architectures, baseline, and the answers to what no rule fits.

use portcullis_abi::{Arch, KernelVersion, Sysno};

use super::document::{Literal, Section, Word};
use super::nearest::suggestion;
use crate::{Action, Baseline, Mistake, NoAction, Place, Rule, Table};

/// Keys of the top and of a filter.
pub(super) const KEYS: [&str; 11] = [
    "arch",
    "baseline",
    "newest",
    "default",
    "newer",
    "foreign",
    "x32",
    "strict-high",
    "clone3",
    "ramp-runs",
    "ramp-since",
];
/// Keys of a `[for.ARCH]`.
const KEYS_FOR_ARCH: [&str; 5] = ["baseline", "newest", "default", "newer", "x32"];

/// What one section says; what it leaves out is said by the one around it.
#[derive(Clone, Default)]
struct Layer {
    baseline: Option<Baseline>,
    default: Option<Action>,
    newer: Option<Action>,
    x32_is_native: Option<bool>,
}

/// What holds for one filter.
#[derive(Clone)]
pub(super) struct Settings {
    /// The architectures, each once.
    pub(super) arches: Vec<Arch>,
    /// The answer to foreign calls.
    pub(super) foreign: Action,
    /// Dirty upper halves of 32-bit arguments are answered by the default: where that is said.
    pub(super) strict_high: Option<Place>,
    /// `clone3` is answered ENOSYS where `clone` is filtered by its arguments.
    pub(super) clone3_by_itself: bool,
    /// The most particular first; with an architecture, for that one alone.
    layers: Vec<(Option<Arch>, Layer)>,
    /// Where to say that something is missing.
    at: Place,
}

impl Settings {
    /// What a section says; `outer` is what holds around it.
    pub(super) fn read(
        section: Section<'_>,
        outer: Option<&Settings>,
    ) -> Result<Settings, Mistake> {
        let arches = match section.words("arch")? {
            Some(words) => arches(&words)?,
            None => match outer {
                Some(outer) => outer.arches.clone(),
                None => {
                    return Err(Mistake::at(
                        section.header(),
                        "`arch` is missing, as arch = \"x86_64\"",
                    ));
                }
            },
        };
        let mut layers = Vec::new();
        if let Some(all) = section.one("for", "`for`")? {
            for name in all.keys() {
                let arch = arch(name).map_err(|why| Mistake::at(all.key(name), why))?;
                if !arches.contains(&arch) {
                    return Err(Mistake::at(
                        all.key(name),
                        format!("{arch} is not in `arch`"),
                    ));
                }
                let Some(own) = all.one(name, "a [for.ARCH] section")? else {
                    continue;
                };
                own.has_only(&KEYS_FOR_ARCH)?;
                layers.push((Some(arch), layer(own)?));
            }
        }
        layers.push((None, layer(section)?));
        layers.extend(outer.iter().flat_map(|o| o.layers.iter().cloned()));
        let foreign = action(section, "foreign")?;
        let clone3 = section.text("clone3")?.map(|(text, word)| match text {
            "ENOSYS" => Ok(true),
            "default" => Ok(false),
            _ => Err(word.mistake("`clone3` is \"ENOSYS\" or \"default\"")),
        });
        Ok(Settings {
            arches,
            foreign: foreign
                .or(outer.map(|o| o.foreign))
                .unwrap_or(Action::KillProcess),
            strict_high: match section.flag("strict-high")? {
                Some(true) => Some(section.key("strict-high")),
                Some(false) => None,
                None => outer.and_then(|o| o.strict_high),
            },
            clone3_by_itself: clone3
                .transpose()?
                .or(outer.map(|o| o.clone3_by_itself))
                .unwrap_or(true),
            layers,
            at: section.header(),
        })
    }

    /// The table of an architecture with these rules.
    pub(super) fn table(&self, arch: Arch, rules: Vec<Rule>) -> Result<Table, Mistake> {
        let own = || self.layers.iter().filter(|l| l.0.is_none_or(|a| a == arch));
        let own = || own().map(|l| &l.1);
        let missing = |what: &str| Mistake::at(self.at, format!("{what} is missing"));
        Ok(Table {
            arch,
            rules,
            baseline: own().find_map(|l| l.baseline).ok_or_else(|| {
                missing("`baseline`, as baseline = \"6.1\" (the kernel), or \"none\",")
            })?,
            default: own()
                .find_map(|l| l.default)
                .ok_or_else(|| missing("`default`, as default = \"kill\","))?,
            newer: own().find_map(|l| l.newer).unwrap_or(Action::ENOSYS),
            x32_is_native: own().find_map(|l| l.x32_is_native).unwrap_or(false),
        })
    }
}

fn layer(section: Section<'_>) -> Result<Layer, Mistake> {
    let kernel = section.word("baseline")?.map(baseline).transpose()?;
    let newest = section
        .number("newest")?
        .map(|n| Baseline::Number(Sysno(n)));
    if kernel.is_some() && newest.is_some() {
        return Err(Mistake::at(
            section.key("newest"),
            "`baseline` and `newest` say the same; write one of them",
        ));
    }
    let x32 = section.text("x32")?.map(|(text, word)| match text {
        "native" => Ok(true),
        "foreign" => Ok(false),
        _ => Err(word.mistake("`x32` is \"foreign\" or \"native\"")),
    });
    Ok(Layer {
        baseline: kernel.or(newest),
        default: action(section, "default")?,
        newer: action(section, "newer")?,
        x32_is_native: x32.transpose()?,
    })
}

fn baseline(word: Word<'_>) -> Result<Baseline, Mistake> {
    let Literal::Text(text) = word.literal else {
        return Err(word.mistake("`baseline` is a string, as \"6.1\""));
    };
    if text == "none" {
        return Ok(Baseline::All);
    }
    let version: KernelVersion = text.parse().map_err(|_| {
        word.mistake(format!(
            "`{text}` is no kernel version; write one as \"6.1\", or \"none\""
        ))
    })?;
    Ok(Baseline::Kernel(version))
}

/// The action of a key.
pub(super) fn action(section: Section<'_>, key: &str) -> Result<Option<Action>, Mistake> {
    let text = section.text(key)?;
    text.map(|(text, word)| {
        text.parse()
            .map_err(|why: NoAction| word.mistake(why.to_string()))
    })
    .transpose()
}

/// A list of architectures, each once.
pub(super) fn arches(words: &[Word<'_>]) -> Result<Vec<Arch>, Mistake> {
    let mut all = Vec::with_capacity(words.len());
    for word in words {
        let arch = arch(&word.shown()).map_err(|why| word.mistake(why))?;
        if all.contains(&arch) {
            return Err(word.mistake(format!("{arch} is there twice")));
        }
        all.push(arch);
    }
    Ok(all)
}

fn arch(name: &str) -> Result<Arch, String> {
    let known = Arch::ALL.map(|a| a.to_string());
    let mut all = Arch::ALL.iter().zip(&known);
    match all.find(|(_, known)| *known == name) {
        Some((arch, _)) => Ok(*arch),
        None => {
            let near = suggestion(name, known.iter().map(String::as_str));
            Err(format!(
                "`{name}` is no architecture; known are {}{near}",
                known.join(", ")
            ))
        }
    }
}
