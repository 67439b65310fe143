//! The program that asks libseccomp for filters: `library.c` beside this file.

use std::io::{BufRead as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{fs, thread};

use portcullis_bpf::Program;
use portcullis_policy::Action;

/// Ends the program when the library comes to no end.
const SIGALRM: i32 = 14;

/// A filter to be asked for.
pub(crate) struct Lines {
    pub(crate) default: Action,
    pub(crate) bad_arch: Action,
    /// As the library names them.
    pub(crate) arches: Vec<&'static str>,
    /// Its `rule` lines.
    pub(crate) rules: Vec<String>,
}

impl Lines {
    fn text(&self, layout: u32) -> String {
        format!(
            "filter {} {} {layout} {}\n{}\nend\n",
            self.default.code(),
            self.bad_arch.code(),
            self.arches.join(" "),
            self.rules.join("\n")
        )
    }
}

/// The library's filter in one of its layouts; `None` when it comes to no end.
#[allow(dead_code, reason = "tests ask for filters, the benchmark for times")]
pub(crate) fn filter(lines: &Lines, layout: u32) -> Option<Program> {
    ask(&lines.text(layout)).map(|(program, _)| program)
}

/// The same, and the nanoseconds that it takes a process that made such filters before.
#[allow(dead_code, reason = "tests ask for filters, the benchmark for times")]
pub(crate) fn timed(lines: &Lines, layout: u32) -> (Program, u128) {
    ask(&lines.text(layout).repeat(4)).expect("it ends")
}

/// The last filter of those that the text asks for.
fn ask(text: &str) -> Option<(Program, u128)> {
    let mut asker = Command::new(built())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = asker.stdin.take().expect("a pipe");
    let sent = text.to_owned();
    let writer = thread::spawn(move || input.write_all(sent.as_bytes()));
    let output = asker.wait_with_output().expect("it ends");
    if output.status.signal() == Some(SIGALRM) {
        return None;
    }
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success(), "{text}");
    let mut rest = output.stdout.as_slice();
    let mut last = None;
    while !rest.is_empty() {
        let mut line = String::new();
        rest.read_line(&mut line).expect("a line");
        let numbers: Vec<u128> = line.split_whitespace().flat_map(str::parse).collect();
        let [length, 0, time] = numbers[..] else {
            panic!("it refuses a rule of\n{text}: {line}");
        };
        let (bytes, more) = rest.split_at(length as usize);
        last = Some((
            Program::from_bytes(bytes).expect("a filter that the kernel takes"),
            time,
        ));
        rest = more;
    }
    last
}

/// The program, built once.
fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/library.c");
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let built = directory.join("libseccomp-library");
        // Another process may run the one that is there.
        let own = directory.join(format!("libseccomp-library-{}", std::process::id()));
        let status = Command::new("gcc")
            .args(["-O2", "-Wall", "-Werror", "-o"])
            .arg(&own)
            .arg(source)
            .arg("-lseccomp")
            .status();
        assert!(
            status.expect("gcc starts").success(),
            "libseccomp-dev: `cargo xtask needs`"
        );
        fs::rename(own, &built).expect("renamed");
        built
    })
}
