//! Memory of another process, read through `/proc/PID/mem`. All of it is hostile.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A process's memory.
pub(crate) struct Memory(File);

impl Memory {
    /// Needs the right to trace `pid`; fails for a process that made itself non-dumpable.
    pub(crate) fn open(pid: i32) -> io::Result<Memory> {
        File::open(format!("/proc/{pid}/mem")).map(Memory)
    }

    /// The same, also to be written.
    pub(crate) fn open_writable(pid: i32) -> io::Result<Memory> {
        let path = format!("/proc/{pid}/mem");
        File::options()
            .read(true)
            .write(true)
            .open(path)
            .map(Memory)
    }

    /// Writes `bytes` to `address`.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, address)
    }

    /// Fills `into` from `address`, or says why not.
    pub(crate) fn fill(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, address)
    }

    /// Fills `into` from `address`, or fails.
    pub(crate) fn read(&self, address: u64, into: &mut [u8]) -> Option<()> {
        self.fill(address, into).ok()
    }

    /// At most `limit` bytes from `address`, as many as one call gives.
    pub(crate) fn read_at(&self, address: u64, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; limit];
        let read = self.0.read_at(&mut bytes, address);
        bytes.truncate(read.unwrap_or(0));
        bytes
    }

    /// At most `limit` bytes from `address`, as far as they are mapped.
    pub(crate) fn read_some(&self, address: u64, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; limit];
        let mut filled = 0;
        while filled < limit {
            let at = address.saturating_add(filled as u64);
            match self.0.read_at(&mut bytes[filled..], at) {
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
