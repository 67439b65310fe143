//! Suite: the layers of `run`, on machines that lack one or have it in another way. What the machine is declared to
//! have, `doctor` finds; what it lacks is refused by name; and limits are kept by what there is.

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::KernelVersion;
use serde_json::Value;

use super::confined::{self, RUN};
use super::environment::User;
use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::programs::SMALL_CALLER;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment, Judge};

/// What one step may take on an emulated processor.
const SECONDS: u32 = 400;
/// What the small program ends with.
const CODE: i32 = 3;
/// What a refusal ends with.
const REFUSED: i32 = 125;

/// Since then a user's tasks are counted apart in a namespace of his own.
const COUNTED_APART: KernelVersion = KernelVersion::new(5, 14);

pub(crate) fn cases(environment: &Environment, _: &mut Files) -> Result<Vec<Case>> {
    let lacking = lacking(environment);
    let mut cases = vec![Case {
        name: "doctor finds what is there".to_owned(),
        needs: RUN.map(Need::from).into(),
        step: command(&["doctor", "--format", "json"]),
        judge: examined(environment)?,
    }];
    if lacking.is_empty() {
        cases.push(Case {
            name: "no way out is open".to_owned(),
            needs: RUN.map(Need::from).into(),
            step: of_program(&["run", "--prove"]),
            judge: Box::new(|seen| {
                seen.text(CODE)?;
                says(seen, "none leads out")
            }),
        });
    } else {
        cases.push(Case {
            name: "what is lacking is refused by its name".to_owned(),
            needs: RUN.map(Need::from).into(),
            step: of_program(&["run"]),
            judge: Box::new(move |seen| {
                seen.text(REFUSED)?;
                let said = String::from_utf8_lossy(&seen.stderr);
                let named = lacking
                    .iter()
                    .any(|layer| said.contains(&format!("the layer {layer} cannot be had")));
                ensure!(named, "none of {lacking:?} is named: {said}");
                Ok(1)
            }),
        });
    }
    for (limit, mechanism) in limits(environment)? {
        let option = format!("{limit}={}", if limit == "memory" { "256M" } else { "64" });
        cases.push(limited(environment, limit, &option, mechanism));
    }
    Ok(cases)
}

fn command(words: &[&str]) -> Step {
    Step {
        program: "portcullis".to_owned(),
        environment: Vec::new(),
        arguments: words.iter().map(|word| Word::from(*word)).collect(),
        seconds: SECONDS,
    }
}

fn of_program(words: &[&str]) -> Step {
    let mut step = command(words);
    let program = [Word::from("--"), Word::File(SMALL_CALLER.to_owned())];
    step.arguments.extend(program);
    step
}

fn has(environment: &Environment, feature: Feature) -> bool {
    environment.declared.level(feature) > 0
}

/// The layers of the default that the machine cannot give.
fn lacking(environment: &Environment) -> Vec<&'static str> {
    let layers = confined::layers(environment);
    let lacking = layers.into_iter().filter(|(_, can)| !can);
    lacking.map(|(layer, _)| layer).collect()
}

/// What keeps a limit; `None`: nothing, it is refused.
type Mechanism = Option<&'static str>;

/// The limits of all processes together.
fn limits(environment: &Environment) -> Result<[(&'static str, Mechanism); 2]> {
    let release: KernelVersion = environment.release.parse().context("the release")?;
    let by = |v2, v1| match (has(environment, v2), has(environment, v1)) {
        (true, _) => Some("cgroup v2"),
        (_, true) => Some("cgroup v1"),
        _ => None,
    };
    let apart = environment.user == User::Ordinary && release >= COUNTED_APART;
    let own = "RLIMIT_NPROC in a user namespace of its own";
    let apart = (apart && has(environment, Feature::Userns)).then_some(own);
    Ok([
        ("memory", by(Feature::Cgroup2Memory, Feature::Cgroup1Memory)),
        (
            "processes",
            by(Feature::Cgroup2Pids, Feature::Cgroup1Pids).or(apart),
        ),
    ])
}

/// A run with a limit, beside the layers that can be had.
fn limited(environment: &Environment, limit: &str, option: &str, mechanism: Mechanism) -> Case {
    let verdict = "verdict.json";
    let mut words = vec![Word::from(verdict), Word::File("portcullis".to_owned())];
    words.extend(["run", "--verdict", verdict, "--limit", option].map(Word::from));
    words.extend(confined::without(environment));
    words.extend([Word::from("--"), Word::File(SMALL_CALLER.to_owned())]);
    let judge: Judge = match mechanism {
        Some(mechanism) => Box::new(move |seen| {
            let (_, verdict) = confined::parts(seen, CODE)?;
            let layers = verdict["enforced"].as_array().context("no layers")?;
            let kept = layers
                .iter()
                .find(|layer| layer["layer"] == "limits")
                .context("no limit is kept")?;
            ensure!(kept["mechanism"] == mechanism, "it is kept by {kept}");
            Ok(2)
        }),
        None => Box::new(|seen| says(seen, "the layer limits cannot be had")),
    };
    Case {
        name: match mechanism {
            Some(mechanism) => format!("a limit of {limit} is kept by {mechanism}"),
            None => format!("a limit of {limit} is refused"),
        },
        needs: RUN.map(Need::from).into(),
        step: Step::then_shown(words, SECONDS),
        judge,
    }
}

fn says(seen: &Seen, text: &str) -> Result<usize> {
    let said = String::from_utf8_lossy(&seen.stderr);
    ensure!(said.contains(text), "it does not say {text:?} but {said:?}");
    Ok(1)
}

/// A judge of what `doctor` found.
fn examined(environment: &Environment) -> Result<Judge> {
    let mut expected = confined::layers(environment);
    if environment.user == User::Ordinary {
        // There is nothing to be mapped: it is made with the namespaces.
        expected.retain(|(layer, _)| *layer != "ids");
    }
    let complete = lacking(environment).is_empty();
    let namespaces = has(environment, Feature::Userns);
    let kept: Vec<(&str, bool)> = limits(environment)?
        .into_iter()
        // They are tried in namespaces.
        .map(|(limit, mechanism)| (limit, mechanism.is_some() && namespaces))
        .collect();
    Ok(Box::new(move |seen| {
        let text = seen.text(i32::from(!complete))?;
        let document: Value = serde_json::from_str(text).context("its document")?;
        ensure!(document["default"] == complete, "it says otherwise: {text}");
        let checks = document["checks"].as_array().context("no checks")?;
        for (layer, works) in &expected {
            let needed = |check: &&Value| check["layer"] == *layer && check["needed"] == true;
            let mut of_layer = checks.iter().filter(needed);
            ensure!(
                of_layer.all(|check| check["works"] == *works),
                "{layer} is not declared so: {text}"
            );
        }
        for (limit, works) in &kept {
            let about = |check: &&Value| {
                let tried = check["tried"].as_str();
                check["layer"] == "limits" && tried.is_some_and(|tried| tried.starts_with(limit))
            };
            let found = checks.iter().find(about).context("a limit is not tried")?;
            ensure!(
                found["works"] == *works,
                "{limit} is not declared so: {text}"
            );
        }
        Ok(expected.len() + kept.len())
    }))
}
