//! `bpf(2)`: maps, programs on raw tracepoints, and the ring buffer by which they tell what they see.
//!
//! Programs are given as the kernel takes them: instructions of 64 bits. What may be loaded is the kernel's
//! verifier's to say.
#![expect(
    unsafe_code,
    reason = "bpf(2) takes addresses; a ring buffer is memory that the kernel writes"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::process::owned;
use crate::{Error, check};

/// Commands of `linux/bpf.h`.
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP: libc::c_long = 1;
const MAP_UPDATE: libc::c_long = 2;
const MAP_NEXT_KEY: libc::c_long = 4;
const PROGRAM_LOAD: libc::c_long = 5;
const OBJECT_INFO: libc::c_long = 15;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
const RAW_TRACEPOINT: u64 = 17;
/// Where `struct bpf_prog_info` has `recursion_misses` (Linux 5.12), and what is asked for of it.
const MISSES: usize = 208;
const INFO: usize = 224;
/// What the verifier says is kept up to here.
const LOG: usize = 1 << 18;

/// What a map is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Values by keys, whose memory is taken in the beginning.
    Hash = 1,
    /// Values by number.
    Array = 2,
    /// The same, for each processor its own. It is for programs alone.
    ArrayOfProcessor = 6,
    /// What programs tell; it has no keys or values, and bytes for entries (Linux 5.8).
    Ring = 27,
}

/// A map.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    kind: Kind,
    key: usize,
    value: usize,
}

impl Map {
    /// Makes one with keys and values of so many bytes.
    pub fn new(kind: Kind, key: u32, value: u32, entries: u32) -> Result<Map, Error> {
        let mut words = [0; 9];
        words[0] = pair(kind as u32, key);
        words[1] = pair(value, entries);
        // SAFETY: creating a map reads the attributes alone.
        let fd = unsafe { bpf("bpf(MAP_CREATE)", MAP_CREATE, &mut words) }?;
        Ok(Map {
            fd: owned(fd),
            kind,
            key: key as usize,
            value: value as usize,
        })
    }

    /// Reads the value of `key` into `value`; whether there is one.
    pub fn read(&self, key: &[u8], value: &mut [u8]) -> Result<bool, Error> {
        self.fits(key, value.len())?;
        let value = value.as_mut_ptr() as u64;
        let mut words = [self.number(), key.as_ptr() as u64, value, 0];
        // SAFETY: key and value have the sizes of the map's, for each of which there is one value.
        found(unsafe { bpf("bpf(MAP_LOOKUP_ELEM)", MAP_LOOKUP, &mut words) })
    }

    /// Sets the value of `key`.
    pub fn write(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.fits(key, value.len())?;
        let value = value.as_ptr() as u64;
        let mut words = [self.number(), key.as_ptr() as u64, value, 0];
        // SAFETY: key and value have the sizes of the map's, and are read.
        unsafe { bpf("bpf(MAP_UPDATE_ELEM)", MAP_UPDATE, &mut words) }.map(drop)
    }

    /// Puts the key behind `key` into it, in the map's own order; whether there is one. Behind none is the first.
    pub fn next_key(&self, known: bool, key: &mut [u8]) -> Result<bool, Error> {
        self.fits(key, self.value)?;
        let before = key.to_vec();
        let before = if known { before.as_ptr() as u64 } else { 0 };
        let mut words = [self.number(), before, key.as_mut_ptr() as u64, 0];
        // SAFETY: both keys have the size of the map's; the first is read or not there, the second is written.
        found(unsafe { bpf("bpf(MAP_GET_NEXT_KEY)", MAP_NEXT_KEY, &mut words) })
    }

    /// Its descriptor, as instructions name it.
    pub fn descriptor(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    fn number(&self) -> u64 {
        u64::from(self.fd.as_raw_fd().cast_unsigned())
    }

    fn fits(&self, key: &[u8], value: usize) -> Result<(), Error> {
        let plain = matches!(self.kind, Kind::Hash | Kind::Array);
        match plain && key.len() == self.key && value == self.value {
            true => Ok(()),
            false => Err(Error {
                call: "bpf",
                reason: io::ErrorKind::InvalidInput.into(),
            }),
        }
    }
}

/// Why a program was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", last_of(log))]
pub struct NotLoaded {
    /// The kernel's answer.
    pub error: Error,
    /// What its verifier says.
    pub log: String,
}

fn last_of(log: &str) -> String {
    let mut lines = log.lines().rev().filter(|line| !line.is_empty());
    // The last line counts what was done.
    let told = lines.find(|line| !line.starts_with("processed "));
    told.map_or(String::new(), |line| format!(": {line}"))
}

/// A program in the kernel.
#[derive(Debug)]
pub struct Program(OwnedFd);

/// A program that runs whenever its tracepoint is passed, for as long as this lives.
#[derive(Debug)]
pub struct Attached(#[expect(dead_code, reason = "it is held")] OwnedFd);

impl Program {
    /// Loads one for a raw tracepoint (`CAP_BPF` and `CAP_PERFMON`, or `CAP_SYS_ADMIN`). Helpers that the kernel has for
    /// programs under its own licence are there for those that are offered under both (`linux/license.h`).
    pub fn load(instructions: &[u64], licence: &CStr) -> Result<Program, NotLoaded> {
        let loaded = load(instructions, licence, &mut []);
        let Err(first) = loaded else {
            return loaded.map_err(|error| NotLoaded {
                error,
                log: String::new(),
            });
        };
        // Only one that was refused is worth the words.
        let mut log = vec![0; LOG];
        match load(instructions, licence, &mut log) {
            Ok(program) => Ok(program),
            Err(_) => Err(NotLoaded {
                error: first,
                log: CStr::from_bytes_until_nul(&log)
                    .map_or(String::new(), |text| text.to_string_lossy().into_owned()),
            }),
        }
    }

    /// Has it run at a tracepoint from now on.
    pub fn attach(&self, tracepoint: &CStr) -> Result<Attached, Error> {
        let program = u64::from(self.0.as_raw_fd().cast_unsigned());
        let mut words = [tracepoint.as_ptr() as u64, program];
        let call = "bpf(RAW_TRACEPOINT_OPEN)";
        // SAFETY: the name ends with a zero, and is read.
        let fd = unsafe { bpf(call, RAW_TRACEPOINT_OPEN, &mut words) }?;
        Ok(Attached(owned(fd)))
    }

    /// How often it did not run because it was running already on that processor; 0 where the kernel does not say.
    pub fn misses(&self) -> Result<u64, Error> {
        let mut info = [0_u64; INFO / 8];
        let program = self.0.as_raw_fd().cast_unsigned();
        let mut words = [pair(program, INFO as u32), info.as_mut_ptr() as u64];
        let call = "bpf(OBJ_GET_INFO_BY_FD)";
        // SAFETY: the kernel writes as many bytes as it is told that there are.
        unsafe { bpf(call, OBJECT_INFO, &mut words) }?;
        Ok(info[MISSES / 8])
    }
}

fn load(instructions: &[u64], licence: &CStr, log: &mut [u8]) -> Result<Program, Error> {
    let mut words = [0; 9];
    words[0] = RAW_TRACEPOINT | (instructions.len() as u64) << 32;
    words[1] = instructions.as_ptr() as u64;
    words[2] = licence.as_ptr() as u64;
    if !log.is_empty() {
        words[3] = pair(1, log.len() as u32);
        words[4] = log.as_mut_ptr() as u64;
    }
    // SAFETY: instructions and licence are read, and the log has the length that is told.
    let fd = unsafe { bpf("bpf(PROG_LOAD)", PROGRAM_LOAD, &mut words) }?;
    Ok(Program(owned(fd)))
}

/// Two 32-bit fields of `union bpf_attr`, the first of them lower.
fn pair(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..].copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// # Safety
///
/// What the attributes have addresses of must be fit for the command.
unsafe fn bpf(
    call: &'static str,
    command: libc::c_long,
    attributes: &mut [u64],
) -> Result<libc::c_long, Error> {
    let (at, size) = (attributes.as_mut_ptr(), size_of_val(attributes));
    // SAFETY: the attributes live, with the size that is told; the caller vouches for what they lead to.
    check(call, unsafe {
        libc::syscall(libc::SYS_bpf, command, at, size)
    })
}

fn found(answer: Result<libc::c_long, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.errno() == libc::ENOENT => Ok(false),
        Err(error) => Err(error),
    }
}

/// The reader of a ring buffer (the kernel's `bpf/ringbuf.rst`): one page with the reader's position, which it may write, and
/// the writer's position and the data, which it may not, the data twice in a row so that no record is in two pieces.
#[derive(Debug)]
pub struct Ring {
    map: Map,
    consumer: NonNull<AtomicU64>,
    producer: NonNull<AtomicU64>,
    page: usize,
    size: usize,
}

/// In the length of a record: it is being written; it is to be passed over.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: usize = 8;

impl Ring {
    /// Makes one of `size` bytes, a power of two and pages.
    pub fn new(size: u32) -> Result<Ring, Error> {
        let map = Map::new(Kind::Ring, 0, 0, size)?;
        let size = size as usize;
        // SAFETY: it takes and returns integers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).map_err(|_| Error::last("sysconf"))?;
        let write = libc::PROT_READ | libc::PROT_WRITE;
        let consumer = mapped(&map, page, write, 0)?;
        let producer = match mapped(&map, page + 2 * size, libc::PROT_READ, page) {
            Ok(producer) => producer,
            Err(error) => {
                unmap(consumer, page);
                return Err(error);
            }
        };
        Ok(Ring {
            map,
            consumer,
            producer,
            page,
            size,
        })
    }

    /// The map.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Gives each record that is there to `take`, and then its place back.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) {
        // SAFETY: mapped by `new`, and aligned to a page.
        let consumer = unsafe { self.consumer.as_ref() };
        // SAFETY: as above.
        let producer = unsafe { self.producer.as_ref() };
        let mut at = consumer.load(Ordering::Relaxed);
        while at < producer.load(Ordering::Acquire) {
            let place = at as usize & (self.size - 1);
            let offset = self.page + place;
            // SAFETY: the data lies behind the writer's page, twice, and records are aligned to 8 bytes.
            let header = unsafe { self.producer.byte_add(offset) }.cast::<AtomicU32>();
            // SAFETY: as above.
            let header = unsafe { header.as_ref() };
            let length = header.load(Ordering::Acquire);
            if length & BUSY != 0 {
                return;
            }
            let size = (length & !DISCARDED) as usize;
            if length & DISCARDED == 0 && size <= self.size {
                // SAFETY: as above; a record is no longer than the data, which is mapped twice.
                let data = unsafe { self.producer.byte_add(offset + HEADER) }.cast::<u8>();
                // SAFETY: the kernel does not write a record that is done before the reader's position passes it.
                take(unsafe { std::slice::from_raw_parts(data.as_ptr(), size) });
            }
            at += (size + HEADER).next_multiple_of(8) as u64;
            consumer.store(at, Ordering::Release);
        }
    }
}

impl AsFd for Ring {
    /// Readable when there is a record.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        unmap(self.consumer, self.page);
        unmap(self.producer, self.page + 2 * self.size);
    }
}

fn mapped(map: &Map, size: usize, access: i32, at: usize) -> Result<NonNull<AtomicU64>, Error> {
    // SAFETY: the kernel chooses a new place, of which nothing else has an address.
    let value = unsafe {
        libc::syscall(
            libc::SYS_mmap,
            0,
            size,
            access,
            libc::MAP_SHARED,
            map.fd.as_raw_fd(),
            at,
        )
    };
    let place = check("mmap(ring buffer)", value)?;
    let place = std::ptr::with_exposed_provenance_mut(place.cast_unsigned() as usize);
    // A mapping never begins at 0 without MAP_FIXED.
    NonNull::new(place).ok_or(Error::last("mmap(ring buffer)"))
}

fn unmap(place: NonNull<AtomicU64>, size: usize) {
    // SAFETY: mapped by `mapped` with this size, and no reference outlives the ring.
    unsafe { libc::syscall(libc::SYS_munmap, place.as_ptr(), size) };
}
