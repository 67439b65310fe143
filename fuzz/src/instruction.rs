//! Machine code: any bytes, of either architecture, as one instruction after another.

use portcullis_abi::Arch;
use portcullis_scan::isa::{
    Binary, Compare, Condition, Convention, Flow, Lane, Lifter, Machine, Reg,
};

/// Bytes of some hundred instructions.
pub(crate) const LONGEST: usize = 1024;
/// Where the code stands.
const PLACE: u64 = 0x40_0000;
/// The longest instruction of x86_64, in bytes (AMD64 Architecture Programmer's Manual, volume 3, 1.1).
const MOST: usize = 15;

/// A system call, a branch, a call, a return, of each architecture; the first byte tells which.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    vec![
        b"\0\xb8\x3c\0\0\0\x0f\x05\x74\x02\xff\xe0\x48\x8d\x05\0\0\0\0\xe8\0\0\0\0\xc3".to_vec(),
        b"\0\xf3\x0f\x1e\xfa\x48\x63\x04\x87\x48\x01\xf8\x3e\xff\xe0\x66\x0f\x6f\x07\xf3\x48\xab"
            .to_vec(),
        b"\x01\xa8\x0b\x80\xd2\x01\0\0\xd4\x40\0\0\x54\0\0\x1f\xd6\xc0\x03\x5f\xd6".to_vec(),
        b"\x01\x10\0\0\x90\x11\x02\x40\xf9\x10\x02\0\x91\x20\x02\x1f\xd6\xfd\x7b\xbf\xa9".to_vec(),
    ]
}

/// Asks of the code behind the first byte.
pub fn ask(bytes: &[u8]) {
    let Some((which, code)) = bytes.split_first() else {
        return;
    };
    let arch = match which & 1 {
        0 => Arch::X86_64,
        _ => Arch::Aarch64,
    };
    let convention = Convention::of(arch);
    let mut lifter = Lifter::of(convention);
    let mut at = 0;
    while at < code.len() {
        let place = PLACE + at as u64;
        let rest = &code[at..];
        let mut steps = Steps::new(convention);
        let (length, flow) = lifter.lift(rest, place, &mut steps);
        assert_eq!(length == 0, flow == Flow::Invalid, "at {at}: {flow:x?}");
        assert!(length <= rest.len(), "at {at}: {length} of {}", rest.len());
        // Another lifter, which saw nothing else, says the same; on x86_64 also without what stands behind.
        let alone = match arch {
            Arch::Aarch64 => {
                assert!(length.is_multiple_of(4));
                rest
            }
            _ => {
                assert!(length <= MOST);
                &rest[..length]
            }
        };
        if length > 0 {
            let mut again = Steps::new(convention);
            let found = Lifter::of(convention).lift(alone, place, &mut again);
            assert_eq!(found, (length, flow), "at {at}");
            assert_eq!(again.done, steps.done, "at {at}");
        }
        at += match (length, arch) {
            (0, Arch::Aarch64) => 4,
            (0, _) => 1,
            (length, _) => length,
        };
    }
}

/// What an instruction does, as a number for each step; a value is the number of its step, mixed with what it was made of.
struct Steps {
    registers: u8,
    done: Vec<u64>,
}

impl Steps {
    fn new(convention: &Convention) -> Steps {
        Steps {
            registers: convention.registers,
            done: Vec::new(),
        }
    }

    fn step(&mut self, parts: &[u64]) -> u64 {
        let mut mixed = self.done.len() as u64;
        for part in parts {
            mixed = (mixed ^ part)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23);
        }
        self.done.push(mixed);
        mixed
    }

    fn register(&self, reg: Reg) -> u64 {
        assert!(reg.0 < self.registers, "{reg:?}");
        reg.0.into()
    }

    fn compared(kind: Compare, bits: u8) -> u64 {
        assert!((1..=64).contains(&bits), "{bits} bits");
        kind as u64 | u64::from(bits) << 8
    }

    fn width(bits: u8) -> u64 {
        assert!((1..=64).contains(&bits), "{bits} bits");
        bits.into()
    }

    fn size(bytes: u8) -> u64 {
        assert!(matches!(bytes, 1 | 2 | 4 | 8), "{bytes} bytes");
        bytes.into()
    }

    fn part(lane: Lane) -> u64 {
        assert!(lane.0 < 32, "{lane:?}");
        u64::from(lane.0) << 8 | u64::from(lane.1)
    }
}

impl Machine for Steps {
    type V = u64;

    fn constant(&mut self, value: u64) -> u64 {
        self.step(&[1, value])
    }

    fn opaque(&mut self, index: u8) -> u64 {
        self.step(&[2, index.into()])
    }

    fn thread_pointer(&mut self) -> u64 {
        self.step(&[3])
    }

    fn get(&mut self, reg: Reg) -> u64 {
        let register = self.register(reg);
        self.step(&[4, register])
    }

    fn put(&mut self, reg: Reg, value: u64) {
        let register = self.register(reg);
        self.step(&[5, register, value]);
    }

    fn page(&mut self, value: u64) {
        self.step(&[6, value]);
    }

    fn whole(&mut self, value: u64) {
        self.step(&[7, value]);
    }

    fn lane(&mut self, lane: Lane) -> u64 {
        self.step(&[8, Steps::part(lane)])
    }

    fn put_lane(&mut self, lane: Lane, value: u64) {
        self.step(&[9, Steps::part(lane), value]);
    }

    fn forget_lane(&mut self, lane: Lane) {
        self.step(&[10, Steps::part(lane)]);
    }

    fn lose(&mut self, value: u64) {
        self.step(&[11, value]);
    }

    fn binary(&mut self, op: Binary, a: u64, b: u64) -> u64 {
        self.step(&[12, op as u64, a, b])
    }

    fn zero_extend(&mut self, value: u64, bits: u8) -> u64 {
        self.step(&[13, value, Steps::width(bits)])
    }

    fn sign_extend(&mut self, value: u64, bits: u8) -> u64 {
        self.step(&[14, value, Steps::width(bits)])
    }

    fn load(&mut self, address: u64, size: u8) -> u64 {
        self.step(&[15, address, Steps::size(size)])
    }

    fn load_target(&mut self, address: u64) -> u64 {
        self.step(&[16, address])
    }

    fn store(&mut self, address: u64, size: u8, value: u64) {
        self.step(&[17, address, Steps::size(size), value]);
    }

    fn store_unknown(&mut self, address: u64) {
        self.step(&[18, address]);
    }

    fn read_unknown(&mut self, address: u64, size: Option<u64>) {
        self.step(&[19, address, size.unwrap_or(u64::MAX)]);
    }

    fn compare(&mut self, kind: Compare, bits: u8, a: u64, b: u64) {
        self.step(&[20, Steps::compared(kind, bits), a, b]);
    }

    fn compare_if(
        &mut self,
        condition: u64,
        (kind, bits, a, b): (Compare, u8, u64, u64),
        (otherwise, c, d): (Compare, u64, u64),
    ) {
        let kind = Steps::compared(kind, bits);
        self.step(&[21, condition, kind, a, b, otherwise as u64, c, d]);
    }

    fn test(&mut self, condition: Condition, kind: Compare, bits: u8, a: u64, b: u64) -> u64 {
        self.step(&[22, condition as u64, Steps::compared(kind, bits), a, b])
    }

    fn forget_flags(&mut self) {
        self.step(&[23]);
    }

    fn condition(&mut self, condition: Condition) -> u64 {
        self.step(&[24, condition as u64])
    }

    fn select(&mut self, condition: u64, if_true: u64, if_false: u64) -> u64 {
        self.step(&[25, condition, if_true, if_false])
    }
}
