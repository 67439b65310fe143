//! Paths, below a directory that is open and never outside of it. There are no links.

use wasmtime::Linker;

use super::descriptors::{
    Behind, CREATE_DIRECTORY, CREATE_FILE, Descriptor, OPEN, PATH_SET_SIZE, PATH_SET_TIMES,
    PATH_STAT, READLINK, REMOVE_DIRECTORY, REMOVE_FILE, RENAME_FROM, RENAME_TO, WRITE,
};
use super::files::{known, stat, times};
use super::memory::{In, path, put, with};
use super::{INTERFACE, State};
use crate::errno::{EXIST, INVAL, ISDIR, NOENT, NOTCAPABLE, NOTDIR};
use crate::tree::{Number, Tree};

/// How to open (`oflags`).
const CREATE: i32 = 1 << 0;
const DIRECTORY: i32 = 1 << 1;
const EXCLUSIVE: i32 = 1 << 2;
const TRUNCATE: i32 = 1 << 3;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(INTERFACE, "path_open", path_open)?;
    linker.func_wrap(
        INTERFACE,
        "path_filestat_get",
        |c: In<'_>, fd: i32, _follow: i32, name: i32, length: i32, to: i32| {
            with(c, |memory, state| {
                let number = found(memory, state, (fd, PATH_STAT), (name, length))?;
                put(memory, to, &stat(number, state.tree.node(number)?))
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "path_filestat_set_times",
        path_filestat_set_times,
    )?;
    linker.func_wrap(
        INTERFACE,
        "path_create_directory",
        |c: In<'_>, fd: i32, name: i32, length: i32| {
            changed(
                c,
                (fd, CREATE_DIRECTORY),
                (name, length),
                |state, base, path| {
                    state
                        .tree
                        .make_directory(base, path, &mut state.room)
                        .map(drop)
                },
            )
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "path_remove_directory",
        |c: In<'_>, fd: i32, name: i32, length: i32| {
            changed(
                c,
                (fd, REMOVE_DIRECTORY),
                (name, length),
                |state, base, path| state.tree.remove_directory(base, path, &mut state.room),
            )
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "path_unlink_file",
        |c: In<'_>, fd: i32, name: i32, length: i32| {
            changed(c, (fd, REMOVE_FILE), (name, length), |state, base, path| {
                state.tree.remove_file(base, path, &mut state.room)
            })
        },
    )?;
    linker.func_wrap(INTERFACE, "path_rename", path_rename)?;
    linker.func_wrap(
        INTERFACE,
        "path_readlink",
        |c: In<'_>, fd: i32, name: i32, length: i32, _to: i32, _room: i32, _used: i32| {
            with(c, |memory, state| {
                found(memory, state, (fd, READLINK), (name, length))?;
                // It is no link.
                Err(INVAL)
            })
        },
    )?;
    Ok(())
}

/// What is at a path below a directory that has this right.
fn found(
    memory: &mut [u8],
    state: &mut State,
    (fd, right): (i32, u64),
    (name, length): (i32, i32),
) -> Result<Number, i32> {
    let base = state.descriptors.directory(fd, right)?;
    let path = path(memory, name, length)?;
    state.tree.at(base, &path)?.found.ok_or(NOENT)
}

/// Changes something at a path below a directory that has this right.
fn changed(
    caller: In<'_>,
    (fd, right): (i32, u64),
    (name, length): (i32, i32),
    change: impl FnOnce(&mut State, Number, &str) -> Result<(), i32>,
) -> i32 {
    with(caller, |memory, state| {
        let base = state.descriptors.directory(fd, right)?;
        change(state, base, &path(memory, name, length)?)
    })
}

/// Which file is opened, how, and with which rights.
struct Asked {
    how: i32,
    rights: u64,
    inheriting: u64,
    flags: u16,
}

#[expect(clippy::too_many_arguments, reason = "they are the interface's")]
fn path_open(
    caller: In<'_>,
    fd: i32,
    _follow: i32,
    name: i32,
    length: i32,
    how: i32,
    rights: i64,
    inheriting: i64,
    flags: i32,
    to: i32,
) -> i32 {
    with(caller, |memory, state| {
        let path = path(memory, name, length)?;
        let asked = Asked {
            how,
            rights: rights.cast_unsigned(),
            inheriting: inheriting.cast_unsigned(),
            flags: known(flags)?,
        };
        let opened = open(state, fd, &path, &asked)?;
        put(memory, to, &opened.to_le_bytes())
    })
}

fn open(state: &mut State, fd: i32, path: &str, asked: &Asked) -> Result<u32, i32> {
    let is = |what: i32| asked.how & what != 0;
    if asked.how & !(CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE) != 0 || is(CREATE) && is(DIRECTORY)
    {
        return Err(INVAL);
    }
    let mut needed = OPEN;
    for (what, right) in [(CREATE, CREATE_FILE), (TRUNCATE, PATH_SET_SIZE)] {
        if is(what) {
            needed |= right;
        }
    }
    let base = state.descriptors.directory(fd, needed)?;
    let given = state.descriptors.get(fd)?.inheriting;
    if (asked.rights | asked.inheriting) & !given != 0 {
        return Err(NOTCAPABLE);
    }
    let place = state.tree.at(base, path)?;
    let number = match place.found {
        Some(_) if is(CREATE) && is(EXCLUSIVE) => return Err(EXIST),
        Some(number) => number,
        None if is(CREATE) => state.tree.make_file(&place, &mut state.room)?,
        None => return Err(NOENT),
    };
    let behind = behind(&state.tree, number, asked)?;
    let descriptor = Descriptor::new(behind, asked.rights, asked.inheriting, asked.flags);
    let opened = state.descriptors.add(descriptor)?;
    state.tree.open(number)?;
    if is(TRUNCATE) {
        state.tree.set_size(number, 0, &mut state.room)?;
    }
    Ok(opened)
}

/// What is opened, if it can be opened so.
fn behind(tree: &Tree, number: Number, asked: &Asked) -> Result<Behind, i32> {
    let writes = asked.rights & WRITE != 0 || asked.how & (CREATE | TRUNCATE) != 0;
    match tree.node(number)?.is_directory() {
        true if writes => Err(ISDIR),
        true => Ok(Behind::Directory(number)),
        false if asked.how & DIRECTORY != 0 => Err(NOTDIR),
        false => Ok(Behind::File(number)),
    }
}

#[expect(clippy::too_many_arguments, reason = "they are the interface's")]
fn path_filestat_set_times(
    caller: In<'_>,
    fd: i32,
    _follow: i32,
    name: i32,
    length: i32,
    accessed: i64,
    modified: i64,
    which: i32,
) -> i32 {
    with(caller, |memory, state| {
        let number = found(memory, state, (fd, PATH_SET_TIMES), (name, length))?;
        state
            .tree
            .set_times(number, times(accessed, modified, which)?)
    })
}

fn path_rename(
    caller: In<'_>,
    fd: i32,
    name: i32,
    length: i32,
    new_fd: i32,
    new_name: i32,
    new_length: i32,
) -> i32 {
    with(caller, |memory, state| {
        let from = state.descriptors.directory(fd, RENAME_FROM)?;
        let to = state.descriptors.directory(new_fd, RENAME_TO)?;
        let old = path(memory, name, length)?;
        let new = path(memory, new_name, new_length)?;
        let ways = ((from, old.as_str()), (to, new.as_str()));
        state.tree.rename(ways, &mut state.room)
    })
}
