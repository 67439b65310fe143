//! WASI preview 1, by hand: arguments, environment, three streams, an end, and a directory in memory when the job was given
//! files or is asked for some. Sockets, waiting, links, time and randomness are not given; what asks for them is told so, as
//! the interface provides.
//!
//! Two questions get an answer that is the same everywhere: the clock stands at 0, and "random" bytes are a fixed
//! sequence. C libraries ask both before `main`, and abort without an answer.

mod descriptors;
mod files;
mod memory;
mod paths;

use std::fmt;

use portcullis_host::{Given, Results, Said, Task};
use wasmtime::{ExternType, Linker, Module, Val, ValType};

use crate::errno::{INVAL, NOSPC, NOTCAPABLE, SUCCESS};
use crate::room::Room;
use crate::tree::Tree;
use descriptors::{Behind, Descriptors};
use memory::{In, part, put, put_count, with};

/// The module's name for the interface.
const INTERFACE: &str = "wasi_snapshot_preview1";

/// The functions of the interface that answer only that they are not given.
const NOT_GIVEN: &[&str] = &[
    "path_link",
    "path_symlink",
    "poll_oneoff",
    "proc_raise",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// What the job has.
pub(crate) struct State {
    pub(crate) results: Results,
    input: Vec<u8>,
    read: usize,
    /// Each ends with a NUL byte.
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    pub(crate) room: Room,
    tree: Tree,
    descriptors: Descriptors,
    /// The files that are asked of it, and how many bytes they may have together.
    wanted: Vec<String>,
    output: u64,
    sequence: u64,
}

/// The job's own end, on its way out of the engine.
#[derive(Debug)]
pub(crate) struct Exit(pub(crate) i32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended with code {}", self.0)
    }
}

impl std::error::Error for Exit {}

impl State {
    pub(crate) fn new(task: Task, results: Results) -> State {
        let ended = |all: Vec<String>| {
            let all = all.into_iter().map(String::into_bytes);
            all.map(|mut bytes| {
                bytes.push(0);
                bytes
            })
            .collect()
        };
        State {
            results,
            input: task.input,
            read: 0,
            arguments: ended(task.arguments),
            environment: ended(task.environment),
            room: Room::new(task.memory),
            tree: Tree::new(),
            descriptors: Descriptors::new(),
            wanted: task.wanted,
            output: task.output,
            sequence: 0,
        }
    }

    /// Makes its directory, if it has files or they are asked of it. The error is its last word.
    pub(crate) fn place(&mut self, files: Vec<Given>) -> Result<(), Said> {
        if files.is_empty() && self.wanted.is_empty() {
            return Ok(());
        }
        self.descriptors.give_directory();
        for file in files {
            let name = file.name.clone();
            self.tree.place(file, &mut self.room).map_err(|error| match error {
                NOSPC => Said::OverMemory,
                _ => Said::Refused(format!(
                    "it cannot be given the file {name:?}: there is one of that name, or a file where its directory would be"
                )),
            })?;
        }
        Ok(())
    }

    /// Hands over what is asked of it, and says its last word.
    pub(crate) fn end(&mut self, said: &Said) {
        let handed = self
            .results
            .files(&self.wanted, self.output, |name| self.tree.taken(name));
        // Who does not take its files is not there for its last word either.
        if handed.is_ok() {
            self.results.end(said);
        }
    }

    /// One descriptor less.
    fn release(&mut self, behind: Behind) {
        if let Some(number) = behind.number() {
            self.tree.close(number, &mut self.room);
        }
    }

    /// The next eight bytes of a sequence that is the same for every job (splitmix64).
    fn next(&mut self) -> [u8; 8] {
        self.sequence = self.sequence.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.sequence;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    }
}

/// Gives `linker` what `module` imports of the interface.
pub(crate) fn link(linker: &mut Linker<State>, module: &Module) -> wasmtime::Result<()> {
    linker.func_wrap(
        INTERFACE,
        "args_sizes_get",
        |c: In<'_>, count: i32, size: i32| sizes(c, |s| &s.arguments, count, size),
    )?;
    linker.func_wrap(INTERFACE, "args_get", |c: In<'_>, list: i32, text: i32| {
        strings(c, |s| &s.arguments, list, text)
    })?;
    linker.func_wrap(
        INTERFACE,
        "environ_sizes_get",
        |c: In<'_>, count: i32, size: i32| sizes(c, |s| &s.environment, count, size),
    )?;
    linker.func_wrap(
        INTERFACE,
        "environ_get",
        |c: In<'_>, list: i32, text: i32| strings(c, |s| &s.environment, list, text),
    )?;
    linker.func_wrap(
        INTERFACE,
        "clock_res_get",
        |c: In<'_>, _clock: i32, to: i32| {
            with(c, |memory, _| put(memory, to, &1_u64.to_le_bytes()))
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "clock_time_get",
        |c: In<'_>, _clock: i32, _precision: i64, to: i32| {
            with(c, |memory, _| put(memory, to, &0_u64.to_le_bytes()))
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "random_get",
        |c: In<'_>, to: i32, length: i32| {
            with(c, |memory, state| {
                for piece in part(memory, to, length)?.chunks_mut(8) {
                    piece.copy_from_slice(&state.next()[..piece.len()]);
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(INTERFACE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(
        INTERFACE,
        "proc_exit",
        |code: i32| -> wasmtime::Result<()> { Err(Exit(code).into()) },
    )?;
    files::link(linker)?;
    paths::link(linker)?;
    not_given(linker, module)
}

/// What the module imports and is not given answers so.
fn not_given(linker: &mut Linker<State>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports() {
        let ExternType::Func(kind) = import.ty() else {
            continue;
        };
        let mut results = kind.results();
        let answers = matches!((results.next(), results.next()), (Some(ValType::I32), None));
        if import.module() != INTERFACE || !NOT_GIVEN.contains(&import.name()) || !answers {
            continue;
        }
        // A module may import the same function twice.
        linker.allow_shadowing(true);
        linker.func_new(INTERFACE, import.name(), kind.clone(), |_, _, results| {
            results[0] = Val::I32(NOTCAPABLE);
            Ok(())
        })?;
        linker.allow_shadowing(false);
    }
    Ok(())
}

fn sizes(caller: In<'_>, of: fn(&State) -> &Vec<Vec<u8>>, count: i32, size: i32) -> i32 {
    with(caller, |memory, state| {
        let all = of(state);
        put_count(memory, count, all.len())?;
        put_count(memory, size, all.iter().map(Vec::len).sum())
    })
}

fn strings(caller: In<'_>, of: fn(&State) -> &Vec<Vec<u8>>, list: i32, text: i32) -> i32 {
    with(caller, |memory, state| {
        let (mut list, mut text) = (list, text);
        for string in of(state) {
            put(memory, list, &text.to_le_bytes())?;
            put(memory, text, string)?;
            list = list.wrapping_add(4);
            text = text.wrapping_add(i32::try_from(string.len()).map_err(|_| INVAL)?);
        }
        Ok(())
    })
}
