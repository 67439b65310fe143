//! What the operands of an instruction are, and what it takes from its name.

use iced_x86::{Instruction, MemorySize, Mnemonic, OpAccess, OpKind, Register};

use crate::isa::{Binary, Condition, Machine, Reg};

pub(super) fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

pub(super) fn reads(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

pub(super) fn memory_bytes(size: MemorySize) -> Option<u64> {
    match size.size() {
        0 => None,
        n => Some(n as u64),
    }
}

pub(super) fn is_near(i: &Instruction) -> bool {
    matches!(
        i.op0_kind(),
        OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
    )
}

/// Whether the register is a part of a memory operand's address and nothing else: what is read or
/// written there is told by the operand.
pub(super) fn addresses(i: &Instruction, reg: Reg) -> bool {
    let is = |r: Register| general_register(r).is_some_and(|(full, _)| full == reg);
    let plain = (0..i.op_count())
        .filter(|&n| i.op_kind(n) == OpKind::Register)
        .any(|n| is(i.op_register(n)));
    !plain && (is(i.memory_base()) || is(i.memory_index()))
}

pub(super) fn far(i: &Instruction) -> bool {
    i.is_jmp_far_indirect() || i.is_call_far_indirect()
}

/// `fs:` and `gs:` accesses: thread-local storage, which is neither frame nor image.
pub(super) fn thread_local(i: &Instruction) -> bool {
    matches!(i.memory_segment(), Register::FS | Register::GS)
}

/// `mov` between general registers, memory and immediates (not segment or control registers).
pub(super) fn general(i: &Instruction) -> bool {
    (0..2).all(|n| i.op_kind(n) != OpKind::Register || i.op_register(n).is_gpr())
}

pub(super) fn same_register(i: &Instruction) -> bool {
    i.op0_kind() == OpKind::Register
        && i.op1_kind() == OpKind::Register
        && i.op0_register() == i.op1_register()
}

pub(super) fn width(i: &Instruction, operand: u32) -> u8 {
    let bytes = match i.op_kind(operand) {
        OpKind::Register => i.op_register(operand).size(),
        OpKind::Memory => i.memory_size().size(),
        _ => 8,
    };
    (bytes.min(8) * 8) as u8
}

pub(super) fn stack_step(i: &Instruction) -> u8 {
    if i.stack_pointer_increment().unsigned_abs() == 2 {
        2
    } else {
        8
    }
}

pub(super) fn adjust<M: Machine>(m: &mut M, reg: Reg, op: Binary, by: u64) -> M::V {
    let v = m.get(reg);
    let by = m.constant(by);
    let v = m.binary(op, v, by);
    m.put(reg, v);
    v
}

pub(super) fn merge<M: Machine>(m: &mut M, reg: Reg, value: M::V, mask: u64, shift: u64) -> M::V {
    let old = m.get(reg);
    let keep = m.constant(!mask);
    let old = m.binary(Binary::And, old, keep);
    let bits = if mask == 0xffff { 16 } else { 8 };
    let mut new = m.zero_extend(value, bits);
    if shift != 0 {
        let by = m.constant(shift);
        new = m.binary(Binary::Shl, new, by);
    }
    m.binary(Binary::Or, old, new)
}

/// A general register's number, and 8 for the second byte registers (ah, ch, dh, bh).
pub(super) fn general_register(reg: Register) -> Option<(Reg, u8)> {
    if !reg.is_gpr() {
        return None;
    }
    let shift = match reg {
        Register::AH | Register::CH | Register::DH | Register::BH => 8,
        _ => 0,
    };
    let full = reg.full_register();
    Some((Reg((full as u32 - Register::RAX as u32) as u8), shift))
}

/// The address that a memory operand names; what `lea` computes.
pub(super) fn address<M: Machine>(i: &Instruction, m: &mut M) -> M::V {
    if i.is_ip_rel_memory_operand() {
        return m.constant(i.ip_rel_memory_address());
    }
    let mut sum = m.constant(i.memory_displacement64());
    let narrow = i.memory_base().size() == 4 || i.memory_index().size() == 4;
    if let Some((base, _)) = general_register(i.memory_base()) {
        let v = m.get(base);
        sum = m.binary(Binary::Add, v, sum);
    }
    if let Some((index, _)) = general_register(i.memory_index()) {
        let v = m.get(index);
        let v = match i.memory_index_scale() {
            1 => v,
            scale => {
                let by = m.constant(u64::from(scale.trailing_zeros()));
                m.binary(Binary::Shl, v, by)
            }
        };
        sum = m.binary(Binary::Add, sum, v);
    } else if i.memory_index() != Register::None {
        // A gather: a vector of indices.
        sum = m.opaque(31);
    }
    if narrow { m.zero_extend(sum, 32) } else { sum }
}

pub(super) fn is_set(i: &Instruction) -> bool {
    use Mnemonic as N;
    matches!(
        i.mnemonic(),
        N::Seta
            | N::Setae
            | N::Setb
            | N::Setbe
            | N::Sete
            | N::Setg
            | N::Setge
            | N::Setl
            | N::Setle
            | N::Setne
            | N::Setno
            | N::Setnp
            | N::Setns
            | N::Seto
            | N::Setp
            | N::Sets
    )
}

pub(super) fn is_move_if(i: &Instruction) -> bool {
    use Mnemonic as N;
    matches!(
        i.mnemonic(),
        N::Cmova
            | N::Cmovae
            | N::Cmovb
            | N::Cmovbe
            | N::Cmove
            | N::Cmovg
            | N::Cmovge
            | N::Cmovl
            | N::Cmovle
            | N::Cmovne
            | N::Cmovno
            | N::Cmovnp
            | N::Cmovns
            | N::Cmovo
            | N::Cmovp
            | N::Cmovs
    )
}

pub(super) fn condition(i: &Instruction) -> Condition {
    use iced_x86::ConditionCode as C;
    match i.condition_code() {
        C::e => Condition::Eq,
        C::ne => Condition::Ne,
        C::b => Condition::Below,
        C::ae => Condition::AboveEq,
        C::be => Condition::BelowEq,
        C::a => Condition::Above,
        C::l => Condition::Less,
        C::ge => Condition::GreaterEq,
        C::le => Condition::LessEq,
        C::g => Condition::Greater,
        C::s => Condition::Negative,
        C::ns => Condition::NotNegative,
        _ => Condition::Unknown,
    }
}
