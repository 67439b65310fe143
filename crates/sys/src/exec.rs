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
    execveat(program, &arguments.pointers, &environment.pointers, sixth)
}

/// Both vectors end with a null pointer, and what they point to lives.
fn execveat(
    program: BorrowedFd<'_>,
    arguments: &[*const c_char],
    environment: &[*const c_char],
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
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
            sixth,
        )
    };
    debug_assert_eq!(value, -1);
    Error::last("execveat")
}

/// Room for arguments and an environment that a child is sent when it can no longer allocate.
pub struct Words {
    bytes: Vec<u8>,
    pointers: Vec<*const c_char>,
}

/// The words of a message, and where the environment begins among them.
const HEAD: usize = 8;

impl Words {
    /// Room for messages of `bytes` bytes with `words` words.
    pub fn with_room(bytes: usize, words: usize) -> Words {
        Words {
            bytes: vec![0; bytes],
            // Each of the two vectors has a null pointer at its end.
            pointers: vec![std::ptr::null(); words + 2],
        }
    }

    /// The message that gives `arguments` and `environment`.
    pub fn message(arguments: &[CString], environment: &[CString]) -> Vec<u8> {
        let count = |words: &[CString]| u32::try_from(words.len()).unwrap_or(u32::MAX);
        let mut message = Vec::new();
        message.extend(count(arguments).to_le_bytes());
        message.extend(count(environment).to_le_bytes());
        for word in arguments.iter().chain(environment) {
            message.extend(word.as_bytes_with_nul());
        }
        message
    }

    /// Where a message is put.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Executes the file of `program` with the words of the message of `length` bytes that is in the room. Returns
    /// only on failure; `EINVAL` when it is no such message, `E2BIG` when it has more words than there is room
    /// for. May be called by a child before its exec.
    pub fn execute(&mut self, length: usize, program: BorrowedFd<'_>, sixth: u64) -> Error {
        let failed = |number| Error {
            call: "execveat",
            reason: std::io::Error::from_raw_os_error(number),
        };
        let Some(message) = self.bytes.get(..length) else {
            return failed(libc::EINVAL);
        };
        let Some((head, words)) = message.split_at_checked(HEAD) else {
            return failed(libc::EINVAL);
        };
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(usize::MAX, |b| u32::from_le_bytes(b) as usize)
        };
        let (arguments, environment) = (number(0), number(4));
        let all = arguments.saturating_add(environment);
        if all.saturating_add(2) > self.pointers.len() {
            return failed(libc::E2BIG);
        }
        let mut rest = words;
        for word in 0..all {
            let Some(end) = rest.iter().position(|byte| *byte == 0) else {
                return failed(libc::EINVAL);
            };
            // The first vector's null pointer is between the two.
            let place = if word < arguments { word } else { word + 1 };
            self.pointers[place] = rest.as_ptr().cast();
            rest = &rest[end + 1..];
        }
        self.pointers[arguments] = std::ptr::null();
        self.pointers[all + 1] = std::ptr::null();
        let (first, second) = self.pointers.split_at(arguments + 1);
        execveat(program, first, second, sixth)
    }
}
