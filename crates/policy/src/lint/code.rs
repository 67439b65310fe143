//! The kinds of findings.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kind of a finding. Its text is stable and explained in [`codes`](crate::codes).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every kind.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// `PC0310`.
            pub fn text(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The upper half of a register decides that the kernel does not read.
    UpperHalf = "PC0310",
    /// A value of 64 bits is compared by its lower half.
    LowerHalf = "PC0311",
    /// Calls of x32 pass a list of what is denied.
    X32 = "PC0312",
    /// Calls of other architectures are allowed.
    Foreign = "PC0313",
    /// Another call does the same and is allowed.
    Sibling = "PC0314",
    /// A call that makes others is allowed.
    Multiplexer = "PC0315",
    /// Another call does the same, and what it is asked for is behind a pointer.
    BehindPointer = "PC0316",
    /// An address is compared.
    Address = "PC0317",
    /// Operations of io_uring pass no filter.
    IoUring = "PC0318",
    /// Earlier rules decide all that a rule could.
    Shadowed = "PC0319",
    /// The conditions of a rule exclude one another.
    Contradiction = "PC0320",
    /// A rule answers what would be answered without it.
    NoEffect = "PC0321",
    /// Several conditions on one argument.
    ArgumentTwice = "PC0322",
    /// Conditions on several arguments in rules of their own.
    Alternatives = "PC0323",
    /// An error number that the kernel does not return.
    ErrnoTooLarge = "PC0324",
    /// The C library tries another call only when the answer is ENOSYS.
    FallBack = "PC0325",
    /// Calls that are not known yet are answered with another error than ENOSYS.
    NewerCalls = "PC0326",
    /// A call that the kernel inserts is denied.
    KernelsOwn = "PC0327",
    /// A call that the vDSO falls back to is denied.
    Vdso = "PC0328",
    /// A call that can undo the confinement is allowed.
    Undoes = "PC0329",
    /// TIOCSTI is denied and TIOCLINUX is not.
    Terminal = "PC0330",
    /// A register that the call does not use is compared.
    NoArgument = "PC0331",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
