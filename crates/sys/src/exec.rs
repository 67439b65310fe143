//! `execve(2)`, and `execveat(2)` with all six registers.
#![expect(unsafe_code, reason = "pointer arrays are handed to the kernel")]

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::Error;

/// A vector of strings in the form that exec takes, made before a child exists.
pub struct CStringArray {
    // Keeps what `pointers` refers to; CString's bytes do not move when the vector does.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CStringArray {
    /// The array of `strings`, ended by a null pointer.
    pub fn new(strings: Vec<CString>) -> CStringArray {
        let mut pointers: Vec<*const c_char> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        CStringArray {
            _strings: strings,
            pointers,
        }
    }
}

/// Executes the file that `path` leads to. Returns only on failure.
///
/// May be called by a child before its exec.
pub fn execute_path(path: &CStr, arguments: &CStringArray, environment: &CStringArray) -> Error {
    // SAFETY: as in `execute`, and the path is null-terminated.
    let value = unsafe {
        libc::syscall(
            libc::SYS_execve,
            path.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
        )
    };
    debug_assert_eq!(value, -1);
    Error::last("execve")
}

/// Executes the file of `program` (`AT_EMPTY_PATH`), with `sixth` in the register of the sixth
/// argument, which the kernel ignores and a filter can read. Returns only on failure.
///
/// May be called by a child before its exec.
pub fn execute(
    program: BorrowedFd<'_>,
    arguments: &CStringArray,
    environment: &CStringArray,
    sixth: u64,
) -> Error {
    const EMPTY: &CStr = c"";
    // SAFETY: both arrays are null-terminated and their strings live as long as the arrays; on
    // success nothing of this process remains, on failure the kernel has changed nothing.
    let value = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            EMPTY.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
            sixth,
        )
    };
    debug_assert_eq!(value, -1);
    Error::last("execveat")
}
