//! `portcullis scan BIN`.

use anyhow::{Context as _, Result, bail};
use portcullis_abi::{Arch, Mode, SyscallSet, Sysno};
use portcullis_scan::ARCHITECTURES;

use crate::analysis::{Analysis, Wanted};
use crate::args::{Format, ScanArgs};
use crate::exit::Exit;
use crate::images::Images;
use crate::output::Output;
use crate::{json, neutral, text};

/// What `scan` shows.
enum View {
    Text,
    Json,
    List,
    /// By its name or number.
    Why(String),
}

/// Runs the verb.
pub(crate) fn scan(typed: ScanArgs) -> Result<Exit> {
    let view = view(&typed)?;
    let output = Output::from_option(typed.output.clone());
    if typed.stats {
        let wanted = Wanted::of(&typed.root, &typed.program, &typed.closure)?;
        let (set, stats) = wanted.stats()?;
        output.write_text(&text::stats::report(&set, &stats))?;
        return Ok(Exit::Success);
    }
    let wanted = Wanted::of(&typed.root, &typed.program, &typed.closure)?;
    let Analysis { set, timing, .. } = wanted.from(&typed.from).analyse()?;
    let set = narrowed(set, &typed)?;
    let images = Images::alone(set).with(&typed.images, |program| {
        Wanted::of(&typed.root, program, &typed.closure)
    })?;
    let mut exit = if typed.strict && images.sets().any(|set| !set.residuals.is_empty()) {
        Exit::Findings
    } else {
        Exit::Success
    };
    match view {
        View::Text => output.write_text(&text::scan::report(&images, timing))?,
        View::Json => output.write_json(&json::scan::Document::with(&images))?,
        View::List => output.write_text(&text::scan::list(&images))?,
        View::Why(name) => {
            let number = number(&name, images.first.binary.arch);
            let found = number.and_then(|n| images.sets().find_map(|s| Some((s, s.get(n)?))));
            match (found, number) {
                (Some((set, call)), _) => output.write_text(&text::scan::why(set, call))?,
                (None, Some(number)) => {
                    let name = text::scan::name(&images.first, number);
                    output.write_text(&format!("{name} ({number}) is not in the set\n"))?;
                    exit = Exit::Findings;
                }
                (None, None) => {
                    let arch = images.first.binary.arch;
                    output.write_text(&format!("{name} is no call of {arch}\n"))?;
                    exit = Exit::Findings;
                }
            }
        }
    }
    Ok(exit)
}

/// The part of the set that was asked for.
fn narrowed(set: SyscallSet, typed: &ScanArgs) -> Result<SyscallSet> {
    let mode = match typed.tight {
        true => Mode::Tight,
        false => Mode::Sound,
    };
    if typed.thread.is_none() && typed.phase.is_none() {
        if !typed.tight {
            return Ok(set);
        }
        return Ok(set.tight());
    }
    let thread = typed.thread.as_deref().unwrap_or("main");
    // The first phase of the first thread is the start of the program.
    let first = if thread == "main" { "startup" } else { "main" };
    let phase = typed.phase.as_deref().unwrap_or(first);
    set.narrowed(thread, phase, mode).with_context(|| {
        let all = set.sets.iter().filter(|s| s.mode == mode);
        let all: Vec<String> = all.map(|s| format!("{}/{}", s.thread, s.phase)).collect();
        let all = all.join(" ");
        neutral::text(&format!(
            "there is no phase {phase} of a thread {thread}; there are: {all}"
        ))
        .to_string()
    })
}

fn view(typed: &ScanArgs) -> Result<View> {
    if let Some(name) = &typed.why {
        let mut known = ARCHITECTURES.into_iter();
        if known.all(|arch| number(name, arch).is_none()) {
            bail!("no system call is called `{}`", neutral::text(name));
        }
        return Ok(View::Why(name.clone()));
    }
    Ok(match (typed.list, typed.format) {
        (true, _) => View::List,
        (false, Format::Text) => View::Text,
        (false, Format::Json) => View::Json,
    })
}

/// The call that a person means by a name or a number.
fn number(name: &str, arch: Arch) -> Option<Sysno> {
    let numbered = || name.parse().ok().map(Sysno);
    arch.number(name).or_else(numbered)
}
