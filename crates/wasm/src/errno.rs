//! Error numbers of the interface (`errno` in its definition).

pub(crate) const SUCCESS: i32 = 0;
pub(crate) const BADF: i32 = 8;
pub(crate) const EXIST: i32 = 20;
pub(crate) const FAULT: i32 = 21;
pub(crate) const ILSEQ: i32 = 25;
pub(crate) const INVAL: i32 = 28;
pub(crate) const IO: i32 = 29;
pub(crate) const ISDIR: i32 = 31;
pub(crate) const MFILE: i32 = 33;
pub(crate) const NAMETOOLONG: i32 = 37;
pub(crate) const NOENT: i32 = 44;
pub(crate) const NOSPC: i32 = 51;
pub(crate) const NOTDIR: i32 = 54;
pub(crate) const NOTEMPTY: i32 = 55;
pub(crate) const SPIPE: i32 = 70;
pub(crate) const NOTCAPABLE: i32 = 76;
