//! Memory of another process by process_vm_readv(2): for who may trace it and does not own its process files.
#![expect(unsafe_code, reason = "raw system calls with bounded memory")]

use crate::{Error, check};

/// Reads at most as much as `into` has room for from `address` in process `pid`; how much was read.
pub fn read(pid: i32, address: u64, into: &mut [u8]) -> Result<usize, Error> {
    let own = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let other = there(address, into.len());
    // SAFETY: the kernel writes into `into` alone, and no more than its length; the other address is not of this process.
    let value = unsafe { libc::process_vm_readv(pid, &raw const own, 1, &raw const other, 1, 0) };
    copied("process_vm_readv", value)
}

/// Writes `bytes` to `address` in process `pid`, where that can be written; how much was written.
pub fn write(pid: i32, address: u64, bytes: &[u8]) -> Result<usize, Error> {
    let own = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let other = there(address, bytes.len());
    // SAFETY: the kernel reads `bytes` alone, and no more than its length; the other address is not of this process.
    let value = unsafe { libc::process_vm_writev(pid, &raw const own, 1, &raw const other, 1, 0) };
    copied("process_vm_writev", value)
}

fn there(address: u64, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: length,
    }
}

fn copied(call: &'static str, value: isize) -> Result<usize, Error> {
    let value = check(call, value as libc::c_long)?;
    Ok(usize::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_written() {
        let pid = std::process::id().cast_signed();
        let mut there = *b"word";
        let address = there.as_mut_ptr().expose_provenance() as u64;
        assert_eq!(write(pid, address, b"bird").unwrap(), 4);
        let mut here = [0; 4];
        assert_eq!(read(pid, address, &mut here).unwrap(), 4);
        assert_eq!((&here, &there), (b"bird", b"bird"));
        assert_eq!(read(pid, 0, &mut here).unwrap_err().errno(), libc::EFAULT);
    }
}
