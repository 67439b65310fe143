//! From a program's name to the image that the kernel and the loader would build of it.
//!
//! The closure is found as the program's own loader finds it (glibc's or musl's), symbols are
//! bound as it binds them, and every relocated word gets the value that it would get.

mod begins;
mod cache;
mod closure;
mod guess;
mod relocate;
mod scope;
mod search;
mod services;
mod variables;
mod vdso;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_abi::Warning;
use rayon::prelude::*;

use crate::files::{Files, FilesError};
use crate::image::{Image, ImageObject, ObjectId, Region, Role};
use crate::load::{FIRST_BASE, Object, PAGE};
use closure::{Closure, Member};

pub use crate::load::{Interpreter, Malformed, interpreter};
pub use search::hardware_levels;

/// What decides, beside the program itself, what becomes part of the image.
#[derive(Clone, Debug, Default)]
pub struct LinkRequest {
    /// Files that the program may load while it runs; they are linked as `dlopen` would.
    pub plugins: Vec<PathBuf>,
    /// The file that tells glibc which name services to ask ([`NSSWITCH`]); their modules are linked
    /// as it would load them. `None` links no module.
    pub nsswitch: Option<PathBuf>,
    /// `LD_LIBRARY_PATH` of the program's environment.
    pub ld_library_path: Option<OsString>,
    /// `LD_PRELOAD` of the program's environment.
    pub ld_preload: Option<OsString>,
    /// Leaves `/etc/ld.so.preload` out.
    pub without_preload_file: bool,
    /// `LD_AUDIT` of the program's environment; its modules are linked like plugins.
    pub ld_audit: Option<OsString>,
    /// Subdirectories of `glibc-hwcaps` that the processor can use, best first
    /// ([`hardware_levels`]).
    pub hardware_levels: Vec<String>,
}

/// Where glibc looks for the configuration of name services (nsswitch.conf(5)).
pub const NSSWITCH: &str = "/etc/nsswitch.conf";

/// Why there is no image. A message holds its cause, and paths stand in it quoted and escaped: they come
/// from whoever made the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the program cannot start without could not be read.
    #[error("cannot read {path:?}{}: {reason}; {advice}", because(needed_by))]
    Read {
        /// Which file.
        path: PathBuf,
        /// Who asked for it, if not the caller.
        needed_by: Option<PathBuf>,
        /// What went wrong.
        reason: FilesError,
        /// What the caller can do.
        advice: &'static str,
    },
    /// The program has no such function.
    #[error(
        "the program has no function `{name}`; name one by its symbol, its demangled name, or its address (0x…)"
    )]
    Function {
        /// As it was named.
        name: String,
    },
    /// A file that the program cannot start without is no object for this machine.
    #[error("cannot use {path:?}{}: {reason}; {advice}", because(needed_by))]
    Object {
        /// Which file.
        path: PathBuf,
        /// Who asked for it, if not the caller.
        needed_by: Option<PathBuf>,
        /// What is wrong with it.
        reason: Malformed,
        /// What the caller can do.
        advice: &'static str,
    },
    /// A needed library is nowhere that the loader looks.
    #[error(
        "cannot find the library {library:?}, which {needed_by:?} needs; install it, or name its \
         directory as LD_LIBRARY_PATH would (looked in {looked_in})"
    )]
    Missing {
        /// `DT_NEEDED`.
        library: String,
        /// The object that needs it.
        needed_by: PathBuf,
        /// Directories that were tried.
        looked_in: String,
    },
    /// A script whose interpreter is a script, and so on.
    #[error(
        "cannot start {path:?}: its interpreters are scripts themselves, more than {MOST_SCRIPTS} \
         deep; name the program that runs it"
    )]
    Scripts {
        /// The first script.
        path: PathBuf,
    },
    /// More files than any program has.
    #[error(
        "{path:?} needs more than {} files; it is no program that can be analysed",
        closure::MOST_OBJECTS
    )]
    TooMany {
        /// The program.
        path: PathBuf,
    },
}

fn because(needed_by: &Option<PathBuf>) -> String {
    let by = needed_by.as_ref();
    by.map_or(String::new(), |p| format!(", which {p:?} needs"))
}

/// The kernel follows so many scripts (`exec_binprm`, fs/exec.c).
pub const MOST_SCRIPTS: usize = 4;

/// Builds the image of `program`.
pub fn link(files: &dyn Files, program: &Path, request: &LinkRequest) -> Result<Image, Error> {
    let closure = Closure::build(files, program, request)?;
    let Closure {
        members,
        global,
        script,
        seen,
        mut warnings,
        ..
    } = closure;
    let (members, outlines): (Vec<Member>, Vec<_>) = members.into_iter().unzip();
    let read: Vec<Arc<Object>> = outlines
        .into_par_iter()
        .map(|o| Arc::new(Object::read(o)))
        .collect();
    let hashes = members
        .iter()
        .zip(&read)
        .map(|(m, o)| (o.sha256, m.identity));
    let consulted = Closure::consulted(seen, &hashes.collect::<Vec<_>>());
    let mut places = Vec::new();
    let mut objects = Vec::with_capacity(read.len());
    for (index, (member, file)) in members.iter().zip(&read).enumerate() {
        let base = place(&mut places, index as u32, file);
        objects.push(ImageObject {
            path: member.path.clone(),
            role: member.role,
            service: service(&members, index),
            base,
            identity: member.identity,
            regions: moved(&file.regions, base),
            words: Default::default(),
            begins: Vec::new(),
            function_values: Vec::new(),
            variables: Vec::new(),
            vdso: Vec::new(),
            file: Arc::clone(file),
        });
    }
    check_entry(&objects)?;
    for object in &objects {
        if object.regions.iter().any(|r| r.executable && r.writable) {
            let text = "maps code that the program can change: what it becomes is unknown";
            warnings.push(warning(
                "PC0126",
                format!("{} {text}", object.path.display()),
            ));
        }
    }
    let scopes = scope::scopes(&members, &global);
    let bound = relocate::relocate(&objects, &scopes, &mut warnings);
    for (object, words) in objects.iter_mut().zip(bound) {
        object.words = words;
    }
    warnings.sort();
    warnings.dedup();
    let arch = objects[0].file.arch;
    let mut image = Image {
        objects,
        warnings,
        script,
        consulted,
        places,
        convention: crate::isa::Convention::of(arch),
    };
    let begins = begins::begins(&image);
    for (object, begins) in image.objects.iter_mut().zip(begins) {
        object.begins = begins;
    }
    let values = begins::function_values(&image);
    for (object, values) in image.objects.iter_mut().zip(values) {
        object.function_values = values;
    }
    for object in &mut image.objects {
        object.variables = variables::known(object);
        object.vdso = vdso::pointers(object);
    }
    Ok(image)
}

/// The name service on whose behalf alone a member is there.
fn service(members: &[Member], index: usize) -> Option<ObjectId> {
    let mut id = index;
    while members[id].role != Role::Service {
        id = members[id].loader?;
    }
    Some(ObjectId(id as u32))
}

/// Finds room for an object: a base such that its first page begins a stretch of 4 GiB. The
/// program's stretch is kept free when it has addresses of its own.
fn place(places: &mut Vec<u32>, index: u32, file: &Object) -> u64 {
    let start = FIRST_BASE + ((places.len() as u64) << 32);
    if file.fixed {
        places.push(index);
        return 0;
    }
    let size = file.end() - file.first_page();
    for _ in 0..=(size >> 32) {
        places.push(index);
    }
    start.wrapping_sub(file.first_page())
}

fn moved(regions: &[Region], base: u64) -> Vec<Region> {
    let one = |r: &Region| Region {
        range: r.range.start.wrapping_add(base)..r.range.end.wrapping_add(base),
        ..r.clone()
    };
    regions.iter().map(one).collect()
}

/// Control starts in code, or the kernel kills the program at once.
fn check_entry(objects: &[ImageObject]) -> Result<(), Error> {
    let started = objects
        .iter()
        .filter(|o| matches!(o.role, Role::Program | Role::Loader));
    for object in started {
        let region = crate::load::region_of(&object.file.regions, object.file.entry);
        if !region.is_some_and(|r| r.executable) {
            return Err(Error::Object {
                path: object.path.clone(),
                needed_by: None,
                reason: Malformed::Field("e_entry"),
                advice: "it cannot be started",
            });
        }
    }
    Ok(())
}

/// A warning of this part.
fn warning(code: &'static str, message: String) -> Warning {
    Warning { code, message }
}

const _: () = assert!(FIRST_BASE.is_multiple_of(PAGE));
