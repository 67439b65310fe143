//! What a module asks of its host's interface, WASI preview 1, with whatever arguments. Whatever it asks, its worker goes
//! on, what it says is what the host can read, and the same questions have the same answers.
//!
//! One module is compiled, once. It reads the input into its memory and makes the calls that stand there: a byte for the
//! function, two for each argument of 32 bits and four for each of 64, with their signs. So an address can lead into the
//! input itself, where paths and lists of buffers stand.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use portcullis_host::hostile::{Heard, hear, results};
use portcullis_host::{Engine, Given, Limit, Preparer as _, Task};
use portcullis_sys::{channel, process};
use portcullis_wasm::{Compiler, Runtime};

/// An artifact that a runtime can run.
type Loaded = <Runtime as Engine>::Loaded;

/// Bytes of some tens of calls.
pub(crate) const LONGEST: usize = 1024;
/// Where the input is in the module's memory; with its sign kept, an address of two bytes leads there.
const INPUT: usize = 0x4000;
/// Bytes of each output, and of all files that are handed over.
const OUTPUT: u64 = 4096;
/// Bytes of memory, the module's page among them.
const MEMORY: u64 = 1 << 20;
/// The files that are asked of it.
const WANTED: [&str; 4] = ["a", "d/b", "d", "new"];

/// The functions, with their parameters: `i` of 32 bits, `I` of 64 bits (wasi_snapshot_preview1.witx).
const FUNCTIONS: [(&str, &str); 40] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
];

/// Opens, writes, lists, renames; ends with paths.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let open = |at: usize, length: i32, how: i32| {
        let path = i32::try_from(INPUT + at).unwrap_or(0);
        let all = (1 << 30) - 1;
        call("path_open", &[3, 0, path, length, how, all, all, 0, 64])
    };
    let write = call("fd_write", &[4, 0, 2, 72]);
    let calls = [
        open(200, 3, 1),
        write.clone(),
        call("fd_seek", &[4, 0, 0, 80]),
        call("fd_read", &[4, 0, 1, 72]),
        call("fd_readdir", &[3, 1024, 512, 0, 88]),
        call("path_rename", &[3, 0x4000 + 200, 3, 3, 0x4000 + 203, 4]),
        call("fd_filestat_get", &[4, 128]),
        call("fd_close", &[4]),
    ];
    let list = [
        call("path_create_directory", &[3, 0x4000 + 203, 4]),
        open(207, 1, 0),
        open(208, 3, 8),
        call("fd_pwrite", &[4, 0, 1, 5, 72]),
        call("fd_allocate", &[4, 0, 1000]),
        call("path_filestat_get", &[3, 0, 0x4000 + 208, 3, 128]),
        call("path_unlink_file", &[3, 0x4000 + 207, 1]),
        call("fd_renumber", &[5, 4]),
    ];
    [calls.concat(), list.concat()]
        .map(|calls| {
            let mut input = calls;
            // No function has this number: it ends there.
            input.push(0xff);
            input.resize(200, 0);
            input.extend_from_slice(b"newd/neaa/b");
            input
        })
        .to_vec()
}

fn call(name: &str, arguments: &[i32]) -> Vec<u8> {
    let at = FUNCTIONS.iter().position(|(known, _)| *known == name);
    let (Some(at), parameters) = (at, at.map_or("", |at| FUNCTIONS[at].1)) else {
        return Vec::new();
    };
    let mut bytes = vec![u8::try_from(at).unwrap_or(u8::MAX)];
    for (argument, parameter) in arguments.iter().zip(parameters.bytes()) {
        let argument = argument.to_le_bytes();
        bytes.extend_from_slice(if parameter == b'i' {
            &argument[..2]
        } else {
            &argument
        });
    }
    bytes
}

/// Asks of these calls.
pub fn ask(bytes: &[u8]) {
    thread_local! {
        static MODULE: (Runtime, Loaded) = module();
    }
    let job = Job {
        input: &bytes[..bytes.len().min(LONGEST)],
        fuel: None,
    };
    MODULE.with(|(runtime, loaded)| {
        let heard = job.run(runtime, loaded);
        judge(&heard);
        assert_eq!(heard, job.run(runtime, loaded));
    });
}

/// What holds of all that is said of a job, whatever its module is.
pub(crate) fn judge(heard: &Heard) {
    assert!(!heard.malformed, "the host cannot read it");
    let known = heard.over.is_none_or(|limit| limit == Limit::Output);
    assert!(known, "{:?}", heard.over);
    let ends = heard.said.is_some() || heard.over.is_some();
    assert!(ends, "it has no last word");
    assert_eq!(heard.files.len(), WANTED.len());
}

/// A job with two files, of which four are wanted.
pub(crate) struct Job<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) fuel: Option<u64>,
}

impl Job<'_> {
    /// What its host hears of it.
    pub(crate) fn run(&self, runtime: &Runtime, loaded: &Loaded) -> Heard {
        let (here, there) = open(channel::pair());
        let given = |name: &str, length: usize| Given {
            name: name.to_owned(),
            bytes: vec![9; length],
            executable: false,
        };
        let task = Task {
            input: self.input.to_vec(),
            arguments: vec!["module".to_owned(), "argument".to_owned()],
            environment: vec!["NAME=value".to_owned()],
            secrets: Vec::new(),
            files: vec![given("a", 300), given("d/b", 0)],
            wanted: WANTED.map(str::to_owned).to_vec(),
            output: OUTPUT,
            memory: MEMORY,
            fuel: self.fuel,
        };
        std::thread::scope(|scope| {
            let listening = scope.spawn(|| listen(&here));
            let number = there.as_raw_fd();
            runtime.run(loaded, task, results(there, false));
            // A job's process leaves closing to its end.
            assert!(process::close(number).is_ok());
            match listening.join() {
                Ok(messages) => hear(OUTPUT, WANTED.len(), messages),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// All messages, as far as the host could want them.
fn listen(from: &OwnedFd) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut room = vec![0; 1 << 16];
    let mut kept = 0;
    loop {
        match process::read_message(from.as_fd(), &mut room) {
            Ok(0) | Err(_) => return messages,
            Ok(length) if kept <= 1 << 17 => {
                kept += length;
                messages.push(room[..length].to_vec());
            }
            // It is over its output long ago; a worker that is not read from would wait.
            Ok(_) => {}
        }
    }
}

fn module() -> (Runtime, Loaded) {
    let module = open(wat::parse_str(text()));
    open(loaded(&open(Compiler.prepare(&module, false))))
}

/// A runtime with this artifact, if it takes it.
pub(crate) fn loaded(artifact: &[u8]) -> Result<(Runtime, Loaded), String> {
    let mut file = open(tempfile::tempfile());
    open(file.write_all(artifact));
    let mut runtime = Runtime::new();
    let loaded = runtime.load(file)?;
    Ok((runtime, loaded))
}

fn open<T, E: std::fmt::Debug>(it: Result<T, E>) -> T {
    match it {
        Ok(it) => it,
        Err(error) => panic!("{error:?}"),
    }
}

/// The module.
fn text() -> String {
    let mut text = String::from("(module\n");
    let kind = |parameter| if parameter == b'i' { " i32" } else { " i64" };
    for (name, parameters) in FUNCTIONS {
        let kinds: String = parameters.bytes().map(kind).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{kinds}) (result i32)))"
        );
    }
    // One buffer, the input's place, and how many bytes were read.
    let _ = write!(
        text,
        "(memory (export \"memory\") 1)
        (data (i32.const 0) \"{}\\00\\08\\00\\00\\00\\01\\00\\00\\00\\01\\00\\00\")
        (global $at (mut i32) (i32.const {INPUT}))
        (func $narrow (result i32)
          (i32.load16_s (global.get $at))
          (global.set $at (i32.add (global.get $at) (i32.const 2))))
        (func $wide (result i64)
          (i64.load32_s (global.get $at))
          (global.set $at (i32.add (global.get $at) (i32.const 4))))
        (func (export \"_start\") (local $end i32)
          (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
          (local.set $end (i32.add (i32.const {INPUT}) (i32.load (i32.const 32))))
          (loop $next
            (br_if 1 (i32.ge_u (global.get $at) (local.get $end)))
            (i32.load8_u (global.get $at))
            (global.set $at (i32.add (global.get $at) (i32.const 1)))\n",
        little(INPUT)
    );
    text.push_str("(call $make)\n(br_if $next)))\n");
    text.push_str("(func $make (param $which i32) (result i32)\n");
    for (at, (name, parameters)) in FUNCTIONS.iter().enumerate() {
        let arguments: String = parameters
            .bytes()
            .map(|parameter| {
                if parameter == b'i' {
                    "(call $narrow) "
                } else {
                    "(call $wide) "
                }
            })
            .collect();
        let _ = writeln!(
            text,
            "(if (i32.eq (local.get $which) (i32.const {at})) (then (drop (call ${name} {arguments})) (return (i32.const 1))))"
        );
    }
    text.push_str("(i32.const 0)))\n");
    text
}

/// A number of 32 bits as the text of a module writes its bytes.
fn little(number: usize) -> String {
    let bytes = (number as u32).to_le_bytes();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}
