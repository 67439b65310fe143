//! Names of values of arguments: the constants that a reader of a filter looks for first.
//!
//! A table says which constants an argument may be; their values are those of the architecture.

mod symbol_table;

use crate::Arch;
use symbol_table::TABLES;

/// The values of one argument of one or several calls.
struct Table {
    calls: &'static [&'static str],
    index: u8,
    /// Bits of the argument that the kernel reads (it takes `int` and `unsigned int` from the low
    /// half of the register).
    width: u32,
    names: &'static [&'static str],
    /// Flags that may be or-ed to a name of `names`.
    flags: &'static [&'static str],
}

impl Arch {
    /// The name of `value` as argument `index` of the call called `call`, flags joined by `|`; `None`
    /// when no constant is known for it, or not for all of its bits.
    ///
    /// ```
    /// let symbol = portcullis_abi::Arch::X86_64.symbol("socket", 1, 0x80002);
    /// assert_eq!(symbol.as_deref(), Some("SOCK_DGRAM|SOCK_CLOEXEC"));
    /// ```
    pub fn symbol(self, call: &str, index: u8, value: u64) -> Option<String> {
        let table = TABLES
            .iter()
            .find(|t| t.index == index && t.calls.contains(&call))?;
        let narrow = |v: u64| {
            if table.width == 32 {
                v & 0xffff_ffff
            } else {
                v
            }
        };
        let value = narrow(value);
        let known = |name: &str| self.constant(name).map(narrow);
        let exact = |v: u64| {
            table
                .names
                .iter()
                .copied()
                .find(|name| known(name) == Some(v))
        };
        if let Some(name) = exact(value) {
            return Some(name.to_owned());
        }
        let mut rest = value;
        let mut parts = Vec::new();
        for name in table.flags {
            if let Some(flag) = known(name).filter(|flag| rest & flag == *flag) {
                rest &= !flag;
                parts.push(*name);
            }
        }
        if parts.is_empty() || (rest != 0 && exact(rest).is_none()) {
            return None;
        }
        // A sole name is what no flag at all is called, not a value that flags are added to.
        if let Some(name) = exact(rest).filter(|_| table.names.len() > 1) {
            parts.insert(0, name);
        }
        Some(parts.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(call: &str, index: u8, value: u64) -> Option<String> {
        Arch::X86_64.symbol(call, index, value)
    }

    #[test]
    fn names_values_and_flags() {
        assert_eq!(symbol("socket", 0, 1).as_deref(), Some("AF_UNIX"));
        assert_eq!(
            symbol("socket", 1, 0x80801).as_deref(),
            Some("SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK")
        );
        assert_eq!(
            symbol("mmap", 2, 3).as_deref(),
            Some("PROT_READ|PROT_WRITE")
        );
        assert_eq!(
            symbol("futex", 1, 128).as_deref(),
            Some("FUTEX_WAIT|FUTEX_PRIVATE_FLAG")
        );
    }

    #[test]
    fn the_kernels_width_decides() {
        assert_eq!(
            symbol("openat", 0, 0xffff_ffff_ffff_ff9c).as_deref(),
            Some("AT_FDCWD")
        );
        assert_eq!(symbol("mprotect", 2, 0x1_0000_0001), None);
    }

    #[test]
    fn what_is_unknown_has_no_name() {
        assert_eq!(symbol("socket", 0, 999), None);
        assert_eq!(symbol("socket", 1, 0x80000 | 0x70), None);
        assert_eq!(symbol("read", 0, 1), None);
    }

    #[test]
    fn tables_name_real_calls_and_constants() {
        for table in TABLES {
            for call in table.calls {
                assert!(Arch::X86_64.number(call).is_some(), "{call}");
            }
            for name in table.names.iter().chain(table.flags) {
                assert!(Arch::X86_64.constant(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn the_width_is_the_arguments() {
        for table in TABLES {
            for call in table.calls {
                let number = Arch::X86_64.number(call);
                let arguments = number.and_then(|n| Arch::X86_64.arguments(n)).unwrap();
                let argument = arguments[usize::from(table.index)];
                assert_eq!(
                    u32::from(argument.width),
                    table.width,
                    "{call} {}",
                    table.index
                );
            }
        }
    }

    #[test]
    fn values_are_the_architectures() {
        // arch/arm/include/uapi/asm/fcntl.h: where i386 has O_DIRECTORY, arm has O_DIRECT.
        let flags = |arch: Arch| arch.symbol("mmap", 3, 0x62);
        assert_eq!(
            flags(Arch::X86_64).as_deref(),
            Some("MAP_PRIVATE|MAP_ANONYMOUS|MAP_32BIT")
        );
        assert_eq!(flags(Arch::Aarch64), None);
    }
}
