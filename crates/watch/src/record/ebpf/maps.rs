//! The maps that programs in the kernel and their reader share.

use portcullis_abi::{Arch, Argument, Sysno};
use portcullis_sys::Error;
use portcullis_sys::ebpf::{Kind, Map, Ring};

use super::layout::{
    COMPATIBLE, NUMBERS, OTHER, PLACES, X32, call, image, key, place, record, state, task,
};
use crate::paths;
use crate::record::made::MOST;
use crate::record::observed;

/// Tasks that are followed at one time.
const TASKS: u32 = 1 << 15;
/// Different calls, of all programs.
const CALLS: u32 = 1 << 15;
/// Different calls by number, of all programs.
const BY_NUMBER: u32 = 1 << 14;
/// Programs that are told apart.
const IMAGES: u32 = 4096;
/// Bytes of records that were not read yet.
const RING: u32 = 1 << 21;

pub(super) struct Maps {
    /// Tasks, by their number.
    pub(super) tasks: Map,
    /// Programs, by their file.
    pub(super) images: Map,
    /// Calls, by what tells them apart.
    pub(super) calls: Map,
    /// How many different ones of a number a program makes.
    pub(super) numbers: Map,
    /// What is known of calls beforehand.
    pub(super) places: Map,
    pub(super) scratch: Map,
    pub(super) state: Map,
    pub(super) ring: Ring,
}

impl Maps {
    pub(super) fn new() -> Result<Maps, Error> {
        let size = |bytes: i16| bytes.cast_unsigned().into();
        let hash = |key, value, entries| Map::new(Kind::Hash, key, value, entries);
        let maps = Maps {
            ring: Ring::new(RING)?,
            tasks: hash(4, size(task::SIZE), TASKS)?,
            images: hash(size(image::KEY), size(image::SIZE), IMAGES)?,
            calls: hash(size(key::SIZE), size(call::SIZE), CALLS)?,
            numbers: hash(key::OF_NUMBER, 8, BY_NUMBER)?,
            places: Map::new(Kind::Array, 4, size(place::SIZE), PLACES)?,
            scratch: Map::new(Kind::ArrayOfProcessor, 4, size(record::SIZE), 1)?,
            state: Map::new(Kind::Array, 4, size(state::SIZE), 1)?,
        };
        maps.fill()?;
        Ok(maps)
    }

    /// Follows a task that has executed nothing yet.
    pub(super) fn follow(&self, root: i32) -> Result<(), Error> {
        let mut value = [0; task::SIZE as usize];
        put(&mut value, task::STANDS, &task::PASSED_OVER.to_le_bytes());
        self.tasks.write(&root.to_le_bytes(), &value)?;
        let mut value = [0; state::SIZE as usize];
        put(&mut value, state::ALIVE, &1_u64.to_le_bytes());
        put(&mut value, state::TASKS, &1_u64.to_le_bytes());
        self.state.write(&[0; 4], &value)
    }

    /// A counter.
    pub(super) fn counter(&self, counter: i16) -> Result<u64, Error> {
        let mut value = [0; state::SIZE as usize];
        self.state.read(&[0; 4], &mut value)?;
        Ok(word(&value, counter))
    }

    /// Gives each key and value of a map to `take`.
    pub(super) fn each(
        map: &Map,
        key: i16,
        value: i16,
        mut take: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Error> {
        let mut at = vec![0; usize::from(key.cast_unsigned())];
        let mut found = vec![0; usize::from(value.cast_unsigned())];
        let mut known = false;
        while map.next_key(known, &mut at)? {
            known = true;
            if map.read(&at, &mut found)? {
                take(&at, &found);
            }
        }
        Ok(())
    }

    /// Which arguments of calls say what they do, and which lead to paths and addresses.
    fn fill(&self) -> Result<(), Error> {
        let ways = [(Arch::NATIVE, 0), (OTHER, COMPATIBLE), (Arch::X32, X32)];
        let x86 = cfg!(target_arch = "x86_64");
        for (arch, first) in ways.into_iter().filter(|(_, at)| x86 || *at != X32) {
            for (number, name) in arch.syscalls() {
                let own = number.0 & !Arch::X32_BIT;
                if own < NUMBERS {
                    let value = known(arch, number, name);
                    self.places.write(&(first + own).to_le_bytes(), &value)?;
                }
            }
        }
        Ok(())
    }
}

fn known(arch: Arch, number: Sysno, name: &str) -> [u8; place::SIZE as usize] {
    let mut value = [0; place::SIZE as usize];
    let mask = |argument: &Argument| match argument.width {
        32 => u64::from(u32::MAX),
        _ => u64::MAX,
    };
    let in_task = |index: u8| i32::from(task::ARGUMENTS + 8 * i16::from(index)).to_le_bytes();
    for (at, (index, argument)) in (0..).zip(arch.deciding(number).take(MOST)) {
        put(
            &mut value,
            place::MASKS + 8 * at,
            &mask(argument).to_le_bytes(),
        );
        put(&mut value, place::ARGUMENTS + 4 * at, &in_task(index));
    }
    // What pointers of other architectures lead to is not told.
    if arch == Arch::NATIVE {
        for (index, slot) in paths::arguments(name).iter().zip(place::PATHS) {
            put(&mut value, slot, &in_task(*index));
        }
        if let Some((address, length)) = observed::address(name) {
            put(&mut value, place::ADDRESS, &in_task(address));
            put(&mut value, place::LENGTH, &in_task(length));
        }
    }
    value
}

/// Puts bytes into a value.
fn put(value: &mut [u8], at: i16, bytes: &[u8]) {
    let at = usize::from(at.cast_unsigned());
    value[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A word of a value or a record; 0 when it ends before.
pub(super) fn word(bytes: &[u8], at: i16) -> u64 {
    let at = usize::from(at.cast_unsigned());
    let word = bytes.get(at..at + 8).and_then(|w| w.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

/// The same of half a word.
pub(super) fn half(bytes: &[u8], at: i16) -> u32 {
    let at = usize::from(at.cast_unsigned());
    let half = bytes.get(at..at + 4).and_then(|w| w.try_into().ok());
    half.map_or(0, u32::from_le_bytes)
}
