//! Suite: what `doctor` says of a machine is what the machine is declared to have, and of what it lacks it names
//! the change.

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::KernelVersion;
use serde_json::Value;

use super::feature::Feature;
use super::initramfs::Files;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment};

/// What it may take: every layer is made and taken down once.
const SECONDS: u32 = 120;

/// What is known of a layer here: whether it can be had, and what is named when not.
type Known = (&'static str, bool, &'static str);

pub(crate) fn cases(environment: &Environment, _: &mut Files) -> Result<Vec<Case>> {
    let has = |feature| environment.declared.level(feature) > 0;
    let (users, mounts, landlock) = (
        has(Feature::Userns),
        has(Feature::MountSetattr),
        has(Feature::Landlock),
    );
    let release: KernelVersion = environment
        .release
        .parse()
        .context("the kernel's release")?;
    let lacks_landlock = match release < KernelVersion::new(5, 13) {
        true => "Linux 5.13",
        false => "lsm=landlock,",
    };
    let files = match users {
        true => "Linux 5.12",
        false => "sysctl",
    };
    let known: Vec<Known> = vec![
        ("seccomp", true, ""),
        ("tracing", true, ""),
        ("namespaces", users, "sysctl"),
        ("network", users, "sysctl"),
        ("filesystem", users && mounts, files),
        ("landlock", landlock, lacks_landlock),
    ];
    let case = |name: &str, level: &'static str, reachable: bool| {
        let known = known.clone();
        let words = ["doctor", "--format", "json", "--level", level];
        Case {
            name: name.to_owned(),
            needs: Vec::new(),
            step: Step {
                program: "portcullis".to_owned(),
                environment: Vec::new(),
                arguments: words.into_iter().map(Word::from).collect(),
                seconds: SECONDS,
            },
            judge: Box::new(move |seen| judged(seen, reachable, &known)),
        }
    };
    let default = known.iter().all(|(_, works, _)| *works);
    Ok(vec![
        case("it says what this machine has", "default", default),
        case("less is asked for", "filter", true),
    ])
}

fn judged(seen: &Seen, reachable: bool, known: &[Known]) -> Result<usize> {
    let told: Value = serde_json::from_str(seen.text(i32::from(!reachable))?)?;
    ensure!(
        told["schema"] == "portcullis.doctor" && told["reachable"] == reachable,
        "another document: {told}"
    );
    let checks = told["checks"].as_array().context("no checks")?;
    for (layer, works, change) in known {
        let check = checks.iter().find(|check| check["layer"] == *layer);
        let check = check.with_context(|| format!("no check of {layer}"))?;
        ensure!(check["works"] == *works, "{layer}: {check}");
        let changes = check["changes"].as_array().context("no changes")?;
        let mut named = changes.iter().filter_map(Value::as_str);
        ensure!(
            *works || named.any(|named| named.contains(change)),
            "{layer}: `{change}` is not named: {check}"
        );
    }
    Ok(known.len())
}
