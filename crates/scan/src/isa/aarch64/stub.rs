//! Calls of other objects. Stubs of linkers are taken as one instruction each. A branch between them and the function that
//! they lead to may change x16 and x17 (AAPCS64 §6.1.1), so nobody looks at what they leave there.

use super::word::Word;
use super::{X16, X17, offset, read_sp, write};
use crate::isa::{Flow, Machine};

/// `br x17`.
const JUMP: u32 = 0xd61f_0220;
/// `br x16`.
const JUMP_16: u32 = 0xd61f_0200;
/// `autia1716`: x17, signed with x16, is checked.
const CHECK: u32 = 0xd503_219f;

/// How far after a load the call is looked for that goes where it says.
const LATEST: usize = 12;

/// `ldr x, [base, #]` for nothing but a call or a jump that follows, `blr x` or `br x`: how functions
/// of other objects are called without a stub. Whether `code` began with it.
pub(super) fn lift_target<M: Machine>(code: &[u8], m: &mut M) -> bool {
    let first = Word::first(code).filter(|w| w.0 & 0xffc0_0000 == 0xf940_0000);
    let Some(load) = first.filter(|w| is_for_call(w.rd(), &code[4..])) else {
        return false;
    };
    let base = read_sp(load.rn(), 64, m);
    let place = offset(base, i64::from(load.bits(21, 10)) * 8, m);
    let target = m.load_target(place);
    write(load.rd(), 64, target, m);
    true
}

/// Whether a register holds nothing but where the next branch goes.
fn is_for_call(register: u8, code: &[u8]) -> bool {
    let (words, _) = code.as_chunks();
    for &word in words.iter().take(LATEST) {
        let w = Word(u32::from_le_bytes(word));
        if w.0 & !(1 << 21 | 0x1f << 5) == 0xd61f_0000 {
            return w.rn() == register;
        }
        // Any other branch; any word that can name the register, by what it seems to name.
        let branches = w.bits(28, 26) == 0b101;
        if branches || [w.rd(), w.rn(), w.rm(), w.ra()].contains(&register) {
            return false;
        }
    }
    false
}

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
    fn a_load_that_only_a_call_uses_is_its_target() {
        let of = |words: &[u32]| of_words(&CONVENTION, words);
        let (load, call) = (0xf940_0801, 0xd63f_0020);
        // `mov x0, x19` between.
        assert_eq!(of(&[load, 0xaa13_03e0, call]), "x1 = target[(x0 + 0x10)]");
        assert_eq!(of(&[load, call]), "x1 = target[(x0 + 0x10)]");
        let read = "x1 = [(x0 + 0x10)]8";
        // Another register is called, this one is copied, another branch comes first.
        assert_eq!(of(&[load, 0xd63f_0040]), read);
        assert_eq!(of(&[load, 0xaa01_03e0, call]), read);
        assert_eq!(of(&[load, 0x1400_0001, call]), read);
        assert_eq!(of(&[load]), read);
    }

    #[test]
    fn a_branch_to_far_away_leads_there() {
        let words = [ADRP, ADD, super::JUMP_16];
        let taken = "x16 = ?0; x17 = ?1; jump 0x1010";
        assert_eq!(of_words(&CONVENTION, &words), taken);
    }
}
