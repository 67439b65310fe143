//! WASI preview 1, by hand: arguments, environment, three streams, an end. Files, sockets, time and randomness are
//! not given; what asks for them is told so, as the interface provides.
//!
//! Two questions get an answer that is the same everywhere: the clock stands at 0, and "random" bytes are a fixed
//! sequence. C libraries ask both before `main`, and abort without an answer.

use std::fmt;

use portcullis_host::{Results, Task};
use wasmtime::{Caller, Extern, ExternType, Linker, Module, Val, ValType};

/// The module's name for the interface.
const INTERFACE: &str = "wasi_snapshot_preview1";

/// Error numbers of the interface (`errno` in its definition).
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const IO: i32 = 29;
const SPIPE: i32 = 70;
const NOTCAPABLE: i32 = 76;

/// The functions of the interface that answer only that there is nothing: everything about files, sockets, waiting.
const NOT_GIVEN: &[&str] = &[
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_pwrite",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
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
    memory: u64,
    used: u64,
    sequence: u64,
    open: [bool; 3],
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
            memory: task.memory,
            used: 0,
            sequence: 0,
            open: [true; 3],
        }
    }

    /// Whether one of its memories may grow so; it then counts.
    pub(crate) fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let used = self.used.saturating_add(more);
        if used > self.memory {
            return false;
        }
        self.used = used;
        true
    }

    fn stream(&self, fd: i32) -> Result<usize, i32> {
        let number = usize::try_from(fd).map_err(|_| BADF)?;
        match self.open.get(number) {
            Some(true) => Ok(number),
            _ => Err(BADF),
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

type In<'a> = Caller<'a, State>;

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
    linker.func_wrap(INTERFACE, "fd_read", fd_read)?;
    linker.func_wrap(INTERFACE, "fd_write", fd_write)?;
    linker.func_wrap(INTERFACE, "fd_close", |mut c: In<'_>, fd: i32| {
        let state = c.data_mut();
        let closed = state.stream(fd).map(|number| state.open[number] = false);
        number_of(closed)
    })?;
    linker.func_wrap(INTERFACE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(
        INTERFACE,
        "fd_filestat_get",
        |c: In<'_>, fd: i32, to: i32| {
            // Of no kind that is known, and empty.
            with(c, |memory, state| {
                state.stream(fd)?;
                put(memory, to, &[0; 64])
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "fd_seek",
        |c: In<'_>, fd: i32, _by: i64, _from: i32, _to: i32| seek(&c, fd),
    )?;
    linker.func_wrap(INTERFACE, "fd_tell", |c: In<'_>, fd: i32, _to: i32| {
        seek(&c, fd)
    })?;
    // There is no directory: the numbers above the streams are not open.
    linker.func_wrap(INTERFACE, "fd_prestat_get", |_: i32, _: i32| BADF)?;
    linker.func_wrap(
        INTERFACE,
        "fd_prestat_dir_name",
        |_: i32, _: i32, _: i32| BADF,
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
    not_given(linker, module)
}

/// A stream has no place to go to.
fn seek(caller: &In<'_>, fd: i32) -> i32 {
    number_of(caller.data().stream(fd).and(Err::<(), _>(SPIPE)))
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

fn number_of<T>(done: Result<T, i32>) -> i32 {
    match done {
        Ok(_) => SUCCESS,
        Err(number) => number,
    }
}

/// Does `work` on the memory that the module exports.
fn with(mut caller: In<'_>, work: impl FnOnce(&mut [u8], &mut State) -> Result<(), i32>) -> i32 {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => {
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            number_of(work(bytes, state))
        }
        _ => FAULT,
    }
}

/// A part of the memory; addresses and lengths are of 32 bits without a sign.
fn part(memory: &mut [u8], at: i32, length: i32) -> Result<&mut [u8], i32> {
    let unsigned = |value: i32| usize::try_from(value.cast_unsigned()).map_err(|_| FAULT);
    let (at, length) = (unsigned(at)?, unsigned(length)?);
    let end = at.checked_add(length).ok_or(FAULT)?;
    memory.get_mut(at..end).ok_or(FAULT)
}

fn put(memory: &mut [u8], at: i32, bytes: &[u8]) -> Result<(), i32> {
    let length = i32::try_from(bytes.len()).map_err(|_| INVAL)?;
    part(memory, at, length)?.copy_from_slice(bytes);
    Ok(())
}

fn put_count(memory: &mut [u8], at: i32, count: usize) -> Result<(), i32> {
    let count = u32::try_from(count).map_err(|_| INVAL)?;
    put(memory, at, &count.to_le_bytes())
}

fn word(memory: &mut [u8], at: i32) -> Result<i32, i32> {
    let bytes = part(memory, at, 4)?;
    Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
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

/// The parts that a list of `iovec` or `ciovec` names: address and length of each.
fn parts(memory: &mut [u8], list: i32, count: i32) -> Result<Vec<(i32, i32)>, i32> {
    // `IOV_MAX` of wasi-libc.
    if !(0..=1024).contains(&count) {
        return Err(INVAL);
    }
    let each = |n: i32| {
        let at = list.wrapping_add(n * 8);
        Ok((word(memory, at)?, word(memory, at.wrapping_add(4))?))
    };
    (0..count).map(each).collect()
}

fn fd_read(caller: In<'_>, fd: i32, list: i32, count: i32, got: i32) -> i32 {
    with(caller, |memory, state| {
        if state.stream(fd)? != 0 {
            return Err(BADF);
        }
        let mut total = 0;
        for (at, length) in parts(memory, list, count)? {
            let to = part(memory, at, length)?;
            let rest = &state.input[state.read..];
            let now = to.len().min(rest.len());
            to[..now].copy_from_slice(&rest[..now]);
            state.read += now;
            total += now;
        }
        put_count(memory, got, total)
    })
}

fn fd_write(caller: In<'_>, fd: i32, list: i32, count: i32, written: i32) -> i32 {
    with(caller, |memory, state| {
        let stream = state.stream(fd)?;
        let mut total = 0_usize;
        for (at, length) in parts(memory, list, count)? {
            let bytes = part(memory, at, length)?;
            let sent = match stream {
                1 => state.results.stdout(bytes),
                2 => state.results.stderr(bytes),
                _ => return Err(BADF),
            };
            sent.map_err(|_| IO)?;
            total = total.saturating_add(bytes.len());
        }
        put_count(memory, written, total)
    })
}

/// `fdstat`: no kind that is known, no flags, and the right to read or to write.
fn fd_fdstat_get(caller: In<'_>, fd: i32, to: i32) -> i32 {
    const READ: u64 = 1 << 1;
    const WRITE: u64 = 1 << 6;
    with(caller, |memory, state| {
        let right = match state.stream(fd)? {
            0 => READ,
            _ => WRITE,
        };
        let mut stat = [0; 24];
        stat[8..16].copy_from_slice(&right.to_le_bytes());
        put(memory, to, &stat)
    })
}
