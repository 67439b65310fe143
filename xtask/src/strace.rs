//! Reads what `strace -f` writes, and says which program image made each call.
//!
//! A process makes calls of the image that it last started with execve, or of the one that its
//! parent ran when it was cloned; without that, a shell's children would be counted as the shell.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::arguments;

/// One traced call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    /// The kernel's name, or `syscall_0x…` when strace knows none.
    pub(crate) name: String,
    /// Its arguments, as far as they are shown as numbers (`-X raw`).
    pub(crate) arguments: Vec<Option<u64>>,
    /// The image that made it.
    pub(crate) image: PathBuf,
    /// The mapped files of its stack, innermost first (`-k`).
    pub(crate) frames: Vec<PathBuf>,
}

/// A line of a trace that starts or ends a call.
struct Line<'a> {
    pid: u32,
    name: &'a str,
    /// What stands after the opening bracket, or after `resumed>`.
    rest: &'a str,
    /// The call had been shown as unfinished before.
    resumed: bool,
    frames: Vec<PathBuf>,
}

/// All calls of a trace; `file` is what a path of execve names, links resolved.
///
/// The first execve is strace's own, so calls before it belong to nobody and are left out.
pub(crate) fn calls(trace: &str, file: impl Fn(&str) -> PathBuf) -> Vec<Call> {
    let lines = lines(trace);
    let parents = parents(&lines);
    // The images of each process, each with the position in the trace from which it runs it.
    let mut images: HashMap<u32, Vec<(usize, PathBuf)>> = HashMap::new();
    let mut unfinished: HashMap<u32, usize> = HashMap::new();
    let mut executes: HashMap<u32, PathBuf> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        if !matches!(line.name, "execve" | "execveat") {
            continue;
        }
        if !line.resumed {
            unfinished.insert(line.pid, at);
            if let Some(path) = quoted(line.rest) {
                let own = image_at(&images, &parents, line.pid, at);
                let path = match path.as_str() {
                    "/proc/self/exe" => own.unwrap_or_default(),
                    path => file(path),
                };
                executes.insert(line.pid, path);
            }
        }
        if line.rest.trim_end().ends_with("= 0")
            && let Some(path) = executes.get(&line.pid)
        {
            images.entry(line.pid).or_default().push((at, path.clone()));
        }
    }
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.resumed)
        .filter_map(|(at, line)| {
            Some(Call {
                name: line.name.to_owned(),
                arguments: arguments::traced(line.name, line.rest),
                image: image_at(&images, &parents, line.pid, at)?,
                frames: line.frames.clone(),
            })
        })
        .collect()
}

/// How often `image` made each call.
pub(crate) fn counts(calls: &[Call], image: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| call.image == image) {
        *counts.entry(call.name.clone()).or_default() += 1;
    }
    counts
}

/// The image that `pid` runs just before position `at`.
fn image_at(
    images: &HashMap<u32, Vec<(usize, PathBuf)>>,
    parents: &HashMap<u32, (usize, u32)>,
    pid: u32,
    at: usize,
) -> Option<PathBuf> {
    let (mut pid, mut at) = (pid, at);
    // Each step goes to an earlier position, so this ends.
    loop {
        let own = images
            .get(&pid)
            .and_then(|list| list.iter().rev().find(|(from, _)| *from < at));
        if let Some((_, image)) = own {
            return Some(image.clone());
        }
        let &(born, parent) = parents.get(&pid)?;
        if born >= at && parent == pid {
            return None;
        }
        (pid, at) = (parent, born.min(at));
        if !images.contains_key(&pid) && !parents.contains_key(&pid) {
            return None;
        }
    }
}

/// For each process, where its parent began to clone it, and the parent.
fn parents(lines: &[Line<'_>]) -> HashMap<u32, (usize, u32)> {
    let mut begun: HashMap<u32, usize> = HashMap::new();
    let mut parents = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        if !matches!(line.name, "clone" | "clone3" | "fork" | "vfork") {
            continue;
        }
        if !line.resumed {
            begun.insert(line.pid, at);
        }
        let child = line
            .rest
            .rsplit_once("= ")
            .and_then(|(_, value)| value.split_whitespace().next())
            .and_then(|value| value.parse::<u32>().ok());
        if let (Some(child), Some(&from)) = (child, begun.get(&line.pid)) {
            parents.insert(child, (from, line.pid));
        }
    }
    parents
}

/// The lines that start or end calls, with the stacks that follow them.
fn lines(trace: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    // Which line the stack of a process' present call belongs to: the one that began the call.
    let mut open: HashMap<u32, usize> = HashMap::new();
    let mut last = None;
    for text in trace.lines() {
        if let Some(frame) = text.strip_prefix(" > ") {
            let file = frame.split(['(', ' ']).next().unwrap_or_default();
            if let Some(line) = last.and_then(|at: usize| lines.get_mut(at)) {
                line.frames.push(PathBuf::from(file));
            }
            continue;
        }
        let Some((pid, rest)) = text.split_once(char::is_whitespace) else {
            continue;
        };
        let Ok(pid) = pid.parse::<u32>() else {
            continue;
        };
        let rest = rest.trim_start();
        let (name, rest, resumed) = if let Some(more) = rest.strip_prefix("<... ") {
            match more.split_once(" resumed>") {
                Some((name, rest)) => (name, rest, true),
                None => continue,
            }
        } else {
            match rest.split_once('(') {
                Some((name, rest)) if is_name(name) => (name, rest, false),
                _ => continue,
            }
        };
        let at = lines.len();
        if !resumed {
            open.insert(pid, at);
        }
        last = open.get(&pid).copied().or(Some(at));
        lines.push(Line {
            pid,
            name,
            rest,
            resumed,
            frames: Vec::new(),
        });
    }
    lines
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// The first quoted string, as far as paths need it.
fn quoted(text: &str) -> Option<String> {
    let text = &text[text.find('"')? + 1..];
    Some(text[..text.find('"')?].to_owned())
}

/// Reads the traces of all steps; `dir` is what relative paths of execve are relative to.
pub(crate) fn read(files: &[PathBuf], dir: &Path) -> Result<Vec<Call>> {
    let file = |path: &str| {
        let path = dir.join(path);
        std::fs::canonicalize(&path).unwrap_or(path)
    };
    let mut all = Vec::new();
    for trace in files {
        let bytes = std::fs::read(trace).with_context(|| format!("read {}", trace.display()))?;
        all.extend(calls(&String::from_utf8_lossy(&bytes), file));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
10 execve(\"/bin/outer\", [\"outer\"], 0x7ff /* 2 vars */) = 0
10 brk(NULL) = 0x1
10 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
11 getpid() = 11
11 execve(\"/bin/missing\", [], 0x0) = -1 ENOENT (No such file or directory)
11 execve(\"/bin/inner\", [\"a(b\"], 0x0 <unfinished ...>
10 <... clone resumed>) = 11
10 wait4(11,  <unfinished ...>
11 <... execve resumed>) = 0
11 getuid() = 0
11 +++ exited with 0 +++
10 <... wait4 resumed>NULL, 0, NULL) = 11
 > /usr/lib/libc.so.6(wait4+0x1a) [0xcf]
 > /usr/lib/late.so(run+0x1) [0x1]
10 --- SIGCHLD {si_signo=SIGCHLD} ---
10 exit_group(0) = ?
";

    #[test]
    fn calls_belong_to_the_image_that_made_them() {
        let calls = calls(TRACE, |path| path.into());
        let of =
            |image: &str| -> Vec<String> { counts(&calls, Path::new(image)).into_keys().collect() };
        assert_eq!(
            of("/bin/outer"),
            ["brk", "clone", "execve", "exit_group", "getpid", "wait4"]
        );
        assert_eq!(of("/bin/inner"), ["getuid"]);
    }

    #[test]
    fn a_stack_belongs_to_the_call_that_began() {
        let calls = calls(TRACE, |path| path.into());
        let wait = calls.iter().find(|call| call.name == "wait4");
        assert_eq!(
            wait.map(|call| call.frames.as_slice()),
            Some(
                [
                    PathBuf::from("/usr/lib/libc.so.6"),
                    PathBuf::from("/usr/lib/late.so")
                ]
                .as_slice()
            )
        );
    }
}
