//! Stubs of linkers, taken as one instruction each. A branch between them and the function that
//! they lead to may change x16 and x17 (AAPCS64 §6.1.1), so nobody looks at what they leave there.

use super::word::Word;
use super::{X16, X17};
use crate::isa::{Flow, Machine};

/// `br x17`.
const JUMP: u32 = 0xd61f_0220;
/// `br x16`.
const JUMP_16: u32 = 0xd61f_0200;
/// `autia1716`: x17, signed with x16, is checked.
const CHECK: u32 = 0xd503_219f;

/// A stub that `code` begins with: its length and where it goes.
///
/// * `adrp x16; ldr x17, [x16, #]; [add x16, x16, #]; [autia1716]; br x17`: a call by the procedure
///   linkage table.
/// * `adrp x16; add x16, x16, #; br x16`: a branch to a place that is far away.
pub(super) fn lift<M: Machine>(code: &[u8], at: u64, m: &mut M) -> Option<(usize, Flow<M::V>)> {
    let first = Word::first(code).filter(|w| w.0 & 0x9f00_001f == 0x9000_0010)?;
    let word = |n: usize| code.get(n * 4..).and_then(Word::first);
    let second = word(1)?;
    let pages = first.signed(23, 5) << 2 | i64::from(first.bits(30, 29));
    let page = (at & !0xfff).wrapping_add_signed(pages << 12);
    let is_add = |w: Word| w.0 & 0xffc0_03ff == 0x9100_0210;
    let low = u64::from(second.bits(21, 10));
    let flow = if second.0 & 0xffc0_03ff == 0xf940_0211 {
        let mut length = 2;
        length += usize::from(word(length).is_some_and(is_add));
        length += usize::from(word(length) == Some(Word(CHECK)));
        if word(length) != Some(Word(JUMP)) {
            return None;
        }
        let place = m.constant(page.wrapping_add(low * 8));
        let target = m.load_target(place);
        (length + 1, Flow::JumpIndirect(target))
    } else if is_add(second) && word(2) == Some(Word(JUMP_16)) {
        (3, Flow::Jump(page.wrapping_add(low)))
    } else {
        return None;
    };
    for (index, reg) in (0..).zip([X16, X17]) {
        let unknown = m.opaque(index);
        m.put(reg, unknown);
    }
    Some((flow.0 * 4, flow.1))
}

#[cfg(test)]
mod tests {
    use crate::isa::aarch64::CONVENTION;
    use crate::isa::text::of_words;

    const ADRP: u32 = 0x9000_0010;
    const LOAD: u32 = 0xf940_0a11;
    const ADD: u32 = 0x9100_4210;

    #[test]
    fn calls_by_the_linkage_table_are_one_instruction() {
        let taken = "x16 = ?0; x17 = ?1; jump target[0x1010]";
        let of = |words: &[u32]| of_words(&CONVENTION, words);
        assert_eq!(of(&[ADRP, LOAD, ADD, super::JUMP]), taken);
        assert_eq!(of(&[ADRP, LOAD, ADD, super::CHECK, super::JUMP]), taken);
        assert_eq!(of(&[ADRP, LOAD, super::JUMP]), taken);
        // Anything else is an address of a page.
        assert_eq!(of(&[ADRP, LOAD, ADD]), "x16 = 0x1000");
        assert_eq!(of(&[ADRP]), "x16 = 0x1000");
    }

    #[test]
    fn a_branch_to_far_away_leads_there() {
        let words = [ADRP, ADD, super::JUMP_16];
        let taken = "x16 = ?0; x17 = ?1; jump 0x1010";
        assert_eq!(of_words(&CONVENTION, &words), taken);
    }
}
