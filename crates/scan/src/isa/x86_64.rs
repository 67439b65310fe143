//! x86_64: decoding by `iced-x86`, meaning by hand for what moves numbers and addresses about.
//!
//! What is not modelled makes unknown every register that the decoder says it writes. Two
//! facts the decoder does not give: `syscall` writes rax, and a write of a 32-bit register
//! clears the upper half while narrower writes keep it.

mod operand;
mod vector;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    InstructionInfoOptions, Mnemonic, OpKind, Register,
};

use portcullis_abi::Arch;

use super::{Binary, Compare, Condition, Convention, Flow, Machine, Reg, RegSet};
use operand::{
    address, addresses, adjust, condition, far, general, general_register, is_move_if, is_near,
    is_set, memory_bytes, merge, reads, same_register, stack_step, thread_local, width, writes,
};

/// rax, and the others by their encoding.
pub const RAX: Reg = Reg(0);
/// Fourth argument of a function.
pub const RCX: Reg = Reg(1);
/// Third argument.
pub const RDX: Reg = Reg(2);
/// Kept by callees.
pub const RBX: Reg = Reg(3);
/// The stack pointer.
pub const RSP: Reg = Reg(4);
/// The frame pointer, kept by callees.
pub const RBP: Reg = Reg(5);
/// Second argument.
pub const RSI: Reg = Reg(6);
/// First argument.
pub const RDI: Reg = Reg(7);
/// Fifth argument.
pub const R8: Reg = Reg(8);
/// Sixth argument.
pub const R9: Reg = Reg(9);
/// Fourth argument of a system call, static chain.
pub const R10: Reg = Reg(10);
/// Scratch.
pub const R11: Reg = Reg(11);

/// What registers are for: System V ABI §3.2.1, §3.2.3, A.2.1.
pub static CONVENTION: Convention = Convention {
    arch: Arch::X86_64,
    registers: 16,
    stack_pointer: RSP,
    link: None,
    frame_record: None,
    arguments: &[RDI, RSI, RDX, RCX, R8, R9],
    passing: RegSet::of(&[RDI, RSI, RDX, RCX, R8, R9, R10]),
    results: [RAX, RDX],
    caller_saved: RegSet::of(&[RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11]),
    callee_saved: RegSet::of(&[RBX, RBP, Reg(12), Reg(13), Reg(14), Reg(15)]),
    go_passing: RegSet::of(&[RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11, RDX]),
    go_closure: RDX,
    go_written: RDI,
    go_zero: Some(15),
    names_pages: false,
    number: RAX,
    kernel_arguments: [RDI, RSI, RDX, R10, R8, R9],
    kernel_writes: &[RAX, RCX, R11],
};

/// Decodes and lifts instructions of one function after another.
pub struct Lifter {
    info: InstructionInfoFactory,
    insn: Instruction,
}

impl Default for Lifter {
    fn default() -> Self {
        Lifter {
            info: InstructionInfoFactory::new(),
            insn: Instruction::default(),
        }
    }
}

impl Lifter {
    /// Lifts the instruction that `code` begins with and that stands at `at`: its length and
    /// where control goes next. Length 0 only with [`Flow::Invalid`].
    pub fn lift<M: Machine>(&mut self, code: &[u8], at: u64, m: &mut M) -> (usize, Flow<M::V>) {
        let window = &code[..code.len().min(15)];
        let mut decoder = Decoder::with_ip(64, window, at, DecoderOptions::NONE);
        decoder.decode_out(&mut self.insn);
        if self.insn.is_invalid() {
            return (0, Flow::Invalid);
        }
        let length = self.insn.len();
        let insn = self.insn;
        let flow = self.step(&insn, m);
        (length, flow)
    }

    fn step<M: Machine>(&mut self, i: &Instruction, m: &mut M) -> Flow<M::V> {
        match i.code() {
            Code::Syscall => return Flow::Syscall,
            Code::Sysenter => return Flow::ForeignSyscall("sysenter"),
            Code::Int_imm8 if i.immediate8() == 0x80 => return Flow::ForeignSyscall("int 0x80"),
            // Privileged: a program gets SIGSEGV there, each time it tries.
            Code::Hlt => return Flow::Stop,
            _ => {}
        }
        match i.flow_control() {
            FlowControl::Next => {}
            FlowControl::UnconditionalBranch => {
                return if is_near(i) {
                    Flow::Jump(i.near_branch_target())
                } else {
                    Flow::Stop
                };
            }
            FlowControl::ConditionalBranch => {
                let taken = match i.mnemonic() {
                    Mnemonic::Jrcxz => {
                        let rcx = m.get(RCX);
                        let zero = m.constant(0);
                        m.compare(Compare::Difference, 64, rcx, zero);
                        let c = m.condition(Condition::Eq);
                        m.forget_flags();
                        c
                    }
                    Mnemonic::Jecxz => m.opaque(0),
                    Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne => {
                        let rcx = m.get(RCX);
                        let one = m.constant(1);
                        let next = m.binary(Binary::Sub, rcx, one);
                        m.put(RCX, next);
                        m.opaque(0)
                    }
                    _ => m.condition(condition(i)),
                };
                return Flow::Branch(taken, i.near_branch_target());
            }
            FlowControl::IndirectBranch => {
                if far(i) {
                    return Flow::Stop;
                }
                let target = self.target(i, m);
                return Flow::JumpIndirect(target);
            }
            FlowControl::Call => {
                return if is_near(i) {
                    Flow::Call(i.near_branch_target())
                } else {
                    // vmcall and friends: no use in a program, and they fault there.
                    self.clobber(i, m);
                    Flow::Next
                };
            }
            FlowControl::IndirectCall => {
                if far(i) {
                    return Flow::Stop;
                }
                let target = self.target(i, m);
                return Flow::CallIndirect(target);
            }
            FlowControl::Return => {
                if matches!(
                    i.mnemonic(),
                    Mnemonic::Iret | Mnemonic::Iretd | Mnemonic::Iretq | Mnemonic::Retf
                ) {
                    return Flow::ForeignSyscall("far return");
                }
                return Flow::Return;
            }
            FlowControl::Exception => return Flow::Stop,
            // Traps that go on when handled (int3), and transactions whose abort path is the
            // branch target.
            FlowControl::Interrupt => return Flow::Next,
            FlowControl::XbeginXabortXend => {
                if i.mnemonic() == Mnemonic::Xbegin {
                    self.clobber(i, m);
                    let unknown = m.opaque(0);
                    return Flow::Branch(unknown, i.near_branch_target());
                }
                return Flow::Next;
            }
        }
        self.compute(i, m);
        Flow::Next
    }

    fn compute<M: Machine>(&mut self, i: &Instruction, m: &mut M) {
        use Mnemonic as N;
        match i.mnemonic() {
            N::Nop | N::Endbr64 | N::Endbr32 | N::Pause | N::Lfence | N::Mfence | N::Sfence => {}
            N::Mov if general(i) => {
                let v = self.read(i, 1, m);
                self.write(i, 0, v, m);
            }
            N::Movzx => {
                let v = self.read(i, 1, m);
                self.write(i, 0, v, m);
            }
            N::Movsx | N::Movsxd => {
                let bits = width(i, 1);
                let v = self.read(i, 1, m);
                let v = m.sign_extend(v, bits);
                self.write(i, 0, v, m);
            }
            N::Cdqe => {
                let v = m.get(RAX);
                let v = m.sign_extend(v, 32);
                m.put(RAX, v);
            }
            N::Cwde => {
                let v = m.get(RAX);
                let v = m.sign_extend(v, 16);
                let v = m.zero_extend(v, 32);
                m.put(RAX, v);
            }
            N::Lea => {
                let v = address(i, m);
                self.write(i, 0, v, m);
            }
            N::Push => {
                let v = match i.op_kind(0) {
                    OpKind::Register | OpKind::Memory => self.read(i, 0, m),
                    _ => m.constant(i.immediate(0)),
                };
                let size = stack_step(i);
                let top = adjust(m, RSP, Binary::Sub, u64::from(size));
                m.store(top, size, v);
            }
            N::Pop => {
                let size = stack_step(i);
                let top = m.get(RSP);
                let v = m.load(top, size);
                adjust(m, RSP, Binary::Add, u64::from(size));
                self.write(i, 0, v, m);
            }
            N::Leave => {
                let frame = m.get(RBP);
                m.put(RSP, frame);
                let v = m.load(frame, 8);
                adjust(m, RSP, Binary::Add, 8);
                m.put(RBP, v);
            }
            N::Add | N::Sub | N::And | N::Or | N::Xor => self.arithmetic(i, m),
            N::Cmp | N::Test => {
                let bits = width(i, 0);
                let a = self.read(i, 0, m);
                let b = self.read(i, 1, m);
                let b = m.zero_extend(b, bits);
                let kind = if i.mnemonic() == N::Cmp {
                    Compare::Difference
                } else {
                    Compare::Conjunction
                };
                m.compare(kind, bits, a, b);
            }
            N::Inc | N::Dec => {
                let bits = width(i, 0);
                let a = self.read(i, 0, m);
                let one = m.constant(1);
                let op = if i.mnemonic() == N::Inc {
                    Binary::Add
                } else {
                    Binary::Sub
                };
                let r = m.binary(op, a, one);
                let r = m.zero_extend(r, bits);
                m.compare(Compare::Result, bits, r, r);
                self.write(i, 0, r, m);
            }
            N::Neg => {
                let bits = width(i, 0);
                let a = self.read(i, 0, m);
                let zero = m.constant(0);
                let r = m.binary(Binary::Sub, zero, a);
                let r = m.zero_extend(r, bits);
                m.compare(Compare::Difference, bits, zero, a);
                self.write(i, 0, r, m);
            }
            N::Not => {
                let a = self.read(i, 0, m);
                let ones = m.constant(u64::MAX);
                let r = m.binary(Binary::Xor, a, ones);
                self.write(i, 0, r, m);
            }
            N::Shl | N::Sal | N::Shr | N::Sar => {
                let bits = width(i, 0);
                let mut a = self.read(i, 0, m);
                let count = self.read(i, 1, m);
                let mask = m.constant(if bits == 64 { 63 } else { 31 });
                let count = m.binary(Binary::And, count, mask);
                let op = match i.mnemonic() {
                    N::Shr => Binary::Shr,
                    N::Sar => {
                        a = m.sign_extend(a, bits);
                        Binary::Sar
                    }
                    _ => Binary::Shl,
                };
                let r = m.binary(op, a, count);
                let r = m.zero_extend(r, bits);
                m.forget_flags();
                self.write(i, 0, r, m);
            }
            // C libraries mangle pointers with these, return addresses in jump buffers too.
            N::Rol | N::Ror if i.op1_kind() == OpKind::Immediate8 && width(i, 0) >= 32 => {
                let bits = width(i, 0);
                let value = self.read(i, 0, m);
                let by = i.immediate8() & (bits - 1);
                let left = if i.mnemonic() == N::Rol {
                    by
                } else {
                    (bits - by) & (bits - 1)
                };
                let up = m.constant(u64::from(left));
                let down = m.constant(u64::from((bits - left) & (bits - 1)));
                let high = m.binary(Binary::Shl, value, up);
                let low = m.binary(Binary::Shr, value, down);
                let r = m.binary(Binary::Or, high, low);
                let r = m.zero_extend(r, bits);
                m.forget_flags();
                self.write(i, 0, r, m);
            }
            N::Imul if i.op_count() >= 2 => {
                let (a, b) = if i.op_count() == 3 {
                    (self.read(i, 1, m), self.read(i, 2, m))
                } else {
                    (self.read(i, 0, m), self.read(i, 1, m))
                };
                let r = m.binary(Binary::Mul, a, b);
                m.forget_flags();
                self.write(i, 0, r, m);
            }
            N::Sbb if same_register(i) => {
                // sbb r, r: minus one when the carry is set, else zero.
                let carry = m.condition(Condition::Below);
                let ones = m.constant(u64::MAX);
                let zero = m.constant(0);
                let r = m.select(carry, ones, zero);
                let bits = width(i, 0);
                let r = m.zero_extend(r, bits);
                m.forget_flags();
                self.write(i, 0, r, m);
            }
            N::Sbb | N::Adc => {
                let carry = m.condition(Condition::Below);
                let a = self.read(i, 0, m);
                let b = self.read(i, 1, m);
                let op = if i.mnemonic() == N::Sbb {
                    Binary::Sub
                } else {
                    Binary::Add
                };
                let r = m.binary(op, a, b);
                let r = m.binary(op, r, carry);
                m.forget_flags();
                self.write(i, 0, r, m);
            }
            N::Xchg if i.op0_kind() == OpKind::Register && i.op1_kind() == OpKind::Register => {
                let a = self.read(i, 0, m);
                let b = self.read(i, 1, m);
                self.write(i, 0, b, m);
                self.write(i, 1, a, m);
            }
            N::Xchg if i.op0_kind() == OpKind::Memory => {
                let a = self.read(i, 0, m);
                let b = self.read(i, 1, m);
                self.write(i, 0, b, m);
                self.write(i, 1, a, m);
            }
            N::Bswap => {
                let v = self.read(i, 0, m);
                m.lose(v);
                let r = m.opaque(0);
                self.write(i, 0, r, m);
            }
            _ if is_set(i) => {
                let c = m.condition(condition(i));
                self.write(i, 0, c, m);
            }
            _ if is_move_if(i) => {
                let c = m.condition(condition(i));
                let a = self.read(i, 1, m);
                let b = self.read(i, 0, m);
                let r = m.select(c, a, b);
                self.write(i, 0, r, m);
            }
            _ if self.vector(i, m) => {}
            _ => self.clobber(i, m),
        }
    }

    fn arithmetic<M: Machine>(&mut self, i: &Instruction, m: &mut M) {
        let bits = width(i, 0);
        if same_register(i) && matches!(i.mnemonic(), Mnemonic::Xor | Mnemonic::Sub) {
            let zero = m.constant(0);
            m.compare(Compare::Result, bits, zero, zero);
            return self.write(i, 0, zero, m);
        }
        let a = self.read(i, 0, m);
        let b = self.read(i, 1, m);
        let op = match i.mnemonic() {
            Mnemonic::Add => Binary::Add,
            Mnemonic::Sub => Binary::Sub,
            Mnemonic::And => Binary::And,
            Mnemonic::Or => Binary::Or,
            _ => Binary::Xor,
        };
        let full = m.binary(op, a, b);
        let r = if bits == 64 {
            full
        } else {
            m.zero_extend(full, bits)
        };
        match op {
            Binary::Sub => {
                let b = m.zero_extend(b, bits);
                m.compare(Compare::Difference, bits, a, b);
            }
            Binary::Add => m.compare(Compare::Result, bits, r, r),
            _ => m.compare(Compare::Conjunction, bits, r, r),
        }
        self.write(i, 0, r, m);
    }

    /// Where an indirect branch goes.
    fn target<M: Machine>(&mut self, i: &Instruction, m: &mut M) -> M::V {
        if i.op0_kind() == OpKind::Memory && i.memory_size().size() == 8 && !thread_local(i) {
            let place = address(i, m);
            return m.load_target(place);
        }
        self.read(i, 0, m)
    }

    /// An operand's value, zero-extended from its width; immediates are sign-extended as the
    /// instruction does.
    fn read<M: Machine>(&mut self, i: &Instruction, operand: u32, m: &mut M) -> M::V {
        match i.op_kind(operand) {
            OpKind::Register => {
                let reg = i.op_register(operand);
                let Some((full, shift)) = general_register(reg) else {
                    return m.opaque(operand as u8);
                };
                let bits = (reg.size() * 8) as u8;
                let mut v = m.get(full);
                if shift != 0 {
                    let eight = m.constant(8);
                    v = m.binary(Binary::Shr, v, eight);
                }
                if bits == 64 {
                    v
                } else {
                    m.zero_extend(v, bits)
                }
            }
            OpKind::Memory => {
                let size = i.memory_size().size();
                let place = address(i, m);
                if thread_local(i) {
                    return m.opaque(operand as u8);
                }
                match size {
                    1 | 2 | 4 | 8 => m.load(place, size as u8),
                    _ => {
                        m.read_unknown(place, Some(size as u64));
                        m.opaque(operand as u8)
                    }
                }
            }
            _ => m.constant(i.immediate(operand)),
        }
    }

    fn write<M: Machine>(&mut self, i: &Instruction, operand: u32, value: M::V, m: &mut M) {
        match i.op_kind(operand) {
            OpKind::Register => {
                let reg = i.op_register(operand);
                let Some((full, shift)) = general_register(reg) else {
                    return;
                };
                let v = match (reg.size(), shift) {
                    (8, _) => value,
                    (4, _) => m.zero_extend(value, 32),
                    (2, _) => merge(m, full, value, 0xffff, 0),
                    (_, 0) => merge(m, full, value, 0xff, 0),
                    _ => merge(m, full, value, 0xff00, 8),
                };
                m.put(full, v);
            }
            OpKind::Memory => {
                let size = i.memory_size().size();
                let place = address(i, m);
                if thread_local(i) {
                    return m.lose(value);
                }
                match size {
                    1 | 2 | 4 | 8 => m.store(place, size as u8, value),
                    _ => m.store_unknown(place),
                }
            }
            _ => {}
        }
    }

    /// An instruction that is not modelled: what the decoder says it writes becomes unknown.
    fn clobber<M: Machine>(&mut self, i: &Instruction, m: &mut M) {
        // A bit is numbered from the operand on, however far.
        let far_bit = i.op1_kind() == OpKind::Register
            && matches!(i.mnemonic(), Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc);
        // A gather or a scatter goes to many places.
        let many = i.memory_index() != Register::None && !i.memory_index().is_gpr();
        let string = i.is_string_instruction() || far_bit || many;
        let info = self.info.info_options(i, InstructionInfoOptions::NONE);
        let memory: Vec<_> = info.used_memory().to_vec();
        let registers: Vec<_> = info.used_registers().to_vec();
        for used in memory {
            if matches!(used.segment(), Register::FS | Register::GS) {
                continue;
            }
            let mut place = m.constant(used.displacement());
            if let Some((base, _)) = general_register(used.base()) {
                let v = m.get(base);
                place = m.binary(Binary::Add, v, place);
            }
            if let Some((index, _)) = general_register(used.index()) {
                let v = m.get(index);
                let scale = m.constant(u64::from(used.scale().trailing_zeros()));
                let v = m.binary(Binary::Shl, v, scale);
                place = m.binary(Binary::Add, place, v);
            }
            let size = memory_bytes(used.memory_size());
            if writes(used.access()) {
                match size {
                    Some(size) if !string && size % 8 == 0 && size <= 64 => {
                        // Vector stores: whole words of unknown content, nothing around them.
                        for word in 0..size / 8 {
                            let step = m.constant(word * 8);
                            let word_place = m.binary(Binary::Add, place, step);
                            let v = m.opaque(16 + word as u8);
                            m.store(word_place, 8, v);
                        }
                    }
                    Some(size @ (1 | 2 | 4)) if !string => {
                        let v = m.opaque(16);
                        m.store(place, size as u8, v);
                    }
                    _ => m.store_unknown(place),
                }
            }
            if reads(used.access()) {
                m.read_unknown(place, if string { None } else { size });
            }
        }
        for used in registers.iter().filter(|used| reads(used.access())) {
            if let Some((full, _)) = general_register(used.register())
                && !addresses(i, full)
            {
                let v = m.get(full);
                m.lose(v);
            }
            Lifter::lose_lanes(used.register(), m);
        }
        for (n, used) in registers.iter().enumerate() {
            if writes(used.access()) {
                Lifter::forget_lanes(used.register(), m);
            }
            if writes(used.access())
                && let Some((full, _)) = general_register(used.register())
                && full != RSP
            {
                let v = m.opaque(n as u8);
                m.put(full, v);
            }
        }
        let step = i.stack_pointer_increment();
        if step != 0 {
            adjust(m, RSP, Binary::Add, step as i64 as u64);
        }
        if i.rflags_modified() != 0 {
            m.forget_flags();
        }
    }
}
