//! Objects that processes share by a key: System V message queues (msgget(2)) and the kernel's keyrings
//! (keyrings(7)).
#![expect(unsafe_code, reason = "raw system calls with integers and strings")]

use std::ffi::CString;

use crate::{Error, check};

/// A message queue that everybody may open; removed when it is dropped.
#[derive(Debug)]
pub struct Queue {
    id: libc::c_int,
    key: i32,
}

/// A queue with a key that was nobody's.
pub fn queue() -> Result<Queue, Error> {
    let mut key = std::process::id().cast_signed();
    loop {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o666;
        // SAFETY: integers only.
        let value = unsafe { libc::msgget(key, flags) };
        match check("msgget", value.into()) {
            Err(e) if e.errno() == libc::EEXIST => key = key.wrapping_add(1 << 22),
            other => return other.map(|_| Queue { id: value, key }),
        }
    }
}

impl Queue {
    /// Its key.
    pub fn key(&self) -> i32 {
        self.key
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: removing takes no structure.
        unsafe { libc::msgctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// Takes the name from a POSIX message queue. Without one there is nothing to take.
pub fn forget_messages(name: &str) {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: a null-terminated string.
    unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) };
}

/// `KEY_SPEC_SESSION_KEYRING`.
pub const SESSION: i64 = -3;
/// `KEYCTL_SEARCH`.
pub const SEARCH: u64 = 10;
const JOIN: libc::c_long = 1;
const UNLINK: libc::c_long = 9;

/// A key of the type `user` in the session keyring of this process; taken out again when it is dropped.
#[derive(Debug)]
pub struct Key(libc::c_long);

/// Adds a key of this name. A process that has no session keyring of its own adds it to its user's.
pub fn key(name: &str) -> Result<Key, Error> {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: null-terminated strings, and a payload of one byte.
    let value = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            name.as_ptr(),
            c"k".as_ptr(),
            1,
            SESSION,
        )
    };
    check("add_key", value).map(Key)
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: integers only.
        unsafe { libc::syscall(libc::SYS_keyctl, UNLINK, self.0, SESSION) };
    }
}

/// Leaves the session keyring for a new, empty one; kernels without keys have nothing to leave. May be called
/// by a child before its exec.
pub fn leave_session() -> Result<(), Error> {
    // SAFETY: without a name an anonymous keyring is made.
    let value = unsafe { libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<libc::c_char>()) };
    match check("keyctl(JOIN_SESSION_KEYRING)", value) {
        Err(e) if e.errno() == libc::ENOSYS => Ok(()),
        other => other.map(drop),
    }
}
