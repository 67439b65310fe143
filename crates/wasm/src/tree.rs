//! A job's directory: a tree of files in its own memory. It begins with what the job was given, and what is asked of the job
//! is read from it at the end. No call of the kernel is made for it.
//!
//! Everything about it is the same on every machine: numbers of files count up in the order in which they come to be, times
//! are 0 until somebody sets them, and a directory is listed by those numbers.

use std::collections::BTreeMap;

use portcullis_host::{Given, NotTaken};

use crate::errno::{
    EXIST, ILSEQ, INVAL, ISDIR, NAMETOOLONG, NOENT, NOSPC, NOTCAPABLE, NOTDIR, NOTEMPTY,
};
use crate::room::Room;

/// The number of a file or directory.
pub(crate) type Number = u64;

/// The directory in which all others are.
pub(crate) const ROOT: Number = 1;

/// What a file or a directory takes beside its content: more than its name and its entry do.
const EACH: u64 = 1024;
/// How many there are at one time.
const MOST: usize = 1 << 15;
/// The longest part of a path, and the longest path.
const MOST_NAME: usize = 255;
const MOST_PATH: usize = 4096;

/// A file or a directory.
#[derive(Debug)]
pub(crate) struct Node {
    content: Content,
    /// Of its last reading and of its last change, as they were set.
    pub(crate) times: [u64; 2],
    /// How many descriptors there are of it.
    open: u32,
    /// It has a name.
    named: bool,
}

#[derive(Debug)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<String, Number>),
}

impl Node {
    fn new(content: Content) -> Node {
        Node {
            content,
            times: [0; 2],
            open: 0,
            named: true,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory(_))
    }

    /// How many bytes it holds.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::File(bytes) => bytes.len() as u64,
            Content::Directory(_) => 0,
        }
    }
}

/// Where a path leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The directory in which its last part is.
    within: Number,
    /// The last part; `None` when the path is that directory itself.
    name: Option<String>,
    /// What is there.
    pub(crate) found: Option<Number>,
    /// Only a directory is meant: it ends with a slash.
    directory: bool,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<Number, Node>,
    next: Number,
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let root = Node::new(Content::Directory(BTreeMap::new()));
        Tree {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
        }
    }

    /// Puts a file there that the job is given, with the directories that its name asks for.
    pub(crate) fn place(&mut self, file: Given, room: &mut Room) -> Result<(), i32> {
        for (at, _) in file.name.match_indices('/') {
            let parent = &file.name[..at];
            if self.at(ROOT, parent)?.found.is_none() {
                self.make_directory(ROOT, parent, room)?;
            }
        }
        let place = self.at(ROOT, &file.name)?;
        if !room.take(file.bytes.len() as u64) {
            return Err(NOSPC);
        }
        let made = self.make(&place, Content::File(Vec::new()), room)?;
        if let Some(node) = self.nodes.get_mut(&made) {
            node.content = Content::File(file.bytes);
        }
        Ok(())
    }

    /// What the file of this name holds in the end.
    pub(crate) fn taken(&self, name: &str) -> Result<&[u8], NotTaken> {
        let found = self.at(ROOT, name).ok().and_then(|place| place.found);
        let node = found.and_then(|number| self.nodes.get(&number));
        match &node.ok_or(NotTaken::Missing)?.content {
            Content::File(bytes) => Ok(bytes),
            Content::Directory(_) => Err(NotTaken::NoFile),
        }
    }

    pub(crate) fn node(&self, number: Number) -> Result<&Node, i32> {
        self.nodes.get(&number).ok_or(NOENT)
    }

    pub(crate) fn set_times(&mut self, number: Number, times: [Option<u64>; 2]) -> Result<(), i32> {
        let node = self.nodes.get_mut(&number).ok_or(NOENT)?;
        for (time, new) in node.times.iter_mut().zip(times) {
            *time = new.unwrap_or(*time);
        }
        Ok(())
    }

    fn entries(&self, directory: Number) -> Result<&BTreeMap<String, Number>, i32> {
        match &self.node(directory)?.content {
            Content::Directory(entries) => Ok(entries),
            Content::File(_) => Err(NOTDIR),
        }
    }

    fn entries_mut(&mut self, directory: Number) -> Result<&mut BTreeMap<String, Number>, i32> {
        match self.nodes.get_mut(&directory).map(|node| &mut node.content) {
            Some(Content::Directory(entries)) => Ok(entries),
            Some(Content::File(_)) => Err(NOTDIR),
            None => Err(NOENT),
        }
    }

    /// Where `path` leads from `base`, which it does not leave.
    pub(crate) fn at(&self, base: Number, path: &str) -> Result<Place, i32> {
        if path.len() > MOST_PATH {
            return Err(NAMETOOLONG);
        }
        if path.is_empty() {
            return Err(NOENT);
        }
        if path.contains('\0') {
            return Err(ILSEQ);
        }
        if path.starts_with('/') {
            return Err(NOTCAPABLE);
        }
        // A path that ends so is the directory before it, which has no name then.
        let nameless = matches!(
            path.trim_end_matches('/').rsplit('/').next(),
            Some("." | "..")
        );
        let directory = nameless || path.ends_with('/');
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        let mut way = vec![base];
        let mut last: Option<(Number, &str, Option<Number>)> = None;
        for part in parts {
            if part.len() > MOST_NAME {
                return Err(NAMETOOLONG);
            }
            if let Some((_, _, found)) = last.take() {
                way.push(found.ok_or(NOENT)?);
            }
            let here = way.last().copied().unwrap_or(base);
            let entries = self.entries(here)?;
            if part == ".." {
                way.pop();
                if way.is_empty() {
                    return Err(NOTCAPABLE);
                }
                continue;
            }
            last = Some((here, part, entries.get(part).copied()));
        }
        if nameless && let Some((_, _, found)) = last.take() {
            way.push(found.ok_or(NOENT)?);
        }
        let here = way.last().copied().unwrap_or(base);
        let place = match last {
            Some((within, name, found)) => Place {
                within,
                name: Some(name.to_owned()),
                found,
                directory,
            },
            None => Place {
                within: here,
                name: None,
                found: Some(here),
                directory,
            },
        };
        match place.found {
            Some(found) if directory && !self.node(found)?.is_directory() => Err(NOTDIR),
            _ => Ok(place),
        }
    }

    fn make(&mut self, place: &Place, content: Content, room: &mut Room) -> Result<Number, i32> {
        let name = place.name.clone().ok_or(EXIST)?;
        if place.found.is_some() {
            return Err(EXIST);
        }
        // In a directory that was removed nothing comes to be.
        if !self.node(place.within)?.named {
            return Err(NOENT);
        }
        if self.nodes.len() >= MOST || !room.take(EACH) {
            return Err(NOSPC);
        }
        let number = self.next;
        self.next += 1;
        self.entries_mut(place.within)?.insert(name, number);
        self.nodes.insert(number, Node::new(content));
        Ok(number)
    }

    /// Makes an empty file.
    pub(crate) fn make_file(&mut self, place: &Place, room: &mut Room) -> Result<Number, i32> {
        match place.directory {
            true => Err(ISDIR),
            false => self.make(place, Content::File(Vec::new()), room),
        }
    }

    pub(crate) fn make_directory(
        &mut self,
        base: Number,
        path: &str,
        room: &mut Room,
    ) -> Result<Number, i32> {
        let place = self.at(base, path)?;
        self.make(&place, Content::Directory(BTreeMap::new()), room)
    }

    /// One more descriptor of it.
    pub(crate) fn open(&mut self, number: Number) -> Result<(), i32> {
        let node = self.nodes.get_mut(&number).ok_or(NOENT)?;
        node.open += 1;
        Ok(())
    }

    /// One descriptor less.
    pub(crate) fn close(&mut self, number: Number, room: &mut Room) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.open = node.open.saturating_sub(1);
        }
        self.drop_unused(number, room);
    }

    fn drop_unused(&mut self, number: Number, room: &mut Room) {
        let unused = |node: &Node| !node.named && node.open == 0;
        if self.nodes.get(&number).is_some_and(unused)
            && let Some(node) = self.nodes.remove(&number)
        {
            room.give_back(EACH.saturating_add(node.size()));
        }
    }

    /// Takes its name away; it is there as long as it is open.
    fn forget(&mut self, within: Number, name: &str, room: &mut Room) -> Result<(), i32> {
        let number = self.entries_mut(within)?.remove(name).ok_or(NOENT)?;
        if let Some(node) = self.nodes.get_mut(&number) {
            node.named = false;
        }
        self.drop_unused(number, room);
        Ok(())
    }

    pub(crate) fn remove_file(
        &mut self,
        base: Number,
        path: &str,
        room: &mut Room,
    ) -> Result<(), i32> {
        let place = self.at(base, path)?;
        if self.node(place.found.ok_or(NOENT)?)?.is_directory() {
            return Err(ISDIR);
        }
        self.forget(place.within, &place.name.ok_or(ISDIR)?, room)
    }

    pub(crate) fn remove_directory(
        &mut self,
        base: Number,
        path: &str,
        room: &mut Room,
    ) -> Result<(), i32> {
        let place = self.at(base, path)?;
        if !self.entries(place.found.ok_or(NOENT)?)?.is_empty() {
            return Err(NOTEMPTY);
        }
        // What it stands in itself is not removed.
        self.forget(place.within, &place.name.ok_or(INVAL)?, room)
    }

    /// Gives what is at one place the name of another, over what is there if that can be.
    pub(crate) fn rename(
        &mut self,
        (from, to): ((Number, &str), (Number, &str)),
        room: &mut Room,
    ) -> Result<(), i32> {
        let (from, to) = (self.at(from.0, from.1)?, self.at(to.0, to.1)?);
        let number = from.found.ok_or(NOENT)?;
        let (Some(old), Some(new)) = (from.name, to.name) else {
            return Err(INVAL);
        };
        if to.found == Some(number) {
            return Ok(());
        }
        let is_directory = self.node(number)?.is_directory();
        if to.directory && !is_directory {
            return Err(NOTDIR);
        }
        if !self.node(to.within)?.named {
            return Err(NOENT);
        }
        if is_directory && self.is_within(to.within, number) {
            return Err(INVAL);
        }
        if let Some(there) = to.found {
            match (is_directory, self.node(there)?.is_directory()) {
                (false, true) => return Err(ISDIR),
                (true, false) => return Err(NOTDIR),
                (true, true) if !self.entries(there)?.is_empty() => return Err(NOTEMPTY),
                _ => self.forget(to.within, &new, room)?,
            }
        }
        self.entries_mut(from.within)?.remove(&old);
        self.entries_mut(to.within)?.insert(new, number);
        Ok(())
    }

    /// Whether `inner` is `outer`, or somewhere in it.
    fn is_within(&self, inner: Number, outer: Number) -> bool {
        let mut left = vec![outer];
        while let Some(number) = left.pop() {
            if number == inner {
                return true;
            }
            if let Ok(entries) = self.entries(number) {
                left.extend(entries.values());
            }
        }
        false
    }

    /// Name and number of what is in a directory, by their numbers, from this one on: what comes or goes while somebody
    /// reads a directory moves nothing else.
    pub(crate) fn list(&self, directory: Number, from: Number) -> Result<Vec<(&str, Number)>, i32> {
        let entries = self.entries(directory)?.iter();
        let mut listed: Vec<_> = entries
            .map(|(name, number)| (name.as_str(), *number))
            .filter(|(_, number)| *number >= from)
            .collect();
        listed.sort_unstable_by_key(|(_, number)| *number);
        Ok(listed)
    }

    fn file_mut(&mut self, number: Number) -> Result<&mut Vec<u8>, i32> {
        match self.nodes.get_mut(&number).map(|node| &mut node.content) {
            Some(Content::File(bytes)) => Ok(bytes),
            Some(Content::Directory(_)) => Err(ISDIR),
            None => Err(NOENT),
        }
    }

    /// What a file holds from a place on.
    pub(crate) fn read(&self, number: Number, from: u64) -> Result<&[u8], i32> {
        match &self.node(number)?.content {
            Content::File(bytes) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                Ok(bytes.get(from..).unwrap_or_default())
            }
            Content::Directory(_) => Err(ISDIR),
        }
    }

    /// Writes all of it, or nothing where there is no room.
    pub(crate) fn write(
        &mut self,
        number: Number,
        from: u64,
        bytes: &[u8],
        room: &mut Room,
    ) -> Result<(), i32> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = from.checked_add(bytes.len() as u64).ok_or(NOSPC)?;
        if end > self.node(number)?.size() {
            self.set_size(number, end, room)?;
        }
        let from = usize::try_from(from).map_err(|_| NOSPC)?;
        let to = self.file_mut(number)?.get_mut(from..from + bytes.len());
        to.ok_or(NOSPC)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Cuts it, or adds zeros.
    pub(crate) fn set_size(
        &mut self,
        number: Number,
        size: u64,
        room: &mut Room,
    ) -> Result<(), i32> {
        let file = self.file_mut(number)?;
        let now = file.len() as u64;
        if size > now && !room.take(size - now) {
            return Err(NOSPC);
        }
        let length = usize::try_from(size).map_err(|_| NOSPC)?;
        file.resize(length, 0);
        if size < now {
            file.shrink_to_fit();
            room.give_back(now - size);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn room() -> Room {
        Room::new(1 << 20)
    }

    fn given(name: &str, bytes: &[u8]) -> Given {
        Given {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            executable: false,
        }
    }

    #[test]
    fn what_was_given_is_there_and_what_is_asked_is_found() {
        let (mut tree, mut room) = (Tree::new(), room());
        tree.place(given("a", b"one"), &mut room).unwrap();
        tree.place(given("deep/er/b", b""), &mut room).unwrap();
        tree.place(given("deep/c", b"two"), &mut room).unwrap();
        assert_eq!(tree.taken("a"), Ok(&b"one"[..]));
        assert_eq!(tree.taken("deep/er/b"), Ok(&b""[..]));
        assert_eq!(tree.taken("deep/c"), Ok(&b"two"[..]));
        assert_eq!(tree.taken("deep"), Err(NotTaken::NoFile));
        assert_eq!(tree.taken("a/b"), Err(NotTaken::Missing));
        assert_eq!(tree.taken("none"), Err(NotTaken::Missing));
        // One in the place of another, or of its directory.
        for name in ["a", "a/b", "deep", "deep/er"] {
            assert!(tree.place(given(name, b""), &mut room).is_err(), "{name}");
        }
        let listed = tree.list(ROOT, 0).unwrap();
        assert_eq!(listed, [("a", 2), ("deep", 3)]);
    }

    #[test]
    fn no_path_leads_out() {
        let (mut tree, mut room) = (Tree::new(), room());
        let a = tree.make_directory(ROOT, "a", &mut room).unwrap();
        tree.make_directory(a, "b", &mut room).unwrap();
        assert_eq!(tree.at(ROOT, "a/b/../..").unwrap().found, Some(ROOT));
        assert_eq!(
            tree.at(ROOT, "./a//b/.").unwrap().found,
            tree.at(a, "b").unwrap().found
        );
        for (base, path) in [
            (ROOT, ".."),
            (ROOT, "a/../.."),
            (a, ".."),
            (a, "b/../../a"),
            (ROOT, "/a"),
        ] {
            assert_eq!(tree.at(base, path), Err(NOTCAPABLE), "{path}");
        }
        assert_eq!(tree.at(ROOT, ""), Err(NOENT));
        assert_eq!(tree.at(ROOT, "a\0b"), Err(ILSEQ));
        assert_eq!(tree.at(ROOT, &"x".repeat(256)), Err(NAMETOOLONG));
        assert_eq!(tree.at(ROOT, &"x/".repeat(2049)), Err(NAMETOOLONG));
        // What the directory itself is cannot be taken away or moved.
        assert_eq!(tree.remove_directory(ROOT, ".", &mut room), Err(NOTEMPTY));
        tree.remove_directory(ROOT, "a/b", &mut room).unwrap();
        tree.remove_directory(ROOT, "a", &mut room).unwrap();
        assert_eq!(tree.remove_directory(ROOT, ".", &mut room), Err(INVAL));
        // Nothing comes to be where nobody could find it.
        assert_eq!(tree.make_directory(ROOT, "a/b", &mut room), Err(NOENT));
    }

    #[test]
    fn what_is_open_stays_until_it_is_closed() {
        let (mut tree, mut room) = (Tree::new(), room());
        let place = tree.at(ROOT, "f").unwrap();
        let file = tree.make_file(&place, &mut room).unwrap();
        tree.open(file).unwrap();
        tree.write(file, 2, b"x", &mut room).unwrap();
        tree.remove_file(ROOT, "f", &mut room).unwrap();
        assert_eq!(tree.read(file, 0), Ok(&b"\0\0x"[..]));
        assert_eq!(tree.taken("f"), Err(NotTaken::Missing));
        tree.close(file, &mut room);
        assert_eq!(tree.read(file, 0), Err(NOENT));
        // All that it took is there again.
        assert!(room.take(1 << 20));
    }

    #[test]
    fn bytes_and_files_are_bounded() {
        let mut tree = Tree::new();
        let mut room = Room::new(EACH + 100);
        let place = tree.at(ROOT, "f").unwrap();
        let file = tree.make_file(&place, &mut room).unwrap();
        tree.write(file, 0, &[1; 60], &mut room).unwrap();
        assert_eq!(tree.write(file, 41, &[2; 60], &mut room), Err(NOSPC));
        assert_eq!(tree.read(file, 0), Ok(&[1; 60][..]));
        // However far away: what is between counts.
        assert_eq!(tree.write(file, u64::MAX, &[2], &mut room), Err(NOSPC));
        assert_eq!(tree.write(file, 1 << 62, &[2], &mut room), Err(NOSPC));
        assert_eq!(tree.set_size(file, 101, &mut room), Err(NOSPC));
        tree.set_size(file, 100, &mut room).unwrap();
        assert_eq!(tree.make_directory(ROOT, "d", &mut room), Err(NOSPC));
        tree.set_size(file, 0, &mut room).unwrap();
        assert!(room.take(100) && !room.take(1));

        let mut room = Room::new(u64::MAX);
        let mut made = 0;
        while tree
            .make_directory(ROOT, &made.to_string(), &mut room)
            .is_ok()
        {
            made += 1;
        }
        assert_eq!(made + 2, MOST);
    }

    #[test]
    fn a_directory_that_changes_is_still_read_once() {
        let (mut tree, mut room) = (Tree::new(), room());
        for name in ["c", "a", "b"] {
            tree.make_directory(ROOT, name, &mut room).unwrap();
        }
        let mut seen = Vec::new();
        let mut from = 0;
        while let Some((name, number)) = tree.list(ROOT, from).unwrap().first().copied() {
            let name = name.to_owned();
            tree.remove_directory(ROOT, &name, &mut room).unwrap();
            seen.push(name);
            from = number + 1;
        }
        assert_eq!(seen, ["c", "a", "b"]);
    }

    /// Something that is done to a directory.
    #[derive(Clone, Debug)]
    enum Deed {
        Make(String),
        Create(String),
        Write(String, u16, Vec<u8>),
        SetSize(String, u16),
        RemoveFile(String),
        RemoveDirectory(String),
        Rename(String, String),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        // Few names, so that they meet.
        let path = || "([ab]|\\.){1}(/([abc]|\\.\\.|\\.)){0,2}/?";
        let bytes = prop::collection::vec(any::<u8>(), 0..50);
        prop_oneof![
            3 => path().prop_map(Deed::Make),
            3 => path().prop_map(Deed::Create),
            2 => (path(), 0..300_u16, bytes).prop_map(|(p, at, b)| Deed::Write(p, at, b)),
            1 => (path(), 0..300_u16).prop_map(|(p, size)| Deed::SetSize(p, size)),
            1 => path().prop_map(Deed::RemoveFile),
            1 => path().prop_map(Deed::RemoveDirectory),
            3 => (path(), path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        ]
    }

    /// Does it in the tree.
    fn here(tree: &mut Tree, room: &mut Room, deed: &Deed) -> Result<(), i32> {
        let there = |tree: &Tree, path: &str| tree.at(ROOT, path)?.found.ok_or(NOENT);
        match deed {
            Deed::Make(path) => tree.make_directory(ROOT, path, room).map(drop),
            Deed::Create(path) => {
                let place = tree.at(ROOT, path)?;
                tree.make_file(&place, room).map(drop)
            }
            Deed::Write(path, at, bytes) => {
                let file = there(tree, path)?;
                match tree.node(file)?.is_directory() {
                    true => Err(ISDIR),
                    false => tree.write(file, (*at).into(), bytes, room),
                }
            }
            Deed::SetSize(path, size) => tree.set_size(there(tree, path)?, (*size).into(), room),
            Deed::RemoveFile(path) => tree.remove_file(ROOT, path, room),
            Deed::RemoveDirectory(path) => tree.remove_directory(ROOT, path, room),
            Deed::Rename(from, to) => tree.rename(((ROOT, from), (ROOT, to)), room),
        }
    }

    /// Does it in a directory of the machine.
    fn there(place: &Path, deed: &Deed) -> std::io::Result<()> {
        let at = |path: &str| place.join(path);
        let write = |path: &str| fs::OpenOptions::new().write(true).open(at(path));
        match deed {
            Deed::Make(path) => fs::create_dir(at(path)),
            Deed::Create(path) => fs::File::create_new(at(path)).map(drop),
            Deed::Write(path, from, bytes) => {
                let mut file = write(path)?;
                file.seek(SeekFrom::Start((*from).into()))?;
                file.write_all(bytes)
            }
            Deed::SetSize(path, size) => write(path)?.set_len((*size).into()),
            Deed::RemoveFile(path) => fs::remove_file(at(path)),
            Deed::RemoveDirectory(path) => fs::remove_dir(at(path)),
            Deed::Rename(from, to) => fs::rename(at(from), at(to)),
        }
    }

    /// What there is below: names, and what files hold.
    fn listed_here(tree: &Tree, number: Number, name: &str, all: &mut Vec<(String, Vec<u8>)>) {
        match &tree.node(number).unwrap().content {
            Content::File(bytes) => all.push((name.to_owned(), bytes.clone())),
            Content::Directory(entries) => {
                all.push((name.to_owned(), Vec::new()));
                for (part, number) in entries {
                    listed_here(tree, *number, &format!("{name}/{part}"), all);
                }
            }
        }
    }

    fn listed_there(path: &Path, name: &str, all: &mut Vec<(String, Vec<u8>)>) {
        let mut bytes = Vec::new();
        if path.is_file() {
            fs::File::open(path)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
        }
        all.push((name.to_owned(), bytes));
        if path.is_dir() {
            let mut parts: Vec<String> = fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            parts.sort();
            for part in parts {
                listed_there(&path.join(&part), &format!("{name}/{part}"), all);
            }
        }
    }

    proptest! {
        #[test]
        fn it_does_what_a_directory_of_the_machine_does(
            deeds in prop::collection::vec(deed(), 1..40),
        ) {
            let place = tempfile::tempdir().unwrap();
            // Deep enough that no path leads out of what is compared.
            let root = place.path().join("x/y");
            fs::create_dir_all(&root).unwrap();
            let (mut tree, mut room) = (Tree::new(), room());
            for deed in &deeds {
                let here = here(&mut tree, &mut room, deed);
                if here == Err(NOTCAPABLE) {
                    // It would lead out.
                    continue;
                }
                let there = there(&root, deed);
                prop_assert_eq!(here.is_ok(), there.is_ok(), "{:?}: {:?}, {:?}", deed, here, there);
                // Which of two errors is told first is nobody's promise.
                let full = ErrorKind::DirectoryNotEmpty;
                if there.is_err_and(|error| error.kind() == full) {
                    prop_assert_eq!(here, Err(NOTEMPTY), "{:?}", deed);
                }
            }
            let (mut in_tree, mut in_place) = (Vec::new(), Vec::new());
            listed_here(&tree, ROOT, "", &mut in_tree);
            listed_there(&root, "", &mut in_place);
            prop_assert_eq!(in_tree, in_place);
        }
    }
}
