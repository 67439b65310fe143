//! One call, put into a running program: machine code written through `/proc/PID/mem` to the place
//! where the program waits in the kernel, so that it is the next thing it executes.
//!
//! No debugger is involved, because a task has one tracer and that may be the launcher. The write
//! goes to a private copy of the page even when the program maps it read-only (`FOLL_FORCE`,
//! mm/gup.c). The program is lost afterwards: the code ends it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// The exit code with which injected code ends the program: none of ours, no signal's.
pub(crate) const REACHED: i32 = 77;

/// `exit_group` on x86_64.
const EXIT_GROUP: u32 = 231;

/// What the injected call gets as its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arguments<'a> {
    /// A path, and zeros.
    Path(&'a str),
    /// A descriptor, a text and its length: write(2).
    Text(u32, &'a str),
}

/// Code that makes the call `number`, then `exit_group(REACHED)`.
pub(crate) fn code(number: u32, arguments: Arguments<'_>) -> Vec<u8> {
    let mut code = vec![0xf3, 0x0f, 0x1e, 0xfa]; // endbr64
    // xor esi,esi; xor edx,edx; xor r10d,r10d; xor r8d,r8d; xor r9d,r9d; xor edi,edi
    code.extend([0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2]);
    code.extend([0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9, 0x31, 0xff]);
    let mut text = Vec::new();
    let address;
    match arguments {
        Arguments::Path(path) => {
            code.extend([0x48, 0x8d, 0x3d]); // lea rdi, [rip + …]
            address = code.len();
            code.extend([0; 4]);
            text.extend(path.as_bytes());
        }
        Arguments::Text(descriptor, words) => {
            code.push(0xbf); // mov edi, descriptor
            code.extend(descriptor.to_le_bytes());
            code.push(0xba); // mov edx, length
            code.extend(u32::try_from(words.len()).unwrap_or(0).to_le_bytes());
            code.extend([0x48, 0x8d, 0x35]); // lea rsi, [rip + …]
            address = code.len();
            code.extend([0; 4]);
            text.extend(words.as_bytes());
        }
    }
    text.push(0);
    call(&mut code, number);
    code.push(0xbf); // mov edi, REACHED
    code.extend(REACHED.to_le_bytes());
    call(&mut code, EXIT_GROUP);
    code.extend([0x0f, 0x0b]); // ud2
    // Relative to the end of the instruction, which the displacement ends.
    let distance = u32::try_from(code.len() - (address + 4)).unwrap_or(0);
    code[address..address + 4].copy_from_slice(&distance.to_le_bytes());
    code.extend(text);
    code
}

/// `mov eax, number; syscall`.
fn call(code: &mut Vec<u8>, number: u32) {
    code.push(0xb8);
    code.extend(number.to_le_bytes());
    code.extend([0x0f, 0x05]);
}

/// A call in which a program waits: its number and its first two arguments.
pub(crate) type Waiting = (u64, u64, u64);

/// Waits until the first task of `pid` waits in a call that `waiting` accepts, then writes `code`
/// to where it will go on.
pub(crate) fn inject(
    pid: u32,
    code: &[u8],
    waiting: impl Fn(Waiting) -> bool,
    limit: Duration,
) -> Result<()> {
    let place = process::until("the program waits in a call", limit, || {
        // "running" | "NUMBER 0x… (six arguments) 0xSP 0xPC": proc_pid_syscall(5)
        let line = match fs::read_to_string(format!("/proc/{pid}/syscall")) {
            Ok(line) => line,
            Err(error) => bail!("read /proc/{pid}/syscall: {error}"),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [number, first, second, _, _, _, _, _, program_counter] = words.as_slice() else {
            return Ok(None);
        };
        let Ok(number) = number.parse::<u64>() else {
            return Ok(None);
        };
        if !waiting((number, hex(first)?, hex(second)?)) {
            return Ok(None);
        }
        Ok(Some(hex(program_counter)?))
    })?;
    let path = format!("/proc/{pid}/mem");
    let memory = OpenOptions::new()
        .write(true)
        .open(&path)
        .with_context(|| format!("open {path}"))?;
    memory
        .write_all_at(code, place)
        .with_context(|| format!("write {} bytes to {path} at {place:#x}", code.len()))
}

/// True when the `pollfd` array at `address` waits until `descriptor` can be written.
pub(crate) fn polls_output(pid: u32, address: u64, count: u64, descriptor: i32) -> bool {
    const POLLOUT: i16 = 4;
    let count = usize::try_from(count).unwrap_or(0).min(64);
    let mut entries = vec![0; count * 8];
    File::open(format!("/proc/{pid}/mem"))
        .and_then(|memory| memory.read_exact_at(&mut entries, address))
        .is_ok()
        && entries.chunks_exact(8).any(|entry| {
            entry[..4] == descriptor.to_le_bytes()
                && i16::from_le_bytes([entry[4], entry[5]]) & POLLOUT != 0
        })
}

/// True when the epoll instance `epoll` waits until `descriptor` can be written: a line
/// `tfd: 1 events: 1c …` of its fdinfo (proc_pid_fdinfo(5)).
pub(crate) fn watches_output(pid: u32, epoll: u64, descriptor: i32) -> bool {
    const EPOLLOUT: u64 = 4;
    let about = fs::read_to_string(format!("/proc/{pid}/fdinfo/{epoll}")).unwrap_or_default();
    about.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), ["tfd:", target, "events:", events, ..]
            if target.parse() == Ok(descriptor)
                && hex(events).is_ok_and(|events| events & EPOLLOUT != 0))
    })
}

fn hex(word: &str) -> Result<u64> {
    u64::from_str_radix(word.trim_start_matches("0x"), 16).with_context(|| format!("read {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_right_behind_the_code() {
        let code = code(83, Arguments::Path("/x"));
        let lea = 4 + 15;
        assert_eq!(code[lea..lea + 3], [0x48, 0x8d, 0x3d]);
        let distance =
            u32::from_le_bytes([code[lea + 3], code[lea + 4], code[lea + 5], code[lea + 6]]);
        assert_eq!(&code[lea + 7 + distance as usize..], b"/x\0");
    }
}
