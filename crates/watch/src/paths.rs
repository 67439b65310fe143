//! Path arguments, read for the report and for nothing else.

use portcullis_abi::{Arch, Sysno};

use crate::decide::Call;
use crate::memory::Memory;

/// `PATH_MAX` of `linux/limits.h`.
const LONGEST: usize = 4096;

/// The strings that `call`'s path arguments point to.
pub(crate) fn observed(memory: &Memory, call: &Call) -> Vec<(u8, Vec<u8>)> {
    if call.arch != Arch::NATIVE.audit_arch() {
        return Vec::new();
    }
    let Some(name) = Arch::NATIVE.name(Sysno(call.number)) else {
        return Vec::new();
    };
    arguments(name)
        .iter()
        .filter_map(|index| {
            let text = memory.string(call.args[usize::from(*index)], LONGEST)?;
            Some((*index, text))
        })
        .collect()
}

/// Whether arguments of the call `name` are paths.
pub(crate) fn has(name: &str) -> bool {
    !arguments(name).is_empty()
}

/// Which arguments of a call are paths, by its manual page.
pub(crate) fn arguments(name: &str) -> &'static [u8] {
    match name {
        "open" | "creat" | "stat" | "lstat" | "access" | "execve" | "chdir" | "chroot"
        | "mkdir" | "rmdir" | "unlink" | "readlink" | "chmod" | "chown" | "lchown" | "mknod"
        | "truncate" | "statfs" | "utime" | "utimes" | "umount2" | "swapon" | "swapoff"
        | "acct" | "uselib" | "setxattr" | "lsetxattr" | "getxattr" | "lgetxattr" | "listxattr"
        | "llistxattr" | "removexattr" | "lremovexattr" => &[0],
        "rename" | "link" | "symlink" | "mount" | "pivot_root" => &[0, 1],
        "openat" | "openat2" | "newfstatat" | "statx" | "faccessat" | "faccessat2" | "execveat"
        | "mkdirat" | "unlinkat" | "readlinkat" | "fchmodat" | "fchmodat2" | "fchownat"
        | "mknodat" | "utimensat" | "futimesat" | "name_to_handle_at" | "inotify_add_watch"
        | "open_tree" => &[1],
        "renameat" | "renameat2" | "linkat" | "move_mount" => &[1, 3],
        "symlinkat" => &[0, 2],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_and_a_bad_pointer_is_nothing() {
        let memory = Memory::open(std::process::id().cast_signed()).unwrap();
        let path = c"/etc/hostname";
        let mut call = Call {
            arch: Arch::NATIVE.audit_arch(),
            number: Arch::NATIVE.number("openat").unwrap().0,
            ip: 0,
            args: [0, path.as_ptr() as u64, 0, 0, 0, 0],
        };
        assert_eq!(observed(&memory, &call), [(1, b"/etc/hostname".to_vec())]);
        call.args[1] = 8;
        assert!(observed(&memory, &call).is_empty());
    }
}
