//! Which data of its own the code of a file takes the address of.

use portcullis_abi::Arch;

use super::memory::{Memory, word32, words};
use crate::image::Region;
use crate::load::region_of;

/// Addresses that the code makes out of where it is itself, ascending, as far as they are no code. It
/// does not matter whether that code can run.
pub(crate) fn to_data(memory: &Memory, arch: Arch, regions: &[Region]) -> Vec<u64> {
    let mut found = Vec::new();
    for region in regions.iter().filter(|r| r.executable) {
        let code = memory.code(region);
        let targets = match arch {
            Arch::Aarch64 => adr(code, region.range.start),
            _ => lea(code, region.range.start),
        };
        let data = |at: &u64| region_of(regions, *at).is_some_and(|r| !r.executable);
        found.extend(targets.into_iter().filter(data));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Targets of everything in code at `start` that looks like `lea disp(%rip), register`.
///
/// Bytes inside other instructions can look so too: one in some ten thousand pairs of them, with an
/// address that is then anywhere within 2 GiB.
fn lea(code: &[u8], start: u64) -> Vec<u64> {
    let windows = (start + 6..).zip(code.windows(6));
    let targets = windows.filter_map(|(after, window)| {
        // ModRM: no base, a 32-bit displacement from the next instruction.
        if window[0] != 0x8d || window[1] & 0xc7 != 0x05 {
            return None;
        }
        let offset = word32(window, 2)?;
        Some(after.wrapping_add_signed(i64::from(offset.cast_signed())))
    });
    targets.collect()
}

/// Addresses that `adr`, and `adrp` with the `add`s after it, make in code at `start` (Arm ARM C6.2).
///
/// The two of a pair may be far apart, and one page can serve several. What a register holds is
/// forgotten at the next instruction that could write to it, and where control may come from
/// elsewhere: an address that is not seen here costs precision, one that is none can cost more.
fn adr(code: &[u8], start: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let mut held: [Option<u64>; 32] = [None; 32];
    for (at, word) in words(code, start) {
        let field = |low: u32| (word >> low & 31) as usize;
        let (to, from) = (field(0), field(5));
        if word >> 24 & 0x1f == 0b1_0000 {
            // The immediate: 19 bits, signed, above 2.
            let high = i64::from((word << 8).cast_signed() >> 11) & !3;
            let offset = high | i64::from(word >> 29 & 3);
            held[to] = if word >> 31 == 0 {
                found.push(at.wrapping_add_signed(offset));
                None
            } else {
                Some((at & !0xfff).wrapping_add_signed(offset << 12))
            };
        } else if word >> 23 == 0b1_0010_0010 {
            // 64 bits, no flags; the immediate may stand 12 bits higher.
            let by = u64::from(word >> 10 & 0xfff) << ((word >> 22 & 1) * 12);
            held[to] = held[from].map(|page| page.wrapping_add(by));
            found.extend(held[to]);
        } else if is_branch(word) {
            // What is called keeps x19 to x28 (AAPCS64 §6.1.1); after the others comes another path.
            let kept = match word >> 26 == 0b10_0101 || word & 0xffff_fc1f == 0xd63f_0000 {
                true => 19..29,
                false => 0..0,
            };
            for (register, value) in held.iter_mut().enumerate() {
                *value = value.filter(|_| kept.contains(&register));
            }
        } else {
            // What is written is named at the lowest bits. Accesses to memory may also write to a second
            // register, to one that tells how they went, and to their base, which those with an
            // unsigned offset do not move; the kernel answers in x0.
            held[to] = None;
            let is_memory = word >> 25 & 0b101 == 0b100;
            if is_memory {
                held[field(10)] = None;
                held[field(16)] = None;
                held[from] = held[from].filter(|_| word >> 24 & 0b11 == 0b01);
            } else if word & 0xffe0_001f == 0xd400_0001 {
                held[0] = None;
            }
        }
    }
    found
}

/// Branches that go to another place for good, calls, returns and exceptions: but not conditional
/// ones, after which the next instruction is still reached from the one before.
fn is_branch(word: u32) -> bool {
    // b, bl; br, blr, ret and their kin.
    word >> 26 & 0b1_1111 == 0b0_0101 || word >> 25 == 0b110_1011
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adrp_and_add_make_an_address_together() {
        let code =
            |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
        // adrp x0, +2 pages; mov w1, #0; add x2, x0, #0x10; add x3, x2, #8
        let pair = [0xd000_0000, 0x5280_0001, 0x9100_4002, 0x9100_2043];
        assert_eq!(adr(&code(&pair), 0x1004), [0x3010, 0x3018]);
        // adrp x0, +2 pages; mov x0, x1; add x2, x0, #0x10
        let written = [0xd000_0000, 0xaa01_03e0, 0x9100_4002];
        assert!(adr(&code(&written), 0x1000).is_empty());
        // adrp x19, -1 page; bl; add x0, x19, #0x20, and the same with a register that is not kept.
        let kept = [0xf0ff_fff3, 0x9400_0001, 0x9100_8260];
        assert_eq!(adr(&code(&kept), 0x5000), [0x4020]);
        let lost = [0xf0ff_ffe1, 0x9400_0001, 0x9100_8020];
        assert!(adr(&code(&lost), 0x5000).is_empty());
        // adr x0, +0x14
        assert_eq!(adr(&code(&[0x1000_00a0]), 0x2000), [0x2014]);
    }

    #[test]
    fn lea_counts_from_the_next_instruction() {
        // lea 0x10(%rip), %rax
        assert_eq!(lea(&[0x48, 0x8d, 0x05, 0x10, 0, 0, 0], 0x1000), [0x1017]);
    }
}
