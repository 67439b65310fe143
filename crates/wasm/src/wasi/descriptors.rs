//! What is open, and what may be done with it: the rights of the interface (`rights` in its definition).

use crate::errno::{BADF, ISDIR, MFILE, NOTCAPABLE, NOTDIR, SPIPE};
use crate::tree::{Number, ROOT};

pub(super) const DATASYNC: u64 = 1 << 0;
pub(super) const READ: u64 = 1 << 1;
pub(super) const SEEK: u64 = 1 << 2;
pub(super) const SET_FLAGS: u64 = 1 << 3;
pub(super) const SYNC: u64 = 1 << 4;
pub(super) const TELL: u64 = 1 << 5;
pub(super) const WRITE: u64 = 1 << 6;
pub(super) const ADVISE: u64 = 1 << 7;
pub(super) const ALLOCATE: u64 = 1 << 8;
pub(super) const CREATE_DIRECTORY: u64 = 1 << 9;
pub(super) const CREATE_FILE: u64 = 1 << 10;
pub(super) const OPEN: u64 = 1 << 13;
pub(super) const READDIR: u64 = 1 << 14;
pub(super) const READLINK: u64 = 1 << 15;
pub(super) const RENAME_FROM: u64 = 1 << 16;
pub(super) const RENAME_TO: u64 = 1 << 17;
pub(super) const PATH_STAT: u64 = 1 << 18;
pub(super) const PATH_SET_SIZE: u64 = 1 << 19;
pub(super) const PATH_SET_TIMES: u64 = 1 << 20;
pub(super) const STAT: u64 = 1 << 21;
pub(super) const SET_SIZE: u64 = 1 << 22;
pub(super) const SET_TIMES: u64 = 1 << 23;
pub(super) const REMOVE_DIRECTORY: u64 = 1 << 25;
pub(super) const REMOVE_FILE: u64 = 1 << 26;

/// All that there are. Links, sockets and waiting are among them and are not given: languages ask for their rights with each
/// file that they open (Rust's standard library), and would get none.
const ALL: u64 = (1 << 30) - 1;
/// Those that mean something for a file.
const OF_FILES: u64 = DATASYNC
    | READ
    | SEEK
    | SET_FLAGS
    | SYNC
    | TELL
    | WRITE
    | ADVISE
    | ALLOCATE
    | STAT
    | SET_SIZE
    | SET_TIMES;
/// Those that mean something for a directory.
const OF_DIRECTORIES: u64 = ALL & !(DATASYNC | READ | SEEK | TELL | WRITE | ALLOCATE | SET_SIZE);

/// How many there are at one time.
const MOST: usize = 1024;

/// What is behind a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Behind {
    /// Standard input, output, error.
    Stream(usize),
    Directory(Number),
    File(Number),
}

impl Behind {
    /// Its number in the tree.
    pub(super) fn number(self) -> Option<Number> {
        match self {
            Behind::Stream(_) => None,
            Behind::Directory(number) | Behind::File(number) => Some(number),
        }
    }
}

/// Something that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) behind: Behind,
    pub(super) rights: u64,
    /// Those that what is opened through it can have.
    pub(super) inheriting: u64,
    /// `fdflags` of the interface.
    pub(super) flags: u16,
    /// Where in a file it reads and writes next.
    pub(super) position: u64,
}

impl Descriptor {
    pub(super) fn new(behind: Behind, rights: u64, inheriting: u64, flags: u16) -> Descriptor {
        let meant = match behind {
            Behind::Stream(_) => rights,
            Behind::Directory(_) => rights & OF_DIRECTORIES,
            Behind::File(_) => rights & OF_FILES,
        };
        // Who may move may ask where it is.
        let implied = if meant & SEEK != 0 { TELL } else { 0 };
        Descriptor {
            behind,
            rights: meant | implied,
            inheriting,
            flags,
            position: 0,
        }
    }
}

/// All of a job.
#[derive(Debug)]
pub(super) struct Descriptors(Vec<Option<Descriptor>>);

impl Descriptors {
    /// The three streams.
    pub(super) fn new() -> Descriptors {
        let stream = |(number, right)| {
            let behind = Behind::Stream(number);
            Some(Descriptor::new(behind, right, 0, 0))
        };
        Descriptors([(0, READ), (1, WRITE), (2, WRITE)].map(stream).to_vec())
    }

    /// The directory that is there when the job begins.
    pub(super) fn give_directory(&mut self) {
        let root = Descriptor::new(Behind::Directory(ROOT), ALL, ALL, 0);
        self.0.push(Some(root));
    }

    /// Whether there is such a directory behind this number.
    pub(super) fn is_given(fd: i32, descriptor: &Descriptor) -> bool {
        fd == 3 && descriptor.behind == Behind::Directory(ROOT)
    }

    fn place(&mut self, fd: i32) -> Result<&mut Option<Descriptor>, i32> {
        let number = usize::try_from(fd).map_err(|_| BADF)?;
        let place = self.0.get_mut(number).ok_or(BADF)?;
        match place {
            Some(_) => Ok(place),
            None => Err(BADF),
        }
    }

    pub(super) fn get(&mut self, fd: i32) -> Result<&mut Descriptor, i32> {
        self.place(fd)?.as_mut().ok_or(BADF)
    }

    /// One that has these rights.
    pub(super) fn with(&mut self, fd: i32, rights: u64) -> Result<&mut Descriptor, i32> {
        let descriptor = self.get(fd)?;
        match descriptor.rights & rights == rights {
            true => Ok(descriptor),
            false => Err(NOTCAPABLE),
        }
    }

    /// A file with these rights, and its number.
    pub(super) fn file(&mut self, fd: i32, rights: u64) -> Result<(&mut Descriptor, Number), i32> {
        match self.get(fd)?.behind {
            Behind::File(number) => Ok((self.with(fd, rights)?, number)),
            Behind::Directory(_) => Err(ISDIR),
            Behind::Stream(_) => Err(SPIPE),
        }
    }

    /// The number of a directory with these rights.
    pub(super) fn directory(&mut self, fd: i32, rights: u64) -> Result<Number, i32> {
        match self.get(fd)?.behind {
            Behind::Directory(number) => self.with(fd, rights).map(|_| number),
            Behind::File(_) | Behind::Stream(_) => Err(NOTDIR),
        }
    }

    /// Gives it the lowest number that is free.
    pub(super) fn add(&mut self, descriptor: Descriptor) -> Result<u32, i32> {
        let free = self.0.iter().position(Option::is_none);
        let number = free.unwrap_or(self.0.len());
        if number >= MOST {
            return Err(MFILE);
        }
        if number == self.0.len() {
            self.0.push(None);
        }
        self.0[number] = Some(descriptor);
        u32::try_from(number).map_err(|_| MFILE)
    }

    /// Takes it away.
    pub(super) fn close(&mut self, fd: i32) -> Result<Descriptor, i32> {
        self.place(fd)?.take().ok_or(BADF)
    }

    /// Gives it the number of another one, and says what that was.
    pub(super) fn renumber(&mut self, fd: i32, to: i32) -> Result<Option<Descriptor>, i32> {
        self.place(to)?;
        let moved = *self.get(fd)?;
        if fd == to {
            return Ok(None);
        }
        self.close(fd)?;
        Ok(self.place(to)?.replace(moved))
    }
}
