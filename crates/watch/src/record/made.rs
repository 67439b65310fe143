//! What tells one call from another: its number and the arguments that say what it does.

use std::collections::HashMap;
use std::rc::Rc;

use portcullis_abi::{Arch, Sysno};

/// Most arguments of one call that count.
pub(super) const MOST: usize = 3;

/// A call as it is told apart from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Made {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The number.
    pub number: u32,
    /// The values of its deciding arguments, in their order; what is beyond them is 0.
    pub values: [u64; MOST],
    /// There were too many values to tell apart: `values` says nothing.
    pub any: bool,
}

/// An argument that says what a call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which argument.
    pub index: u8,
    /// Bits of the register that the kernel takes: 32 or 64.
    pub width: u8,
}

impl Made {
    /// The deciding arguments and their values; none when their values are not told apart.
    pub fn arguments(&self) -> impl Iterator<Item = (Place, u64)> {
        let values = self.values;
        let told = if self.any { 0 } else { MOST };
        places(self.arch, self.number).zip(values).take(told)
    }

    /// The same call with values that are not told apart.
    pub(crate) fn with_any(self) -> Made {
        Made {
            values: [0; MOST],
            any: true,
            ..self
        }
    }

    /// Its architecture.
    pub fn architecture(&self) -> Option<Arch> {
        Arch::of_call(self.arch, self.number)
    }

    /// Whether it is one of this machine's own architecture.
    pub(crate) fn is_native(&self) -> bool {
        self.architecture() == Some(Arch::NATIVE)
    }

    /// The kernel's name of the call.
    pub fn name(&self) -> Option<&'static str> {
        self.architecture()?.name(Sysno(self.number))
    }
}

/// The deciding arguments of a call, as the tables of `abi` have them.
fn places(arch: u32, number: u32) -> impl Iterator<Item = Place> {
    let all = Arch::of_call(arch, number).map(|arch| arch.deciding(Sysno(number)));
    let place = |(index, argument): (u8, &portcullis_abi::Argument)| Place {
        index,
        width: argument.width,
    };
    all.into_iter().flatten().map(place).take(MOST)
}

/// Tells calls apart, at every stop: what it looked up is kept.
#[derive(Default)]
pub(crate) struct Discriminator(HashMap<(u32, u32), Rc<[Place]>>);

/// Calls whose places are kept: more than any architecture has; a program can make up numbers.
const KEPT: usize = 4096;

impl Discriminator {
    /// The call with these registers.
    pub(crate) fn made(&mut self, arch: u32, number: u32, args: &[u64; 6]) -> Made {
        let known = self.0.get(&(arch, number)).cloned();
        let places = known.unwrap_or_else(|| {
            let places: Rc<[Place]> = places(arch, number).collect();
            if self.0.len() < KEPT {
                self.0.insert((arch, number), Rc::clone(&places));
            }
            places
        });
        let mut values = [0; MOST];
        for (value, place) in values.iter_mut().zip(places.iter()) {
            let register = args[usize::from(place.index)];
            *value = match place.width {
                32 => register & 0xffff_ffff,
                _ => register,
            };
        }
        Made {
            arch,
            number,
            values,
            any: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_has_more_deciding_arguments_than_are_kept() {
        for arch in Arch::ALL {
            for (number, name) in arch.syscalls() {
                assert!(arch.deciding(number).count() <= MOST, "{arch} {name}");
            }
        }
    }

    #[test]
    fn the_kernels_width_counts_and_other_arguments_do_not() {
        let arch = Arch::NATIVE;
        let number = arch.number("openat").unwrap().0;
        let mut known = Discriminator::default();
        let mut made = |args| known.made(arch.audit_arch(), number, &args);
        let first = made([3, 1, 0xffff_ffff_0008_0000, 0, 0, 0]);
        assert_eq!(first, made([4, 9, 0x8_0000, 7, 7, 7]));
        assert_ne!(first, made([3, 1, 0x8_0001, 0, 0, 0]));
        assert_eq!(
            first
                .arguments()
                .map(|(p, v)| (p.index, v))
                .collect::<Vec<_>>(),
            [(2, 0x8_0000)]
        );
        assert_eq!(first.name(), Some("openat"));
    }
}
