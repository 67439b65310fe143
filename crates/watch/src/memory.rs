//! Memory of another process, read through `/proc/PID/mem`, or by its number where that file is not this user's or the
//! opening of one costs too much. All of it is hostile.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use portcullis_sys::memory;

/// A process's memory.
pub(crate) enum Memory {
    File(File),
    /// By its number. Memory that the process itself could not write is not written so.
    Process(i32),
}

impl Memory {
    /// Needs the right to trace `pid`; fails for a process that made itself non-dumpable.
    pub(crate) fn open(pid: i32) -> io::Result<Memory> {
        Memory::of(pid, File::options().read(true))
    }

    /// The same, also to be written.
    pub(crate) fn open_writable(pid: i32) -> io::Result<Memory> {
        Memory::of(pid, File::options().read(true).write(true))
    }

    /// The same for one look at what the process itself may read and write: nothing is opened, which saves most of the
    /// time of a short look. It may turn out to be not allowed.
    pub(crate) fn by_number(pid: i32) -> Memory {
        Memory::Process(pid)
    }

    fn of(pid: i32, options: &OpenOptions) -> io::Result<Memory> {
        match options.open(format!("/proc/{pid}/mem")) {
            // Of another user, as workers of an ordinary user are: he may trace it, but the file is the other's
            // (proc_pid_mem(5)).
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                // What this process may not trace it may not read so either.
                memory::read(pid, 0, &mut [0]).or_else(|refused| match refused.errno() {
                    libc::EFAULT => Ok(0),
                    _ => Err(e),
                })?;
                Ok(Memory::Process(pid))
            }
            opened => opened.map(Memory::File),
        }
    }

    fn some(&self, address: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Memory::File(file) => file.read_at(into, address),
            Memory::Process(pid) => memory::read(*pid, address, into).map_err(|e| e.reason),
        }
    }

    /// Writes `bytes` to `address`.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Memory::File(file) => file.write_all_at(bytes, address),
            Memory::Process(pid) => match memory::write(*pid, address, bytes) {
                Ok(written) if written == bytes.len() => Ok(()),
                Ok(_) => Err(io::ErrorKind::WriteZero.into()),
                Err(error) => Err(error.reason),
            },
        }
    }

    /// Fills `into` from `address`, or says why not.
    pub(crate) fn fill(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Memory::File(file) => file.read_exact_at(into, address),
            Memory::Process(_) => match self.some(address, into)? {
                read if read == into.len() => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }

    /// Fills `into` from `address`, or fails.
    pub(crate) fn read(&self, address: u64, into: &mut [u8]) -> Option<()> {
        self.fill(address, into).ok()
    }

    /// At most `limit` bytes from `address`, as many as one call gives.
    pub(crate) fn read_at(&self, address: u64, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; limit];
        let read = self.some(address, &mut bytes);
        bytes.truncate(read.unwrap_or(0));
        bytes
    }

    /// At most `limit` bytes from `address`, as far as they are mapped.
    pub(crate) fn read_some(&self, address: u64, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; limit];
        let mut filled = 0;
        while filled < limit {
            let at = address.saturating_add(filled as u64);
            match self.some(at, &mut bytes[filled..]) {
                Ok(n) if n > 0 => filled += n,
                _ => break,
            }
        }
        bytes.truncate(filled);
        bytes
    }

    /// The little-endian word at `address`.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    }

    /// The string at `address`, without its NUL; `None` when it has none within `limit`.
    pub(crate) fn string(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        let mut bytes = self.read_some(address, limit);
        let end = bytes.iter().position(|b| *b == 0)?;
        bytes.truncate(end);
        Some(bytes)
    }
}
