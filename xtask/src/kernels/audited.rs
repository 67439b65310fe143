//! Suite: what the kernel's audit records tell, where they can be read. Auditing is switched on for each case and off
//! again behind it, where it was off.

use anyhow::{Context as _, Result, ensure};

use super::confined::{RUN, is, parts, without};
use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment, Judge};

/// What the program ends with.
const CODE: i32 = 3;
/// 128 and `SIGSYS`.
const DENIED: i32 = 159;
/// The analysis of a C library on an emulated processor is in it.
const SECONDS: u32 = 400;
/// Denials of Landlock have records.
const RECORDS: Need = Need {
    feature: Feature::Landlock,
    level: 7,
};
/// Where nothing may be written.
const FILE: &str = "/portcullis-writer";

/// The cases.
pub(crate) fn cases(environment: &Environment, files: &mut Files) -> Result<Vec<Case>> {
    let policy = "policies/audited.toml";
    files.add(
        policy,
        "schema = \"portcullis.policy\"\nversion = 1\narch = [\"x86_64\", \"aarch64\"]\n\
         baseline = \"5.10\"\ndefault = \"allow\"\n\n[[rule]]\ncall = \"fchown\"\naction = \"kill\"\n",
    );
    let number = environment.arch.number("fchown").context("fchown")?.0;
    let with_policy = [Word::from("--policy"), Word::File(policy.to_owned())];
    let mut writes = with_policy.to_vec();
    // Else the mounts answer first.
    writes.extend(["--allow-insecure", "filesystem"].map(Word::from));
    let caller = ["native".to_owned(), number.to_string()];
    let mut landlock = case(
        environment,
        "what Landlock denied is told",
        true,
        writes.clone(),
        ("writer", &[FILE.to_owned()]),
        Box::new(landlock),
    );
    landlock.needs.push(RECORDS);
    let mut off = case(
        environment,
        "where nothing is audited that is told",
        false,
        writes,
        ("writer", &[FILE.to_owned()]),
        Box::new(off),
    );
    off.needs.push(RECORDS);
    let kill = case(
        environment,
        "a kill by the filter has its record",
        true,
        with_policy.to_vec(),
        ("caller", &caller),
        Box::new(kill),
    );
    Ok(vec![landlock, off, kill])
}

fn case(
    environment: &Environment,
    name: &str,
    on: bool,
    options: Vec<Word>,
    (program, arguments): (&str, &[String]),
    judge: Judge,
) -> Case {
    let verdict = "verdict.json";
    let mut words = vec![Word::from(verdict)];
    words.extend(on.then(|| Word::File("audited".to_owned())));
    words.push(Word::File("portcullis".to_owned()));
    words.extend(["run", "--verdict", verdict].map(Word::from));
    words.extend(without(environment));
    words.extend(options);
    words.extend([Word::from("--"), Word::File(program.to_owned())]);
    words.extend(arguments.iter().cloned().map(Word::Text));
    let mut needs: Vec<Need> = RUN.map(Need::from).into();
    needs.push(Feature::Audit.into());
    Case {
        name: name.to_owned(),
        needs,
        step: Step::then_shown(words, SECONDS),
        judge,
    }
}

/// The program could not write: `EACCES`.
fn refused(wrote: &str) -> Result<()> {
    ensure!(wrote == "before\n13\n", "it wrote {wrote:?}");
    Ok(())
}

fn landlock(seen: &Seen) -> Result<usize> {
    let (wrote, verdict) = parts(seen, CODE)?;
    refused(wrote)?;
    is(&verdict, "/outcome", "exited")?;
    is(&verdict, "/audit/state", "read")?;
    is(&verdict, "/audit/complete", true)?;
    is(&verdict, "/denials/0/code", "PC0307")?;
    is(&verdict, "/denials/0/layer", "landlock")?;
    is(&verdict, "/denials/0/blockers/0", "fs.make_reg")?;
    // A file that is not there yet is made in its directory.
    is(&verdict, "/denials/0/path", "/")?;
    is(&verdict, "/denials/0/answer", "errno EACCES")?;
    is(&verdict, "/denials/0/thread", "writer")?;
    let call = verdict["denials"][0]["syscall"]
        .as_str()
        .unwrap_or_default();
    ensure!(["open", "openat"].contains(&call), "the call is {call:?}");
    let denials = verdict["denials"].as_array().map_or(0, Vec::len);
    ensure!(denials == 1, "there are {denials} denials");
    let said = String::from_utf8_lossy(&seen.stderr);
    ensure!(
        said.contains(&format!("denied: fs.make_reg \"/\" by {call} = -EACCES")),
        "it says {said:?}"
    );
    Ok(11)
}

fn off(seen: &Seen) -> Result<usize> {
    let (wrote, verdict) = parts(seen, CODE)?;
    refused(wrote)?;
    is(&verdict, "/audit/state", "off")?;
    is(&verdict, "/denials", Vec::<serde_json::Value>::new())?;
    Ok(3)
}

fn kill(seen: &Seen) -> Result<usize> {
    let (wrote, verdict) = parts(seen, DENIED)?;
    ensure!(wrote == "before\n", "it wrote {wrote:?}");
    is(&verdict, "/outcome", "denied")?;
    is(&verdict, "/audit/complete", true)?;
    is(&verdict, "/denials/0/code", "PC0301")?;
    is(&verdict, "/denials/0/audited", 1)?;
    let denials = verdict["denials"].as_array().map_or(0, Vec::len);
    ensure!(denials == 1, "there are {denials} denials");
    Ok(6)
}
