//! The decoder against another, which Arm's machine-readable specification was made into
//! (`exarmo-aarch64`): where control goes, which flags and registers are written, which memory is
//! named, and for what is computed exactly, the numbers.

use exarmo_aarch64::{
    BranchKind, Instruction, Mem, Mnemonic, Modifier, ModifierKind, Offset, Operand, Reg as Theirs,
    Writeback, decode_word,
};

use super::{Lifter, R31, SP};
use crate::isa::numbers::{Numbers, of_flags};
use crate::isa::{Condition, Flow, Reg, RegSet};

/// Where words stand.
const AT: u64 = 0x12_3456_7008;

/// Numbers without pattern, the same each time (`xorshift64*`).
struct Source(u64);

impl Source {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

/// What a register operand holds, with what is done to it.
fn value(reg: Theirs, modifier: Option<Modifier>, from: &Numbers) -> Option<(u64, u8)> {
    let n = usize::from(general(reg)?);
    let zero = n == usize::from(R31) && !names_stack_pointer(reg);
    let bits = width(reg);
    let v = if zero { 0 } else { from.registers[n]? } & (u64::MAX >> (64 - bits));
    let Some(Modifier { kind, amount }) = modifier else {
        return Some((v, bits));
    };
    let by = amount.unwrap_or(0);
    let signed = |v: u64, bits: u32| ((v << (64 - bits)) as i64 >> (64 - bits)) as u64;
    let v = match kind {
        ModifierKind::Lsl => v << by,
        ModifierKind::Lsr => v >> by,
        ModifierKind::Asr => (signed(v, bits.into()) as i64 >> by) as u64,
        ModifierKind::Ror if bits == 64 => v.rotate_right(by),
        ModifierKind::Ror => u64::from((v as u32).rotate_right(by)),
        ModifierKind::Uxtb => (v & 0xff) << by,
        ModifierKind::Uxth => (v & 0xffff) << by,
        ModifierKind::Uxtw => (v & 0xffff_ffff) << by,
        ModifierKind::Uxtx | ModifierKind::Sxtx => v << by,
        ModifierKind::Sxtb => signed(v, 8) << by,
        ModifierKind::Sxth => signed(v, 16) << by,
        ModifierKind::Sxtw => signed(v, 32) << by,
        _ => return None,
    };
    Some((v, bits))
}

/// The number of a general register.
fn general(reg: Theirs) -> Option<u8> {
    match reg {
        Theirs::W(r) => Some(r.num()),
        Theirs::WSp(r) => Some(r.num()),
        Theirs::X(r) => Some(r.num()),
        Theirs::XSp(r) => Some(r.num()),
        Theirs::WX(r) => Some(r.num()),
        Theirs::WXSp(r) => Some(r.num()),
        Theirs::Gp(r) => Some(r.num()),
        _ => None,
    }
}

fn names_stack_pointer(reg: Theirs) -> bool {
    matches!(reg, Theirs::WSp(_) | Theirs::XSp(_) | Theirs::WXSp(_))
}

fn width(reg: Theirs) -> u8 {
    match reg {
        Theirs::W(_) | Theirs::WSp(_) => 32,
        Theirs::WX(r) if !r.is_64() => 32,
        Theirs::WXSp(r) if !r.is_64() => 32,
        _ => 64,
    }
}

/// The registers that the operands name.
fn named(operands: &[Operand]) -> RegSet {
    let mut all = RegSet::NONE;
    let mut add = |reg: Theirs| {
        if let Some(n) = general(reg) {
            all.insert(Reg(n));
        }
    };
    for operand in operands {
        match operand {
            Operand::Reg(r) => add(r.reg),
            Operand::Mem(m) => {
                add(m.base);
                if let Offset::Reg { reg, .. } = m.offset {
                    add(reg);
                }
            }
            _ => {}
        }
    }
    all
}

/// Compares one word; what differs.
fn difference(word: u32, source: &mut Source) -> Option<String> {
    let theirs = decode_word(word).ok().filter(|i| !i.unpredictable());
    let mut registers = [0; 32];
    registers.fill_with(|| match source.next() {
        n if n & 3 == 0 => n >> 58,
        n => n,
    });
    let nzcv = (source.next() >> 60) as u8;
    let before = Numbers::new(registers, nzcv);
    let mut after = before.clone();
    let (length, flow) = Lifter.lift(&word.to_le_bytes(), AT, &mut after);
    assert_eq!(length, if matches!(flow, Flow::Invalid) { 0 } else { 4 });
    let theirs = theirs?;
    let problem = control(&theirs, flow, &after)
        .or_else(|| flags(&theirs, &before, &after, nzcv))
        .or_else(|| places(&theirs, &before, &after))
        .or_else(|| results(word, &theirs, &before, &after, nzcv))?;
    Some(format!("{word:#010x} {}: {problem}", theirs.at(AT)))
}

fn control(theirs: &Instruction, flow: Flow<Option<u64>>, after: &Numbers) -> Option<String> {
    let branch = theirs.at(AT).branch();
    let agree = match branch.kind {
        BranchKind::None => match flow {
            Flow::Next => true,
            Flow::Stop => theirs.mnemonic().name().starts_with("dcps"),
            Flow::Invalid => is_told(theirs.mnemonic().name()),
            _ => false,
        },
        BranchKind::Direct if branch.conditional => {
            matches!(flow, Flow::Branch(_, to) if Some(to) == branch.target)
        }
        BranchKind::Direct => matches!(flow, Flow::Jump(to) if Some(to) == branch.target),
        BranchKind::Indirect => matches!(flow, Flow::JumpIndirect(Some(_))),
        BranchKind::DirectCall => matches!(flow, Flow::Call(to) if Some(to) == branch.target),
        BranchKind::IndirectCall => matches!(flow, Flow::CallIndirect(Some(_))),
        BranchKind::Return => match flow {
            Flow::Return => true,
            // By a register that is not the one which calls fill.
            Flow::JumpIndirect(to) => to.is_some() && theirs.mnemonic() == Mnemonic::Ret,
            _ => false,
        },
        BranchKind::SystemCall if theirs.mnemonic() == Mnemonic::Svc => {
            matches!(flow, Flow::Syscall)
        }
        // `brk`: a handler may go on, but for those that compilers end with.
        BranchKind::Exception if theirs.mnemonic() == Mnemonic::Brk => {
            matches!(flow, Flow::Next | Flow::Stop)
        }
        BranchKind::SystemCall
        | BranchKind::Exception
        | BranchKind::ExceptionReturn
        | BranchKind::Halt => matches!(flow, Flow::Stop | Flow::Invalid),
    };
    let computed = match flow {
        Flow::JumpIndirect(to) | Flow::CallIndirect(to) => {
            let operands = theirs.operands();
            let Some(Operand::Reg(r)) = operands.first() else {
                return Some("a computed branch without a register".into());
            };
            value(r.reg, None, after).map(|v| v.0) == to
        }
        _ => true,
    };
    (!agree || !computed).then(|| format!("{branch:?} is {flow:?}"))
}

/// What came after this decoder, and what it says it does not know: faults by a condition, hints in
/// other places, changes of the translation.
fn is_told(name: &str) -> bool {
    ["flt", "cflt", "tflt", "hinte", "tchange", "tenter", "texit"]
        .iter()
        .any(|new| name.starts_with(new))
}

const CONDITIONS: [Condition; 12] = [
    Condition::Eq,
    Condition::Ne,
    Condition::AboveEq,
    Condition::Below,
    Condition::Negative,
    Condition::NotNegative,
    Condition::Above,
    Condition::BelowEq,
    Condition::GreaterEq,
    Condition::Less,
    Condition::Greater,
    Condition::LessEq,
];

fn flags(theirs: &Instruction, before: &Numbers, after: &Numbers, nzcv: u8) -> Option<String> {
    if !theirs.flags().writes.is_empty() && !after.flags_written {
        return Some("flags are written".into());
    }
    let left = expected_flags(theirs, before, nzcv)?;
    CONDITIONS.into_iter().find_map(|condition| {
        let known = after.holds(condition)?;
        (Some(known) != of_flags(condition, left))
            .then(|| format!("{condition:?} is {known} where flags are {left:04b}"))
    })
}

/// The flags that an arithmetic instruction leaves, by the manual's `AddWithCarry`.
fn expected_flags(theirs: &Instruction, before: &Numbers, nzcv: u8) -> Option<u8> {
    use Mnemonic as N;
    let operands = theirs.operands();
    let all: Vec<Option<(u64, u8)>> = operands.iter().map(|o| number(o, before)).collect();
    let (a, b) = match (theirs.mnemonic(), &all[..]) {
        (N::Adds | N::Subs | N::Ands | N::Bics, [_, a, b, ..]) => ((*a)?, (*b)?.0),
        (N::Cmp | N::Cmn | N::Tst | N::Ccmp | N::Ccmn, [a, b, ..]) => ((*a)?, (*b)?.0),
        (N::Negs, [_, b]) => ((0, (*b)?.1), (*b)?.0),
        _ => return None,
    };
    let (a, bits) = a;
    let mask = u64::MAX >> (64 - bits);
    let sum = |b: u64, carry: u64| {
        let b = b & mask;
        let wide = u128::from(a) + u128::from(b) + u128::from(carry);
        let r = wide as u64 & mask;
        let carry = wide >> bits != 0;
        let overflow = (a ^ r) & (b ^ r) & (1 << (bits - 1)) != 0;
        (r, carry, overflow)
    };
    let (r, carry, overflow) = match theirs.mnemonic() {
        N::Adds | N::Cmn | N::Ccmn => sum(b, 0),
        N::Ands | N::Tst => (a & b & mask, false, false),
        N::Bics => (a & !b & mask, false, false),
        _ => sum(!b, 1),
    };
    let left = u8::from(r >> (bits - 1) != 0) << 3
        | u8::from(r == 0) << 2
        | u8::from(carry) << 1
        | u8::from(overflow);
    if let (N::Ccmp | N::Ccmn, [.., Operand::Imm { value, .. }, Operand::Cond(when)]) =
        (theirs.mnemonic(), operands.as_slice())
    {
        return match super::condition(*when as u32) {
            Some(when) => match of_flags(when, nzcv) {
                Some(true) => Some(left),
                Some(false) => u8::try_from(*value).ok(),
                // Of overflow, which is not followed.
                None => None,
            },
            None => Some(left),
        };
    }
    Some(left)
}

/// What an operand is as a number.
fn number(operand: &Operand, from: &Numbers) -> Option<(u64, u8)> {
    match operand {
        Operand::Reg(r) => value(r.reg, r.modifier, from),
        Operand::Imm { value, modifier } => {
            let v = *value as u64;
            match modifier {
                None => Some((v, 64)),
                Some(m) if m.kind == ModifierKind::Lsl => Some((v << m.amount?, 64)),
                Some(_) => None,
            }
        }
        _ => None,
    }
}

/// The first place in memory that is named, and the base that moves.
fn places(theirs: &Instruction, before: &Numbers, after: &Numbers) -> Option<String> {
    let operands = theirs.operands();
    let memory = operands.iter().find_map(|o| match o {
        Operand::Mem(m) => Some(*m),
        _ => None,
    });
    let Mem {
        base,
        offset,
        writeback,
        ..
    } = memory?;
    let start = value(base, None, before)?.0;
    let by = match offset {
        Offset::None => 0,
        Offset::Imm { mul_vl: true, .. } | Offset::Vector { .. } => return None,
        Offset::Imm { value, .. } => value as u64,
        Offset::Reg { reg, modifier } => value(reg, modifier, before)?.0,
    };
    let moved = start.wrapping_add(by);
    let name = theirs.mnemonic().name();
    // Hints, tags, and copies in steps name no memory that is read or written at one place.
    let touched = ![
        "prf", "rprf", "stg", "st2g", "ldg", "cpy", "set", "stz", "pld",
    ]
    .iter()
    .any(|hint| name.starts_with(hint));
    let place = if writeback == Writeback::Post {
        start
    } else {
        moved
    };
    if touched
        && !after
            .accesses
            .iter()
            .any(|a| a.0 == Some(place) || a.0.is_none())
    {
        return Some(format!(
            "it names {place:#x}, and not {:x?}",
            after.accesses
        ));
    }
    if writeback != Writeback::None
        && let Some(n) = general(base)
        && (n != R31 || names_stack_pointer(base))
        && let Some(left) = after.registers[usize::from(n)]
        && left != moved
    {
        return Some(format!("its base becomes {moved:#x}, and not {left:#x}"));
    }
    None
}

/// What is written to general registers.
fn results(
    word: u32,
    theirs: &Instruction,
    before: &Numbers,
    after: &Numbers,
    nzcv: u8,
) -> Option<String> {
    let operands = theirs.operands();
    let name = theirs.mnemonic().name();
    let everything = RegSet::of(&[SP]).complement();
    let all = after.written.contains_all(everything);
    // SVE, SME, and single ones that are not worth more.
    let vectors = word >> 25 & 0xf == 2 || word >> 25 & 0xf == 0;
    if all && !vectors && !named(&operands).contains_all(everything) && !is_given_up(name) {
        return Some("it makes everything unknown".into());
    }
    if all {
        return None;
    }
    // Where a general register may be meant, one is taken to be.
    let converts = ["fcvt", "scvtf", "ucvtf", "fmov"];
    let meant = match converts.iter().any(|of| name.starts_with(of)) {
        true => RegSet::of(&[Reg(word as u8 & 0x1f)]),
        false => RegSet::NONE,
    };
    let extra = after.written.and(named(&operands).or(meant).complement());
    let whole: &[Reg] = match name {
        "chkfeat" | "hint" => &[Reg(16)],
        // Hints in the place of transactions, which begin with a result: an unknown one is more than happens.
        "hinte" => return None,
        // One register is named for eight, or for two.
        _ if name.contains("64b") => return None,
        _ if name.starts_with("casp")
            || name.starts_with("mrrs")
            || name == "sysp"
            || name == "msrr" =>
        {
            return None;
        }
        _ => &[],
    };
    if !RegSet::of(whole).contains_all(extra) {
        return Some(format!("it writes no {extra:?}"));
    }
    let Some(Operand::Reg(first)) = operands.first() else {
        return None;
    };
    let to = general(first.reg)?;
    if to == R31 && !names_stack_pointer(first.reg) {
        return None;
    }
    let found = after.registers[usize::from(to)];
    if let Some(wanted) = expected(theirs, before, nzcv) {
        let wanted = wanted & (u64::MAX >> (64 - width(first.reg)));
        return match found {
            Some(found) if found == wanted => None,
            _ => Some(format!("it makes {wanted:#x}, and not {found:x?}")),
        };
    }
    let loads = (name.starts_with("ld") && !name.starts_with("ldst"))
        || name.starts_with("swp")
        || name.starts_with("cas");
    if loads && !is_atomic(name) && !after.written.contains(Reg(to)) && !name.starts_with("ldg") {
        return Some(format!("it writes x{to}"));
    }
    None
}

/// `ldadd` and its like, of which the second register is written.
fn is_atomic(name: &str) -> bool {
    [
        "ldadd", "ldclr", "ldeor", "ldset", "ldsmax", "ldsmin", "ldumax", "ldumin", "swp",
        "ldtadd", "ldtclr", "ldtset",
    ]
    .iter()
    .any(|a| name.starts_with(a))
}

/// What is left to be any change of anything.
fn is_given_up(name: &str) -> bool {
    const LEFT: &[&str] = &[
        "rcw", "cas", "stl", "stt", "ldt", "lda", "ldg", "stg", "stz", "ldiapp", "stilp", "gcs",
        "swpt", "setgo",
    ];
    LEFT.iter().any(|left| name.starts_with(left))
}

/// What an instruction that is computed exactly leaves in its first register.
fn expected(theirs: &Instruction, before: &Numbers, nzcv: u8) -> Option<u64> {
    use Mnemonic as N;
    let operands = theirs.operands();
    let Some(Operand::Reg(first)) = operands.first() else {
        return None;
    };
    let bits = width(first.reg);
    let own = value(first.reg, None, before)?.0;
    let of = |n: usize| number(operands.get(n)?, before).map(|v| v.0);
    let signed = |v: u64, bits: u32| ((v << (64 - bits)) as i64 >> (64 - bits)) as u64;
    let ones = |n: u64| u64::MAX >> (64 - n);
    let holds = |n: usize| match operands.get(n) {
        Some(Operand::Cond(when)) => match super::condition(*when as u32) {
            Some(when) => of_flags(when, nzcv),
            None => Some(true),
        },
        _ => None,
    };
    Some(match theirs.mnemonic() {
        N::Add | N::Adds => of(1)?.wrapping_add(of(2)?),
        N::Sub | N::Subs => of(1)?.wrapping_sub(of(2)?),
        N::Neg | N::Negs => of(1)?.wrapping_neg(),
        N::And | N::Ands => of(1)? & of(2)?,
        N::Orr => of(1)? | of(2)?,
        N::Eor => of(1)? ^ of(2)?,
        N::Bic | N::Bics => of(1)? & !of(2)?,
        N::Orn => of(1)? | !of(2)?,
        N::Eon => of(1)? ^ !of(2)?,
        N::Mvn => !of(1)?,
        N::Mov | N::Movz => of(1)?,
        N::Movn => !of(1)?,
        N::Movk => {
            let Operand::Imm { value, modifier } = operands.get(1)? else {
                return None;
            };
            let by = modifier.and_then(|m| m.amount).unwrap_or(0);
            own & !(0xffff << by) | (*value as u64) << by
        }
        N::Lsl => of(1)? << (of(2)? & u64::from(bits - 1)),
        N::Lsr => of(1)? >> (of(2)? & u64::from(bits - 1)),
        N::Asr => (signed(of(1)?, bits.into()) as i64 >> (of(2)? & u64::from(bits - 1))) as u64,
        N::Mul => of(1)?.wrapping_mul(of(2)?),
        N::Mneg => of(1)?.wrapping_mul(of(2)?).wrapping_neg(),
        N::Madd => of(3)?.wrapping_add(of(1)?.wrapping_mul(of(2)?)),
        N::Msub => of(3)?.wrapping_sub(of(1)?.wrapping_mul(of(2)?)),
        N::Umull => of(1)?.wrapping_mul(of(2)?),
        N::Smull => signed(of(1)?, 32).wrapping_mul(signed(of(2)?, 32)),
        N::Umaddl => of(3)?.wrapping_add(of(1)?.wrapping_mul(of(2)?)),
        N::Smaddl => of(3)?.wrapping_add(signed(of(1)?, 32).wrapping_mul(signed(of(2)?, 32))),
        N::Umsubl => of(3)?.wrapping_sub(of(1)?.wrapping_mul(of(2)?)),
        N::Smsubl => of(3)?.wrapping_sub(signed(of(1)?, 32).wrapping_mul(signed(of(2)?, 32))),
        N::Csel => {
            if holds(3)? {
                of(1)?
            } else {
                of(2)?
            }
        }
        N::Csinc => {
            if holds(3)? {
                of(1)?
            } else {
                of(2)?.wrapping_add(1)
            }
        }
        N::Csinv => {
            if holds(3)? {
                of(1)?
            } else {
                !of(2)?
            }
        }
        N::Csneg => {
            if holds(3)? {
                of(1)?
            } else {
                of(2)?.wrapping_neg()
            }
        }
        N::Cset => holds(1)?.into(),
        N::Csetm => u64::from(holds(1)?).wrapping_neg(),
        N::Cinc => of(1)?.wrapping_add(holds(2)?.into()),
        N::Cinv => {
            if holds(2)? {
                !of(1)?
            } else {
                of(1)?
            }
        }
        N::Cneg => {
            if holds(2)? {
                of(1)?.wrapping_neg()
            } else {
                of(1)?
            }
        }
        N::Uxtb => of(1)? & 0xff,
        N::Uxth => of(1)? & 0xffff,
        N::Sxtb => signed(of(1)?, 8),
        N::Sxth => signed(of(1)?, 16),
        N::Sxtw => signed(of(1)?, 32),
        N::Ubfx => of(1)? >> of(2)? & ones(of(3)?),
        N::Sbfx => signed(of(1)? >> of(2)?, u32::try_from(of(3)?).ok()?),
        N::Ubfiz => (of(1)? & ones(of(3)?)) << of(2)?,
        N::Sbfiz => signed(of(1)?, u32::try_from(of(3)?).ok()?) << of(2)?,
        N::Bfi => own & !(ones(of(3)?) << of(2)?) | (of(1)? & ones(of(3)?)) << of(2)?,
        N::Bfc => own & !(ones(of(2)?) << of(1)?),
        N::Bfxil => own & !ones(of(3)?) | of(1)? >> of(2)? & ones(of(3)?),
        N::Extr => {
            let by = of(3)?;
            let wide = u128::from(of(1)?) << bits | u128::from(of(2)?);
            (wide >> by) as u64
        }
        N::Adr | N::Adrp => {
            let Operand::Label { offset, pc } = *operands.get(1)? else {
                return None;
            };
            pc.at(AT).wrapping_add_signed(offset)
        }
        _ => return None,
    })
}

fn all_agree(words: impl Iterator<Item = u32>) {
    let mut source = Source(0x9e37_79b9_7f4a_7c15);
    let mut wrong: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for word in words {
        if let Some(problem) = difference(word, &mut source) {
            // A few of each kind tell.
            let kind = problem
                .split_whitespace()
                .nth(1)
                .unwrap_or_default()
                .to_owned();
            let count = seen.entry(kind).or_insert(0);
            *count += 1;
            if *count <= 2 {
                wrong.push(problem);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// All encodings differ in their upper bits: each of those, with others filled in at random.
#[test]
fn agrees_with_the_specification_on_every_class() {
    let mut source = Source(1);
    let words = (0..0x1000u32).flat_map(|high| {
        let mut some = [0u32; 64];
        some.fill_with(|| high << 20 | source.word() >> 12);
        some
    });
    all_agree(words.collect::<Vec<_>>().into_iter());
}

/// What every word once found: a field that is the whole register, flags of a conversion, and hints in other places.
#[test]
fn agrees_with_the_specification_on_what_was_wrong() {
    all_agree([0xb340_fc01, 0x1e7e_0000, 0xd520_2000, 0xd520_2003].into_iter());
}

/// Every word, by as many threads as there are processors.
#[test]
#[ignore = "takes most of an hour: `cargo xtask test --full`"]
fn agrees_with_the_specification_on_every_word() {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for n in 0..threads {
            let words = (0..=u32::MAX).skip(n).step_by(threads);
            scope.spawn(move || all_agree(words));
        }
    });
}

proptest::proptest! {
    /// Nothing that code can hold makes the lifter fail, nor read beyond it.
    #[test]
    fn any_bytes_are_lifted(code in proptest::collection::vec(proptest::num::u8::ANY, 0..24), at: u64) {
        let mut machine = Numbers::new([at; 32], 0);
        let (length, flow) = Lifter.lift(&code, at, &mut machine);
        assert!(length <= code.len());
        assert_eq!(length == 0, matches!(flow, Flow::Invalid));
    }
}
