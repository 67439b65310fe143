//! The phases of the policy: which of them the program is held to, by which filters, and what became of them.

use anyhow::{Result, bail};
use portcullis_abi::Arch;
use portcullis_bpf::{Program, compile, verify, verify_together};
use portcullis_policy::{Narrowing, Phase, Policy};
use portcullis_sandbox::{Cookie, Error, Mode};
use portcullis_watch::{self as watch, Held};

use crate::json::verdict as json;
use crate::neutral;
use crate::output::say;

/// The thread whose phases a process is held to. A filter is for all threads, and the others may be at any point of
/// theirs: what they need at any time stays.
const FIRST: &str = "main";
/// Its phase from which on nothing is taken away.
const WHOLE_LIFE: &str = "startup";
/// Phases that a program is held to. A filter is asked about most calls, and each is one more.
const MOST: usize = 16;

/// Phases, and what they are kept by.
pub(super) struct Phases {
    secret: Cookie,
    narrowings: Vec<Narrowing>,
    /// The same as the tracer is given them.
    filters: Vec<watch::Phase>,
    /// Those that cannot be kept, and why.
    left: Vec<json::Missing>,
    required: bool,
}

impl Phases {
    /// Those of `policy`, whose program is the file with the hash `file`, behind the filter `loaded`; `None` when it
    /// has none. `required`: an error when one cannot be kept.
    pub(super) fn of(
        policy: &Policy,
        loaded: &Policy,
        file: Option<[u8; 32]>,
        mode: Mode,
        required: bool,
    ) -> Result<Option<Phases>> {
        let mut all = Phases {
            secret: Cookie::random()?,
            narrowings: Vec::new(),
            filters: Vec::new(),
            left: Vec::new(),
            required,
        };
        for phase in policy.phases.iter().filter(|p| is_point(p)) {
            let reason = match all.obstacle(phase, policy, file, mode) {
                None => all.add(phase, policy, loaded)?,
                obstacle => obstacle,
            };
            if let Some(reason) = reason {
                let layer = layer(phase);
                if required {
                    bail!("the {layer} cannot be kept: {reason}");
                }
                say(&format!(
                    "not enforced: {}: {reason}",
                    neutral::text(&layer)
                ));
                all.left.push(json::Missing { layer, reason });
            }
        }
        let nothing = all.filters.is_empty() && all.left.is_empty();
        Ok((!nothing).then_some(all))
    }

    /// Why a phase cannot be kept, as far as that is known before the start.
    fn obstacle(
        &self,
        phase: &Phase,
        policy: &Policy,
        file: Option<[u8; 32]>,
        mode: Mode,
    ) -> Option<String> {
        let arch = policy.tables.first().map(|table| table.arch);
        let reason = if mode == Mode::Observe {
            "calls outside the set are let through"
        } else if phase.begins.is_empty() {
            "where it begins in the program's file is not known"
        } else if phase.file.is_some() && phase.file != file {
            "it is of another file than this program; derive the policy again"
        } else if arch != Some(Arch::NATIVE) {
            "its calls are those of another architecture"
        } else if self.filters.len() >= MOST {
            "there are too many phases"
        } else {
            return None;
        };
        Some(reason.to_owned())
    }

    /// Makes and proves the filter of a phase; nothing when it takes no call away.
    fn add(&mut self, phase: &Phase, policy: &Policy, loaded: &Policy) -> Result<Option<String>> {
        let data = u16::try_from(self.filters.len() + 1).unwrap_or(u16::MAX);
        let Some(narrowing) = policy.narrowing(phase, loaded, data) else {
            return Ok(Some("the policy has no table of calls".to_owned()));
        };
        if narrowing.added.rules().next().is_none() {
            // Nothing to keep, and no failure.
            self.left.push(json::Missing {
                layer: layer(phase),
                reason: "it takes no call away".to_owned(),
            });
            return Ok(None);
        }
        let proved = verify(compile(&narrowing.added)?, &narrowing.added)?;
        self.filters.push(watch::Phase {
            name: name(phase),
            begins: phase.begins.clone(),
            filter: proved.program().clone(),
        });
        self.narrowings.push(narrowing);
        Ok(None)
    }

    /// Proves what each filter and that of the launch, which holds placeholders for its secrets, answer together.
    pub(super) fn prove(&self, launch: &Program) -> Result<(), Error> {
        for (phase, narrowing) in self.filters.iter().zip(&self.narrowings) {
            verify_together(&[launch, &phase.filter], &narrowing.together)?;
        }
        Ok(())
    }

    /// What lets filters be added to the program's.
    pub(super) fn secret(&self) -> &Cookie {
        &self.secret
    }

    /// For the tracer.
    pub(super) fn followed(&self) -> watch::Phases<'_> {
        watch::Phases {
            all: &self.filters,
            secret: self.secret.value(),
            required: self.required,
        }
    }

    /// The name of a phase that a denial is about, and what the program may do then.
    pub(super) fn at(&self, phase: usize) -> Option<(&str, &Policy)> {
        let narrowing = self.narrowings.get(phase)?;
        Some((&self.filters.get(phase)?.name, &narrowing.policy))
    }

    /// What held, and what did not.
    pub(super) fn told(&self, held: &[Held]) -> (Vec<json::Layer>, Vec<json::Missing>) {
        let mut layers = Vec::new();
        let mut missing = self.left.clone();
        let all = self.filters.iter().zip(&self.narrowings).zip(held);
        for ((filter, narrowing), held) in all {
            let layer = format!("phase {}", filter.name);
            let reason = match held {
                Held::InForce { before } => {
                    let taken = narrowing.added.rules().count();
                    let others = match before {
                        0 => String::new(),
                        n => format!("; not for {n} processes that the program had started before"),
                    };
                    layers.push(json::Layer {
                        layer,
                        mechanism: "seccomp+tracer".into(),
                        scope: "process and what it starts from then on".into(),
                        detail: format!("{taken} system calls taken away{others}"),
                    });
                    continue;
                }
                Held::NotReached => "the program ended before it began".to_owned(),
                Held::NotInForce(reason) => {
                    say(&format!(
                        "not enforced: {}: {reason}",
                        neutral::text(&layer)
                    ));
                    reason.clone()
                }
            };
            missing.push(json::Missing { layer, reason });
        }
        (layers, missing)
    }
}

/// Whether a process can be held to it.
fn is_point(phase: &Phase) -> bool {
    phase.thread == FIRST && phase.phase != WHOLE_LIFE
}

fn name(phase: &Phase) -> String {
    format!("{}/{}", phase.thread, phase.phase)
}

fn layer(phase: &Phase) -> String {
    format!("phase {}", name(phase))
}
