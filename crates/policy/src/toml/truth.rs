//! What can be said about conditions without a call: those that always or never hold, and those
//! that exclude each other.

use crate::ranges::intersection;
use crate::{Condition, Op, Width};

/// A condition, with what of it can make no difference taken away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Truth {
    /// Every call fulfils it.
    Always,
    /// No call does.
    Never,
    /// Some do, some do not.
    Sometimes(Condition),
}

/// When a condition holds. Its constants then fit its width, and its sets are not empty.
pub(super) fn truth(condition: &Condition) -> Truth {
    let most = condition.width.most();
    // `Condition::holds`: there are six arguments.
    if condition.index > 5 {
        return Truth::Never;
    }
    match condition.ranges().as_deref() {
        Some([]) => return Truth::Never,
        Some([(0, high)]) if *high == most => return Truth::Always,
        _ => {}
    }
    let with = |op| {
        Truth::Sometimes(Condition {
            op,
            ..condition.clone()
        })
    };
    let cut = |all: &[(u64, u64)]| {
        let cut = all.iter().map(|&(low, high)| (low, high.min(most)));
        cut.filter(|(low, high)| low <= high).collect()
    };
    match &condition.op {
        Op::Masked { mask, value } => match masked(mask & most, *value) {
            Some(true) => Truth::Always,
            Some(false) => Truth::Never,
            None => with(Op::Masked {
                mask: mask & most,
                value: *value,
            }),
        },
        Op::NotMasked { mask, value } => match masked(mask & most, *value) {
            Some(true) => Truth::Never,
            Some(false) => Truth::Always,
            None => with(Op::NotMasked {
                mask: mask & most,
                value: *value,
            }),
        },
        Op::In(all) => with(Op::In(cut(all))),
        Op::NotIn(all) => with(Op::NotIn(cut(all))),
        other => with(other.clone()),
    }
}

/// Whether `arg & mask == value` is certain one way.
fn masked(mask: u64, value: u64) -> Option<bool> {
    match value & !mask {
        0 if mask == 0 => Some(true),
        0 => None,
        _ => Some(false),
    }
}

/// Whether no call fulfils both of two conditions that [`truth`] has seen. Errs to `false`: it
/// looks at constants, ranges and masks, not at how ranges and masks meet.
pub(super) fn exclude(a: &Condition, b: &Condition) -> bool {
    if a.index != b.index {
        return false;
    }
    let fixed = |this: &Condition, other: &Condition| match this.op {
        // A 64-bit constant decides what the low half is; a 32-bit one says nothing of the upper.
        Op::Equal(v) if this.width == Width::W64 || other.width == Width::W32 => {
            let mut args = [0; 6];
            args[usize::from(this.index)] = v;
            !other.holds(&args)
        }
        _ => false,
    };
    if fixed(a, b) || fixed(b, a) {
        return true;
    }
    if a.width != b.width {
        return false;
    }
    match (&a.op, &b.op) {
        (Op::Masked { mask: m, value: v }, Op::Masked { mask: n, value: w }) => {
            (v ^ w) & m & n != 0
        }
        (Op::Masked { mask: m, value: v }, Op::NotMasked { mask: n, value: w })
        | (Op::NotMasked { mask: n, value: w }, Op::Masked { mask: m, value: v }) => {
            m & n == *n && v & n == *w
        }
        _ => match (a.ranges(), b.ranges()) {
            (Some(a), Some(b)) => intersection(&a, &b).is_empty(),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small constants, so that conditions meet, and a few at the edges.
    fn constant() -> impl Strategy<Value = u64> {
        let edges = [0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        prop_oneof![0u64..8, prop::sample::select(edges.to_vec())]
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let ranges = || prop::collection::vec((constant(), constant()), 0..4);
        let op = prop_oneof![
            constant().prop_map(Op::Equal),
            constant().prop_map(Op::NotEqual),
            constant().prop_map(Op::Less),
            constant().prop_map(Op::LessEqual),
            constant().prop_map(Op::Greater),
            constant().prop_map(Op::GreaterEqual),
            (constant(), constant()).prop_map(|(mask, value)| Op::Masked { mask, value }),
            (constant(), constant()).prop_map(|(mask, value)| Op::NotMasked { mask, value }),
            ranges().prop_map(Op::In),
            ranges().prop_map(Op::NotIn),
        ];
        let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
        (0u8..2, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
    }

    fn arguments() -> impl Strategy<Value = [u64; 6]> {
        let argument = (constant(), any::<bool>());
        let argument = argument.prop_map(|(v, high)| v | u64::from(high) << 32);
        prop::array::uniform6(argument)
    }

    proptest! {
        #[test]
        fn truth_is_what_holds(condition in condition(), args in arguments()) {
            let holds = condition.holds(&args);
            match truth(&condition) {
                Truth::Always => prop_assert!(holds),
                Truth::Never => prop_assert!(!holds),
                Truth::Sometimes(same) => prop_assert_eq!(same.holds(&args), holds),
            }
        }

        #[test]
        fn what_is_excluded_never_holds(a in condition(), b in condition(), args in arguments()) {
            if let (Truth::Sometimes(a), Truth::Sometimes(b)) = (truth(&a), truth(&b)) {
                prop_assert!(!(exclude(&a, &b) && a.holds(&args) && b.holds(&args)));
            }
        }
    }

    #[test]
    fn what_excludes_itself_is_found() {
        let of = |op| Condition {
            index: 0,
            width: Width::W32,
            op,
        };
        for (a, b) in [
            (Op::Equal(1), Op::Equal(2)),
            (Op::Less(3), Op::Greater(2)),
            (Op::In(vec![(1, 2), (5, 9)]), Op::NotIn(vec![(0, 20)])),
            (
                Op::Masked { mask: 3, value: 1 },
                Op::Masked { mask: 1, value: 0 },
            ),
            (
                Op::Masked { mask: 3, value: 1 },
                Op::NotMasked { mask: 1, value: 1 },
            ),
            (Op::Equal(4), Op::Masked { mask: 4, value: 0 }),
        ] {
            assert!(exclude(&of(a.clone()), &of(b.clone())), "{a:?} {b:?}");
            assert!(exclude(&of(b.clone()), &of(a.clone())), "{b:?} {a:?}");
        }
    }
}
