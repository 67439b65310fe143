//! What programs in the kernel and their reader have between them: where in keys, values and records what lies.

use portcullis_abi::Arch;

/// What tells calls apart: program, architecture, number, whether values are not told apart (1), and the arguments that say
/// what the call does, in their order.
pub(super) mod key {
    use crate::record::made::MOST;

    pub(in super::super) const IMAGE: i16 = 0;
    pub(in super::super) const ARCH: i16 = 8;
    pub(in super::super) const NUMBER: i16 = 12;
    pub(in super::super) const ANY: i16 = 16;
    pub(in super::super) const VALUES: i16 = 24;
    pub(in super::super) const SIZE: i16 = VALUES + 8 * MOST as i16;
    /// Program, architecture and number alone.
    pub(in super::super) const OF_NUMBER: u32 = 16;
}

/// A task that is followed: the key of the call that it is in, or was last, is its beginning.
pub(super) mod task {
    use super::key;
    /// All six arguments.
    pub(in super::super) const ARGUMENTS: i16 = key::SIZE;
    /// Behind the instruction that made the call.
    pub(in super::super) const IP: i16 = ARGUMENTS + 48;
    /// Its program.
    pub(in super::super) const IMAGE: i16 = IP + 8;
    /// Where it stands: one of the three below.
    pub(in super::super) const STANDS: i16 = IMAGE + 8;
    /// The call's place in the table.
    pub(in super::super) const PLACE: i16 = STANDS + 4;
    /// What the call was known to return when it was entered, as far as the first word tells: nothing else is looked up then.
    pub(in super::super) const RETURNED: i16 = PLACE + 4;
    /// Of a call that was to be told at its entry, the code that made it: one frame of `struct bpf_stack_build_id`.
    pub(in super::super) const FRAME: i16 = RETURNED + 8;
    pub(in super::super) const FRAME_SIZE: i16 = 32;
    pub(in super::super) const SIZE: i16 = FRAME + FRAME_SIZE;

    /// In no call.
    pub(in super::super) const OUTSIDE: i32 = 0;
    /// In a call whose entry was seen.
    pub(in super::super) const INSIDE: i32 = 1;
    /// In a call that was not made by what is followed: the one that created the task.
    pub(in super::super) const PASSED_OVER: i32 = 2;
}

/// What is known of a call.
pub(super) mod call {
    pub(in super::super) const COUNT: i16 = 0;
    /// It was told.
    pub(in super::super) const TOLD: i16 = 8;
    /// A bit for success, and for each error below [`ERRORS`].
    pub(in super::super) const RETURNED: i16 = 16;
    pub(in super::super) const SIZE: i16 = 40;
    /// Errors that are told once; the kernel's own lists end before (`asm-generic/errno.h`).
    pub(in super::super) const ERRORS: i32 = 192;
}

/// What the table says of a call: masks of the arguments that say what it does; where in a task they are, the addresses of two
/// paths, of a socket's address, and its length, or 0.
pub(super) mod place {
    use crate::record::made::MOST;

    pub(in super::super) const MASKS: i16 = 0;
    pub(in super::super) const ARGUMENTS: i16 = 8 * MOST as i16;
    pub(in super::super) const PATHS: [i16; 2] = [ARGUMENTS + 12, ARGUMENTS + 16];
    pub(in super::super) const ADDRESS: i16 = ARGUMENTS + 20;
    pub(in super::super) const LENGTH: i16 = ARGUMENTS + 24;
    pub(in super::super) const SIZE: i16 = ARGUMENTS + 32;
}

/// What a program file is known by: its number, and whether it was told.
pub(super) mod image {
    pub(in super::super) const ID: i16 = 0;
    pub(in super::super) const TOLD: i16 = 8;
    pub(in super::super) const SIZE: i16 = 16;
    /// Of its key: device, inode, and time of the last change.
    pub(in super::super) const KEY: i16 = 32;
    /// Of a task that has executed nothing yet.
    pub(in super::super) const NONE: i32 = 0;
    /// Of programs beyond those that are told apart.
    pub(in super::super) const OTHERS: i32 = 1;
}

/// Counters.
pub(super) mod state {
    /// Tasks that live.
    pub(in super::super) const ALIVE: i16 = 0;
    /// Tasks that there were.
    pub(in super::super) const TASKS: i16 = 8;
    /// Tasks that are not followed because there were too many.
    pub(in super::super) const LOST_TASKS: i16 = 16;
    /// Calls that are not in the table of them because it is full.
    pub(in super::super) const LOST_CALLS: i16 = 24;
    /// Programs that are not told apart.
    pub(in super::super) const LOST_IMAGES: i16 = 32;
    /// Records for which there was no room.
    pub(in super::super) const UNTOLD: i16 = 40;
    pub(in super::super) const SIZE: i16 = 48;
}

/// A record: kind, task, process, a number; then of a call its key and where it was made, of a result the key; of a program
/// its number, who executed it, and its file.
pub(super) mod record {
    use super::{key, task};

    pub(in super::super) const KIND: i16 = 0;
    pub(in super::super) const TASK: i16 = 4;
    pub(in super::super) const PROCESS: i16 = 8;
    /// Of a result the error, 0 for success.
    pub(in super::super) const ERROR: i16 = 12;
    pub(in super::super) const KEY: i16 = 16;
    pub(in super::super) const OF_RESULT: i16 = KEY + key::SIZE;
    pub(in super::super) const IP: i16 = OF_RESULT;
    pub(in super::super) const FRAME: i16 = IP + 8;
    /// Lengths of two paths with their ends, and of an address; none is 0.
    pub(in super::super) const LENGTHS: [i16; 3] = [BEHIND, BEHIND + 4, BEHIND + 8];
    const BEHIND: i16 = FRAME + task::FRAME_SIZE;
    pub(in super::super) const TEXT: i16 = BEHIND + 16;
    /// `PATH_MAX` of `linux/limits.h`.
    pub(in super::super) const LONGEST: i16 = 4096;
    /// `sizeof(struct sockaddr_storage)`.
    pub(in super::super) const LONGEST_ADDRESS: i32 = 128;
    pub(in super::super) const SIZE: i16 = TEXT + 2 * LONGEST;

    pub(in super::super) const IMAGE: i16 = KEY;
    pub(in super::super) const BY: i16 = KEY + 8;
    pub(in super::super) const FILE: i16 = KEY + 16;

    pub(in super::super) const A_CALL: i32 = 1;
    pub(in super::super) const A_RESULT: i32 = 2;
    pub(in super::super) const A_PROGRAM: i32 = 3;
    pub(in super::super) const THE_END: i32 = 4;
}

/// Numbers of one way of calling that the table knows, and where those of others stand.
pub(super) const NUMBERS: u32 = 1024;
pub(super) const COMPATIBLE: u32 = NUMBERS;
pub(super) const X32: u32 = 2 * NUMBERS;
/// What is in no table: none of its arguments counts.
pub(super) const UNKNOWN: u32 = 3 * NUMBERS;
pub(super) const PLACES: u32 = UNKNOWN + 1;

/// Values of one call that are told apart.
pub(super) const VALUES: i32 = 256;

/// The architecture whose calls a program of this machine makes by the other way in.
pub(super) const OTHER: Arch = match Arch::NATIVE {
    Arch::X86_64 => Arch::I386,
    _ => Arch::Arm,
};
