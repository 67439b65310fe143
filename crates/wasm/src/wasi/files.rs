//! Descriptors: reading, writing, moving in files, listing directories.

use wasmtime::Linker;

use super::descriptors::{
    ADVISE, ALLOCATE, Behind, DATASYNC, Descriptors, READ, READDIR, SEEK, SET_FLAGS, SET_SIZE,
    SET_TIMES, STAT, SYNC, TELL, WRITE,
};
use super::memory::{In, part, parts, put, put_count, with};
use super::{INTERFACE, State};
use crate::errno::{BADF, INVAL, IO, NAMETOOLONG, NOTCAPABLE, SPIPE};
use crate::tree::{Node, Number};

/// What the one directory is called. C libraries find paths with and without a slash in front below it.
const NAME: &[u8] = b"/";

/// Kinds of files (`filetype`).
const DIRECTORY: u8 = 3;
const REGULAR: u8 = 4;

/// Flags of a descriptor (`fdflags`): writing goes to the end; the others are about when and how long.
const APPEND: u16 = 1;
const FLAGS: u16 = (1 << 5) - 1;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(INTERFACE, "fd_read", fd_read)?;
    linker.func_wrap(INTERFACE, "fd_pread", fd_pread)?;
    linker.func_wrap(INTERFACE, "fd_write", fd_write)?;
    linker.func_wrap(INTERFACE, "fd_pwrite", fd_pwrite)?;
    linker.func_wrap(INTERFACE, "fd_seek", fd_seek)?;
    linker.func_wrap(INTERFACE, "fd_tell", |c: In<'_>, fd: i32, to: i32| {
        with(c, |memory, state| {
            let (file, _) = state.descriptors.file(fd, TELL)?;
            put(memory, to, &file.position.to_le_bytes())
        })
    })?;
    linker.func_wrap(INTERFACE, "fd_close", |c: In<'_>, fd: i32| {
        with(c, |_, state| {
            let closed = state.descriptors.close(fd)?;
            state.release(closed.behind);
            Ok(())
        })
    })?;
    linker.func_wrap(INTERFACE, "fd_renumber", |c: In<'_>, fd: i32, to: i32| {
        with(c, |_, state| {
            if let Some(closed) = state.descriptors.renumber(fd, to)? {
                state.release(closed.behind);
            }
            Ok(())
        })
    })?;
    linker.func_wrap(INTERFACE, "fd_sync", |c: In<'_>, fd: i32| held(c, fd, SYNC))?;
    linker.func_wrap(INTERFACE, "fd_datasync", |c: In<'_>, fd: i32| {
        held(c, fd, DATASYNC)
    })?;
    linker.func_wrap(
        INTERFACE,
        "fd_advise",
        |c: In<'_>, fd: i32, _from: i64, _length: i64, _advice: i32| held(c, fd, ADVISE),
    )?;
    linker.func_wrap(INTERFACE, "fd_allocate", fd_allocate)?;
    linker.func_wrap(
        INTERFACE,
        "fd_filestat_set_size",
        |c: In<'_>, fd: i32, size: i64| {
            with(c, |_, state| {
                let (_, number) = state.descriptors.file(fd, SET_SIZE)?;
                let size = u64::try_from(size).map_err(|_| INVAL)?;
                state.tree.set_size(number, size, &mut state.room)
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "fd_filestat_set_times",
        |c: In<'_>, fd: i32, accessed: i64, modified: i64, which: i32| {
            with(c, |_, state| {
                let descriptor = state.descriptors.with(fd, SET_TIMES)?;
                let number = descriptor.behind.number().ok_or(BADF)?;
                let times = times(accessed, modified, which)?;
                state.tree.set_times(number, times)
            })
        },
    )?;
    linker.func_wrap(INTERFACE, "fd_readdir", fd_readdir)?;
    stats(linker)
}

/// What is asked of a descriptor itself.
fn stats(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(INTERFACE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(
        INTERFACE,
        "fd_fdstat_set_flags",
        |c: In<'_>, fd: i32, flags: i32| {
            with(c, |_, state| {
                let descriptor = state.descriptors.with(fd, SET_FLAGS)?;
                descriptor.flags = known(flags)?;
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "fd_fdstat_set_rights",
        |c: In<'_>, fd: i32, rights: i64, inheriting: i64| {
            with(c, |_, state| {
                let descriptor = state.descriptors.get(fd)?;
                let (rights, inheriting) = (rights.cast_unsigned(), inheriting.cast_unsigned());
                // They become fewer, and never more.
                if rights & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
                    return Err(NOTCAPABLE);
                }
                (descriptor.rights, descriptor.inheriting) = (rights, inheriting);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "fd_filestat_get",
        |c: In<'_>, fd: i32, to: i32| {
            with(c, |memory, state| {
                let Some(number) = state.descriptors.get(fd)?.behind.number() else {
                    // Of no kind that is known, and empty.
                    return put(memory, to, &[0; 64]);
                };
                state.descriptors.with(fd, STAT)?;
                put(memory, to, &stat(number, state.tree.node(number)?))
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "fd_prestat_get",
        |c: In<'_>, fd: i32, to: i32| {
            with(c, |memory, state| {
                given(state, fd)?;
                // A directory, and the length of its name.
                put(memory, to, &[0; 4])?;
                put_count(memory, to.wrapping_add(4), NAME.len())
            })
        },
    )?;
    linker.func_wrap(
        INTERFACE,
        "fd_prestat_dir_name",
        |c: In<'_>, fd: i32, to: i32, length: i32| {
            with(c, |memory, state| {
                given(state, fd)?;
                let room = part(memory, to, length)?.len();
                match room < NAME.len() {
                    true => Err(NAMETOOLONG),
                    false => put(memory, to, NAME),
                }
            })
        },
    )?;
    Ok(())
}

fn given(state: &mut State, fd: i32) -> Result<(), i32> {
    let descriptor = state.descriptors.get(fd)?;
    match Descriptors::is_given(fd, descriptor) {
        true => Ok(()),
        false => Err(BADF),
    }
}

/// Nothing is to be done, for one that has this right.
fn held(caller: In<'_>, fd: i32, right: u64) -> i32 {
    with(caller, |_, state| {
        state.descriptors.with(fd, right).map(drop)
    })
}

/// Flags of a descriptor, of which none is unknown.
pub(super) fn known(flags: i32) -> Result<u16, i32> {
    let flags = u16::try_from(flags).map_err(|_| INVAL)?;
    match flags & !FLAGS {
        0 => Ok(flags),
        _ => Err(INVAL),
    }
}

/// Which times are set, to what. "Now" is 0, where the clock stands.
pub(super) fn times(accessed: i64, modified: i64, which: i32) -> Result<[Option<u64>; 2], i32> {
    let time = |given: i64, at: u32| match (which >> at) & 0b11 {
        0b00 => Ok(None),
        0b01 => Ok(Some(given.cast_unsigned())),
        0b10 => Ok(Some(0)),
        _ => Err(INVAL),
    };
    Ok([time(accessed, 0)?, time(modified, 2)?])
}

fn kind(node: &Node) -> u8 {
    match node.is_directory() {
        true => DIRECTORY,
        false => REGULAR,
    }
}

/// `filestat`.
pub(super) fn stat(number: Number, node: &Node) -> [u8; 64] {
    let [accessed, modified] = node.times;
    // Device, number, kind, links, size, and three times; what changed when is not kept apart.
    let words = [
        1,
        number,
        kind(node).into(),
        1,
        node.size(),
        accessed,
        modified,
        modified,
    ];
    let mut stat = [0; 64];
    for (to, word) in stat.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    stat
}

/// `fdstat`.
fn fd_fdstat_get(caller: In<'_>, fd: i32, to: i32) -> i32 {
    with(caller, |memory, state| {
        let descriptor = state.descriptors.get(fd)?;
        let mut stat = [0; 24];
        stat[0] = match descriptor.behind {
            // No kind that is known.
            Behind::Stream(_) => 0,
            Behind::Directory(_) => DIRECTORY,
            Behind::File(_) => REGULAR,
        };
        stat[2..4].copy_from_slice(&descriptor.flags.to_le_bytes());
        stat[8..16].copy_from_slice(&descriptor.rights.to_le_bytes());
        stat[16..24].copy_from_slice(&descriptor.inheriting.to_le_bytes());
        put(memory, to, &stat)
    })
}

fn fd_read(caller: In<'_>, fd: i32, list: i32, count: i32, got: i32) -> i32 {
    with(caller, |memory, state| {
        if let Behind::Stream(stream) = state.descriptors.get(fd)?.behind {
            return match stream {
                0 => {
                    let rest = &state.input[state.read..];
                    let total = fill(memory, rest, list, count)?;
                    state.read += total;
                    put_count(memory, got, total)
                }
                _ => Err(BADF),
            };
        }
        let (file, number) = state.descriptors.file(fd, READ)?;
        let rest = state.tree.read(number, file.position)?;
        let total = fill(memory, rest, list, count)?;
        file.position += total as u64;
        put_count(memory, got, total)
    })
}

fn fd_pread(caller: In<'_>, fd: i32, list: i32, count: i32, from: i64, got: i32) -> i32 {
    with(caller, |memory, state| {
        let (_, number) = state.descriptors.file(fd, READ | SEEK)?;
        let from = u64::try_from(from).map_err(|_| INVAL)?;
        let total = fill(memory, state.tree.read(number, from)?, list, count)?;
        put_count(memory, got, total)
    })
}

/// Fills the parts of a list with what there is, and says how much that was.
fn fill(memory: &mut [u8], mut rest: &[u8], list: i32, count: i32) -> Result<usize, i32> {
    let mut total = 0;
    for (at, length) in parts(memory, list, count)? {
        let to = part(memory, at, length)?;
        let (now, later) = rest.split_at(to.len().min(rest.len()));
        to[..now.len()].copy_from_slice(now);
        rest = later;
        total += now.len();
    }
    Ok(total)
}

fn fd_write(caller: In<'_>, fd: i32, list: i32, count: i32, written: i32) -> i32 {
    with(caller, |memory, state| {
        let Behind::Stream(stream) = state.descriptors.get(fd)?.behind else {
            let (file, number) = state.descriptors.file(fd, WRITE)?;
            if file.flags & APPEND != 0 {
                file.position = state.tree.node(number)?.size();
            }
            let position = file.position;
            let total = write(memory, state, (number, position), (list, count))?;
            state.descriptors.get(fd)?.position = position + total as u64;
            return put_count(memory, written, total);
        };
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

fn fd_pwrite(caller: In<'_>, fd: i32, list: i32, count: i32, from: i64, written: i32) -> i32 {
    with(caller, |memory, state| {
        let (_, number) = state.descriptors.file(fd, WRITE | SEEK)?;
        let from = u64::try_from(from).map_err(|_| INVAL)?;
        let total = write(memory, state, (number, from), (list, count))?;
        put_count(memory, written, total)
    })
}

/// Writes the parts of a list, as many as there is room for, and says how much that was.
fn write(
    memory: &mut [u8],
    state: &mut State,
    (number, from): (Number, u64),
    (list, count): (i32, i32),
) -> Result<usize, i32> {
    let mut total = 0;
    for (at, length) in parts(memory, list, count)? {
        let bytes = part(memory, at, length)?;
        let to = from.saturating_add(total as u64);
        match state.tree.write(number, to, bytes, &mut state.room) {
            Ok(()) => total += bytes.len(),
            Err(_) if total > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

fn fd_seek(caller: In<'_>, fd: i32, by: i64, whence: i32, to: i32) -> i32 {
    with(caller, |memory, state| {
        let (file, number) = match state.descriptors.get(fd)?.behind {
            // A stream has no place to go to.
            Behind::Stream(_) => return Err(SPIPE),
            // Where it is may be asked by who may not move.
            _ if (by, whence) == (0, 1) => state.descriptors.file(fd, TELL)?,
            _ => state.descriptors.file(fd, SEEK)?,
        };
        let from = match whence {
            0 => 0,
            1 => file.position,
            2 => state.tree.node(number)?.size(),
            _ => return Err(INVAL),
        };
        let position = from
            .checked_add_signed(by)
            .filter(|p| i64::try_from(*p).is_ok());
        file.position = position.ok_or(INVAL)?;
        put(memory, to, &file.position.to_le_bytes())
    })
}

fn fd_allocate(caller: In<'_>, fd: i32, from: i64, length: i64) -> i32 {
    with(caller, |_, state| {
        let (_, number) = state.descriptors.file(fd, ALLOCATE)?;
        let unsigned = |value: i64| u64::try_from(value).map_err(|_| INVAL);
        let end = unsigned(from)?
            .checked_add(unsigned(length)?)
            .ok_or(INVAL)?;
        match end > state.tree.node(number)?.size() {
            true => state.tree.set_size(number, end, &mut state.room),
            false => Ok(()),
        }
    })
}

/// Entries as `dirent`, as many as there is room for; the last is cut off, which says that there are more. The cookie of an
/// entry is the number of the next file. The directory itself and the one around it are not among them.
fn fd_readdir(caller: In<'_>, fd: i32, to: i32, length: i32, cookie: i64, used: i32) -> i32 {
    with(caller, |memory, state| {
        let directory = state.descriptors.directory(fd, READDIR)?;
        let room = part(memory, to, length)?;
        let mut filled = 0;
        for (name, number) in state.tree.list(directory, cookie.cast_unsigned())? {
            let mut entry = [0; 24];
            entry[..8].copy_from_slice(&(number + 1).to_le_bytes());
            entry[8..16].copy_from_slice(&number.to_le_bytes());
            let length = u32::try_from(name.len()).map_err(|_| INVAL)?;
            entry[16..20].copy_from_slice(&length.to_le_bytes());
            entry[20] = kind(state.tree.node(number)?);
            for bytes in [&entry[..], name.as_bytes()] {
                let now = bytes.len().min(room.len() - filled);
                room[filled..filled + now].copy_from_slice(&bytes[..now]);
                filled += now;
            }
            if filled == room.len() {
                break;
            }
        }
        put_count(memory, used, filled)
    })
}
