//! What a rule asks of an argument.

/// A comparison of one argument with constants.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How much of it the kernel looks at.
    pub width: Width,
    /// The comparison.
    pub op: Op,
}

/// How much of an argument counts: the kernel passes 64 bits to the filter, but a call whose
/// parameter is an `int` ignores the upper half.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Width {
    /// The low 32 bits.
    W32,
    /// All of it.
    W64,
}

/// An unsigned comparison; constants wider than the argument never fit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Op {
    /// Is this.
    Equal(u64),
    /// Is not this.
    NotEqual(u64),
    /// Is below.
    Less(u64),
    /// Is this or below.
    LessEqual(u64),
    /// Is above.
    Greater(u64),
    /// Is this or above.
    GreaterEqual(u64),
    /// Is `value` in the bits of `mask`.
    Masked {
        /// The bits that count.
        mask: u64,
        /// What they are.
        value: u64,
    },
}

impl Condition {
    /// Whether a call with these arguments fulfils it.
    pub fn holds(&self, args: &[u64; 6]) -> bool {
        let Some(&arg) = args.get(usize::from(self.index)) else {
            return false;
        };
        let arg = match self.width {
            Width::W32 => arg & 0xffff_ffff,
            Width::W64 => arg,
        };
        match self.op {
            Op::Equal(v) => arg == v,
            Op::NotEqual(v) => arg != v,
            Op::Less(v) => arg < v,
            Op::LessEqual(v) => arg <= v,
            Op::Greater(v) => arg > v,
            Op::GreaterEqual(v) => arg >= v,
            Op::Masked { mask, value } => arg & mask == value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_decides_what_counts() {
        let args = [0x1_0000_0002, 0, 0, 0, 0, 0];
        let is_two = |width| Condition {
            index: 0,
            width,
            op: Op::Equal(2),
        };
        assert!(is_two(Width::W32).holds(&args));
        assert!(!is_two(Width::W64).holds(&args));
    }
}
