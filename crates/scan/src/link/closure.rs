//! Which files become part of the program, in the loader's order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use portcullis_abi::{Arch, Warning};
use sha2::{Digest, Sha256};

use super::search::{Flavour, Search};
use super::{Error, LinkRequest, MOST_SCRIPTS, services, warning};
use crate::files::{FileData, Files, FilesError, Identity};
use crate::image::{Consulted, Role};
use crate::load::{Malformed, Outline, interpreter};

/// The largest programs (office suites, browsers) need some three hundred.
pub(super) const MOST_OBJECTS: usize = 2000;

/// One object of the closure.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: PathBuf,
    pub(super) role: Role,
    pub(super) identity: Option<Identity>,
    /// What stands for `$ORIGIN`.
    pub(super) origin: PathBuf,
    /// Names under which another object's `DT_NEEDED` finds it.
    names: Vec<Vec<u8>>,
    /// The object on whose behalf it was loaded.
    pub(super) loader: Option<usize>,
    /// What its own `DT_NEEDED` led to, in order.
    pub(super) needs: Vec<usize>,
    /// Looks into itself first.
    pub(super) symbolic: bool,
}

/// The closure while it is built.
pub(super) struct Closure<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) request: &'a LinkRequest,
    pub(super) members: Vec<(Member, Outline)>,
    /// Members in the order in which the loader looks symbols up.
    pub(super) global: Vec<usize>,
    pub(super) script: Option<(String, Option<String>)>,
    pub(super) seen: Vec<(PathBuf, Seen)>,
    pub(super) warnings: Vec<Warning>,
    search: Search,
    /// Members by resolved path: the same file under two names is one object.
    by_path: HashMap<PathBuf, usize>,
}

/// What a path turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    /// Nothing that can be read.
    Absent,
    /// The file of a member, whose content is hashed with the others'.
    Member(usize),
    /// A configuration file, a script, or what was passed over.
    Other([u8; 32], Option<Identity>),
}

/// What came of looking a library up.
enum Found {
    Member(usize),
    /// Read, but not part of the closure yet.
    New(PathBuf, Option<Identity>, Box<Outline>),
    Nowhere(Vec<PathBuf>),
}

impl<'a> Closure<'a> {
    /// Everything that `request` makes part of the program's image.
    pub(super) fn build(
        files: &'a dyn Files,
        program: &Path,
        request: &'a LinkRequest,
    ) -> Result<Closure<'a>, Error> {
        let mut closure = Closure {
            files,
            request,
            members: Vec::new(),
            global: Vec::new(),
            script: None,
            seen: Vec::new(),
            warnings: Vec::new(),
            search: Search::default(),
            by_path: HashMap::new(),
        };
        closure.start(program)?;
        if closure.members[0].1.dynamic.is_some() && closure.members.len() > 1 {
            closure.preload()?;
            closure.global = closure.breadth_first(closure.global.clone(), Role::Library)?;
        }
        closure.plugins()?;
        closure.services()?;
        Ok(closure)
    }

    /// Reads a file; what it was is noted by [`Closure::hash`] or [`Closure::add`].
    fn read(&mut self, path: &Path) -> Result<FileData, FilesError> {
        self.seen.push((path.to_owned(), Seen::Absent));
        self.files.read(path)
    }

    /// Notes the content of the file that was read last.
    fn hash(&mut self, data: &FileData) {
        if let Some((_, seen)) = self.seen.last_mut() {
            *seen = Seen::Other(Sha256::digest(&data.bytes).into(), data.identity);
        }
    }

    /// Every file that was looked for, with the hashes of the members in their order.
    pub(super) fn consulted(
        seen: Vec<(PathBuf, Seen)>,
        hashes: &[([u8; 32], Option<Identity>)],
    ) -> Vec<Consulted> {
        let one = |(path, seen)| Consulted {
            path,
            content: match seen {
                Seen::Absent => None,
                Seen::Other(hash, identity) => Some((hash, identity)),
                Seen::Member(id) => hashes.get(id).copied(),
            },
        };
        seen.into_iter().map(one).collect()
    }

    /// A configuration file, if there is one.
    fn configuration(&mut self, path: &Path) -> Option<Vec<u8>> {
        match self.read(path) {
            Ok(data) => {
                self.hash(&data);
                Some(data.bytes)
            }
            Err(FilesError::NotFound) => None,
            Err(error) => {
                let text = format!("{} is not used: {error}", path.display());
                self.warnings.push(warning("PC0120", text));
                None
            }
        }
    }

    /// The program and its loader.
    fn start(&mut self, program: &Path) -> Result<(), Error> {
        let mut path = self.files.absolute(program);
        let first = path.clone();
        let mut by: Option<PathBuf> = None;
        for _ in 0..=MOST_SCRIPTS {
            let data = self.read(&path).map_err(|reason| Error::Read {
                path: path.clone(),
                needed_by: by.clone(),
                reason,
                advice: "name an executable file",
            })?;
            let Some(found) = interpreter(&data.bytes) else {
                return self.program(path, by, data);
            };
            self.hash(&data);
            if self.script.is_none() {
                self.script = Some((path.display().to_string(), found.argument));
            }
            by = Some(path);
            path = self.files.absolute(&found.program);
        }
        Err(Error::Scripts { path: first })
    }

    fn program(
        &mut self,
        path: PathBuf,
        needed_by: Option<PathBuf>,
        data: FileData,
    ) -> Result<(), Error> {
        let identity = data.identity;
        let object_error = |path: &Path, needed_by, reason| Error::Object {
            path: path.to_owned(),
            needed_by,
            reason,
            advice: "name a Linux program for x86_64 or aarch64",
        };
        let outline = Outline::read(data.bytes).map_err(|e| object_error(&path, needed_by, e))?;
        let loader = outline.interpreter();
        let loader = loader.map(|p| self.files.absolute(Path::new(OsStr::from_bytes(p))));
        // The kernel tells the program its resolved name, and the loader asks for it.
        let origin = self.files.resolve(&path).unwrap_or_else(|_| path.clone());
        self.add(path.clone(), origin, Role::Program, None, identity, outline);
        self.global.push(0);
        let Some(loader) = loader else { return Ok(()) };
        let by = Some(path);
        let data = self.read(&loader).map_err(|reason| Error::Read {
            path: loader.clone(),
            needed_by: by.clone(),
            reason,
            advice: "the program cannot be started without its interpreter; install it, or give \
                     the right --root",
        })?;
        let identity = data.identity;
        let outline =
            Outline::read(data.bytes).map_err(|e| object_error(&loader, by.clone(), e))?;
        if outline.arch() != self.arch() {
            return Err(object_error(&loader, by, Malformed::Other(outline.arch())));
        }
        if outline.fixed() || outline.interpreter().is_some() {
            return Err(object_error(&loader, by, Malformed::Executable));
        }
        self.search = Search::of(&loader, &outline);
        let origin = self
            .files
            .resolve(&loader)
            .unwrap_or_else(|_| loader.clone());
        let own = loader.as_os_str().as_bytes().to_vec();
        let id = self.add(
            loader.clone(),
            origin,
            Role::Loader,
            None,
            identity,
            outline,
        );
        self.members[id].0.names.push(own);
        self.read_search_files(&loader);
        Ok(())
    }

    /// The program's architecture.
    fn arch(&self) -> Arch {
        self.members[0].1.arch()
    }

    /// The levels of hardware that its loader knows directories for: glibc has none on aarch64.
    fn levels(&self) -> &'a [String] {
        match self.arch() {
            Arch::X86_64 => &self.request.hardware_levels,
            _ => &[],
        }
    }

    fn read_search_files(&mut self, loader: &Path) {
        match self.search.flavour {
            Flavour::Glibc => {
                let cache = self.configuration(Path::new("/etc/ld.so.cache"));
                if let Some(bytes) = cache {
                    self.search.cache = super::cache::read(&bytes, self.arch(), self.levels());
                }
            }
            Flavour::Musl => {
                // `/lib/ld-musl-ARCH.so.1` reads `/etc/ld-musl-ARCH.path` beside its `/lib`.
                if let Some(path) = super::search::musl_path_file(loader)
                    && let Some(bytes) = self.configuration(&path)
                {
                    self.search.system = super::search::musl_path(&bytes);
                }
            }
        }
    }

    fn add(
        &mut self,
        path: PathBuf,
        resolved: PathBuf,
        role: Role,
        loader: Option<usize>,
        identity: Option<Identity>,
        outline: Outline,
    ) -> usize {
        let id = self.members.len();
        let dynamic = outline.dynamic.as_ref();
        let soname = dynamic.and_then(|d| d.soname.clone());
        // glibc keeps the directory of the name it opened for libraries and the resolved one for
        // the program (`_dl_get_origin`).
        let whole = if role == Role::Program {
            &resolved
        } else {
            &path
        };
        let member = Member {
            origin: whole.parent().map(Path::to_owned).unwrap_or_default(),
            role,
            identity,
            names: soname.into_iter().collect(),
            loader,
            needs: Vec::new(),
            symbolic: dynamic.is_some_and(|d| d.symbolic),
            path,
        };
        self.by_path.insert(resolved, id);
        self.note(id);
        self.members.push((member, outline));
        id
    }

    /// The file that was read last is this member.
    fn note(&mut self, id: usize) {
        if let Some((_, seen)) = self.seen.last_mut() {
            *seen = Seen::Member(id);
        }
    }

    /// `LD_PRELOAD`, then `/etc/ld.so.preload`; what cannot be loaded is left out, as the loader
    /// leaves it out.
    fn preload(&mut self) -> Result<(), Error> {
        let split = |list: &[u8]| -> Vec<Vec<u8>> {
            let parts = list.split(|b| b" :\t\n".contains(b));
            parts
                .filter(|p| !p.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        };
        let given = self.request.ld_preload.as_ref();
        let mut names = given.map_or(Vec::new(), |list| split(list.as_bytes()));
        let excluded = self.request.without_preload_file;
        if self.search.flavour == Flavour::Glibc
            && !excluded
            && let Some(list) = self.configuration(Path::new("/etc/ld.so.preload"))
        {
            let lines = list.split(|&b| b == b'\n');
            let bare = lines.map(|l| l.split(|&b| b == b'#').next().unwrap_or(l));
            names.extend(bare.flat_map(split));
        }
        for name in names {
            match self.require(0, &name, Role::Library) {
                Ok(id) if !self.global.contains(&id) => self.global.push(id),
                Ok(_) => {}
                Err(error @ Error::TooMany { .. }) => return Err(error),
                Err(error) => self
                    .warnings
                    .push(warning("PC0121", format!("not preloaded: {error}"))),
            }
        }
        Ok(())
    }

    /// The objects of `list` and everything they need, breadth first.
    fn breadth_first(&mut self, mut list: Vec<usize>, role: Role) -> Result<Vec<usize>, Error> {
        let mut next = 0;
        while let Some(&id) = list.get(next) {
            next += 1;
            let dynamic = self.members[id].1.dynamic.as_ref();
            let needed = dynamic.map_or(Vec::new(), |d| d.needed.clone());
            for name in needed {
                let found = match self.require(id, &name, role) {
                    Ok(found) => found,
                    Err(error @ Error::TooMany { .. }) => return Err(error),
                    Err(error) if self.tolerated(id) => {
                        self.warnings.push(warning("PC0122", error.to_string()));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let needs = &mut self.members[id].0.needs;
                if !needs.contains(&found) {
                    needs.push(found);
                }
                if !list.contains(&found) {
                    list.push(found);
                }
            }
        }
        Ok(list)
    }

    /// Whether the program can run without what this member needs.
    fn tolerated(&self, mut id: usize) -> bool {
        loop {
            if self.members[id].0.role.is_late() {
                return true;
            }
            match self.members[id].0.loader {
                Some(loader) => id = loader,
                None => return false,
            }
        }
    }

    /// Plugins and audit modules, each with what it needs.
    fn plugins(&mut self) -> Result<(), Error> {
        let audit = self.request.ld_audit.as_ref();
        let audit = audit.map_or(Vec::new(), |list| {
            let parts = list.as_bytes().split(|&b| b == b':');
            parts
                .filter(|p| !p.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        });
        let named = self.request.plugins.iter();
        let named = named.map(|p| self.files.absolute(p).into_os_string());
        let named: Vec<Vec<u8>> = named.map(|p| p.as_bytes().to_vec()).chain(audit).collect();
        for name in named {
            let before = self.members.len();
            let id = self.require(0, &name, Role::Plugin)?;
            if id >= before {
                self.breadth_first(vec![id], Role::Library)?;
            }
        }
        Ok(())
    }

    /// The modules that glibc loads by its configuration, each with what it needs. One that cannot
    /// be loaded does not answer.
    fn services(&mut self) -> Result<(), Error> {
        let library = self.members.iter();
        let mut named = library.map(|(m, _)| m.names.iter().any(|n| n == b"libc.so.6"));
        let (Some(file), Some(library)) = (&self.request.nsswitch, named.position(|is| is)) else {
            return Ok(());
        };
        let configuration = self.configuration(file);
        for name in services::modules(configuration.as_deref()) {
            let before = self.members.len();
            match self.require(library, &name, Role::Service) {
                Ok(id) if id >= before => {
                    self.breadth_first(vec![id], Role::Library)?;
                }
                Ok(_) | Err(Error::Missing { .. }) => {}
                Err(error @ Error::TooMany { .. }) => return Err(error),
                Err(error) => self.warnings.push(warning("PC0122", error.to_string())),
            }
        }
        Ok(())
    }

    /// The member that `name` stands for in `by`'s list, loaded if it is not yet.
    fn require(&mut self, by: usize, name: &[u8], role: Role) -> Result<usize, Error> {
        let (path, identity, outline) = match self.find(by, name)? {
            Found::Member(id) => return Ok(id),
            Found::New(path, identity, outline) => (path, identity, outline),
            Found::Nowhere(tried) => {
                let tried: Vec<_> = tried.iter().map(|d| format!("{d:?}")).collect();
                return Err(Error::Missing {
                    library: String::from_utf8_lossy(name).into_owned(),
                    needed_by: self.members[by].0.path.clone(),
                    looked_in: tried.join(", "),
                });
            }
        };
        let resolved = self.files.resolve(&path).unwrap_or_else(|_| path.clone());
        let same = |m: &Member| identity.is_some() && m.identity == identity;
        let known = self.by_path.get(&resolved).copied();
        let known = known.or_else(|| self.members.iter().position(|(m, _)| same(m)));
        if let Some(id) = known {
            self.members[id].0.names.push(name.to_vec());
            self.note(id);
            return Ok(id);
        }
        if self.members.len() >= MOST_OBJECTS {
            return Err(Error::TooMany {
                path: self.members[0].0.path.clone(),
            });
        }
        if outline.fixed() || outline.dynamic.as_ref().is_some_and(|d| d.executable) {
            return Err(self.unusable(by, path, Malformed::Executable));
        }
        let id = self.add(path, resolved, role, Some(by), identity, *outline);
        self.members[id].0.names.push(name.to_vec());
        Ok(id)
    }

    fn find(&mut self, by: usize, name: &[u8]) -> Result<Found, Error> {
        if self.search.is_loader(name) {
            return Ok(Found::Member(1));
        }
        let known = self
            .members
            .iter()
            .position(|(m, _)| m.names.iter().any(|n| n == name));
        if let Some(id) = known {
            return Ok(Found::Member(id));
        }
        let mut tried = Vec::new();
        for path in self
            .search
            .candidates(&self.members, by, name, self.request, self.levels())
        {
            let path = self.files.absolute(&path);
            let data = match self.read(&path) {
                Ok(data) => data,
                Err(FilesError::NotFound) => {
                    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
                    if !tried.contains(&directory) {
                        tried.push(directory);
                    }
                    continue;
                }
                Err(reason) => {
                    return Err(Error::Read {
                        path,
                        needed_by: Some(self.members[by].0.path.clone()),
                        reason,
                        advice: "remove it from the library search path, or repair it",
                    });
                }
            };
            let identity = data.identity;
            let own = self.arch();
            let outline = Outline::read(data.bytes).and_then(|outline| match outline.arch() {
                arch if arch == own => Ok(outline),
                arch => Err(Malformed::Other(arch)),
            });
            match outline {
                Ok(outline) => return Ok(Found::New(path, identity, Box::new(outline))),
                // A library of another architecture is passed over (`open_verify`).
                Err(Malformed::Foreign { .. } | Malformed::Other(_)) if !name.contains(&b'/') => {
                    if let Ok(again) = self.files.read(&path) {
                        self.hash(&again);
                    }
                }
                Err(reason) => return Err(self.unusable(by, path, reason)),
            }
        }
        Ok(Found::Nowhere(tried))
    }

    fn unusable(&self, by: usize, path: PathBuf, reason: Malformed) -> Error {
        Error::Object {
            path,
            needed_by: Some(self.members[by].0.path.clone()),
            reason,
            advice: "reinstall the package that it comes from",
        }
    }
}
