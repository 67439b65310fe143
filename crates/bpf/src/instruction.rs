//! Classic BPF as seccomp takes it (`linux/filter.h`, `linux/bpf_common.h`).

use std::fmt;

use zeroize::Zeroize;

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Zeroize)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the condition holds.
    pub jt: u8,
    /// And when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Operations that `seccomp_check_filter` (kernel/seccomp.c) lets through.
pub(crate) mod code {
    pub(crate) const LD_W_ABS: u16 = 0x20;
    pub(crate) const LD_W_LEN: u16 = 0x80;
    pub(crate) const LDX_W_LEN: u16 = 0x81;
    pub(crate) const LD_IMM: u16 = 0x00;
    pub(crate) const LDX_IMM: u16 = 0x01;
    pub(crate) const LD_MEM: u16 = 0x60;
    pub(crate) const LDX_MEM: u16 = 0x61;
    pub(crate) const ST: u16 = 0x02;
    pub(crate) const STX: u16 = 0x03;
    pub(crate) const TAX: u16 = 0x07;
    pub(crate) const TXA: u16 = 0x87;
    pub(crate) const RET_K: u16 = 0x06;
    pub(crate) const RET_A: u16 = 0x16;
    pub(crate) const NEG: u16 = 0x84;
    pub(crate) const JA: u16 = 0x05;
    pub(crate) const JEQ_K: u16 = 0x15;
    pub(crate) const JGT_K: u16 = 0x25;
    pub(crate) const JGE_K: u16 = 0x35;
    pub(crate) const JSET_K: u16 = 0x45;
    pub(crate) const AND_K: u16 = 0x54;
    /// Class bits.
    pub(crate) const ALU: u16 = 0x04;
    pub(crate) const JMP: u16 = 0x05;
    /// Of the operations of ALU, the one that can end a filter.
    pub(crate) const DIV: u16 = 0x30;
    /// The second operand is X.
    pub(crate) const X: u16 = 0x08;
}

impl Instruction {
    /// An instruction that does not jump.
    pub(crate) fn plain(code: u16, k: u32) -> Instruction {
        Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }

    /// The eight bytes of the kernel's form, in this machine's order.
    pub fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&self.code.to_ne_bytes());
        bytes[2] = self.jt;
        bytes[3] = self.jf;
        bytes[4..].copy_from_slice(&self.k.to_ne_bytes());
        bytes
    }

    /// The instruction in these bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Instruction {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = bytes;
        Instruction {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}

impl fmt::Display for Instruction {
    /// As a listing shows it; jumps are relative.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instruction {
            code: op,
            jt,
            jf,
            k,
        } = *self;
        match op {
            code::LD_W_ABS => write!(f, "ld {}", word(k)),
            code::RET_K => write!(f, "return {}", portcullis_policy::Action::from_code(k)),
            code::RET_A => write!(f, "return a"),
            code::JA => write!(f, "goto +{k}"),
            code::AND_K => write!(f, "and #{k:#x}"),
            code::JEQ_K => write!(f, "jeq #{k:#x}, +{jt}, +{jf}"),
            code::JGT_K => write!(f, "jgt #{k:#x}, +{jt}, +{jf}"),
            code::JGE_K => write!(f, "jge #{k:#x}, +{jt}, +{jf}"),
            code::JSET_K => write!(f, "jset #{k:#x}, +{jt}, +{jf}"),
            _ => write!(f, "{op:#06x} {k:#x}, +{jt}, +{jf}"),
        }
    }
}

/// The field of `struct seccomp_data` at an offset.
pub(crate) fn word(offset: u32) -> String {
    match offset {
        0 => "nr".into(),
        4 => "arch".into(),
        8 => "ip.lo".into(),
        12 => "ip.hi".into(),
        16..64 => {
            let half = if offset & 4 == 0 { "lo" } else { "hi" };
            format!("arg{}.{half}", (offset - 16) / 8)
        }
        _ => format!("[{offset}]"),
    }
}
