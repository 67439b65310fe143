//! Which definition a reference is bound to.

use super::closure::Member;
use crate::image::ImageObject;
use crate::load::{Symbol, Version, gnu_hash};

/// The order in which one object's references are looked up: indices of objects.
pub(super) type Scope = Vec<usize>;

/// A found definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition<'a> {
    pub(super) object: usize,
    pub(super) symbol: &'a Symbol,
}

/// What kind of use is looked up for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Use {
    /// An address that may be compared: the executable's own stub counts as the function.
    Address,
    /// A call through the linkage table: a stub would call itself.
    Call,
    /// The original of a copied object: never the executable's.
    Copy,
}

/// One scope for each member: itself first where it says so, then the program's global scope,
/// then, for what a plugin brings, the plugin and its needs, breadth first (`dlopen`'s local
/// scope).
pub(super) fn scopes(members: &[Member], global: &[usize]) -> Vec<Scope> {
    let mut locals: Vec<Vec<usize>> = vec![Vec::new(); members.len()];
    for (id, member) in members.iter().enumerate() {
        if !member.role.is_late() {
            continue;
        }
        let mut list = vec![id];
        let mut next = 0;
        while let Some(&at) = list.get(next) {
            next += 1;
            for &need in &members[at].needs {
                if !list.contains(&need) {
                    list.push(need);
                }
            }
        }
        for &one in &list {
            if !global.contains(&one) {
                let new: Vec<_> = list
                    .iter()
                    .filter(|l| !locals[one].contains(l))
                    .copied()
                    .collect();
                locals[one].extend(new);
            }
        }
    }
    let scope = |(id, member): (usize, &Member)| {
        let own = member.symbolic.then_some(id);
        let mut scope: Scope = own.into_iter().chain(global.iter().copied()).collect();
        scope.extend(locals[id].iter().copied());
        if !scope.contains(&id) {
            // The loader binds itself to itself, and a static program has nothing else.
            scope.push(id);
        }
        scope
    };
    members.iter().enumerate().map(scope).collect()
}

/// Finds `name` in `scope` (`do_lookup_x` and `check_match`, elf/dl-lookup.c).
pub(super) fn lookup<'a>(
    objects: &'a [ImageObject],
    scope: &[usize],
    name: &'a [u8],
    version: Option<&Version>,
    use_: Use,
    versions: bool,
) -> Option<Definition<'a>> {
    let hash = gnu_hash(name);
    for &object in scope {
        if use_ == Use::Copy && object == 0 {
            continue;
        }
        let file = &objects[object].file;
        let mut newest = None;
        let mut several = false;
        for (index, symbol) in file.symbols.named(&file.memory, name, hash) {
            if !offers(symbol, use_) {
                continue;
            }
            let (have, hidden) = file.symbols.index(index);
            let matches = match version {
                _ if !versions => !hidden,
                _ if !file.symbols.versioned() => true,
                Some(wanted) => match file.symbols.version(have) {
                    Some(own) => own.name == wanted.name,
                    None => !hidden,
                },
                // Without a version the oldest definition counts, or the only visible one.
                None if have < 3 => true,
                None => {
                    if !hidden {
                        several |= newest.is_some();
                        newest = newest.or(Some(symbol));
                    }
                    false
                }
            };
            if matches {
                return Some(Definition { object, symbol });
            }
        }
        if let (Some(symbol), false) = (newest, several) {
            return Some(Definition { object, symbol });
        }
    }
    None
}

fn offers(symbol: &Symbol, use_: Use) -> bool {
    // STT_NOTYPE, OBJECT, FUNC, COMMON, TLS and GNU_IFUNC.
    let kind = matches!(symbol.kind, 0 | 1 | 2 | 5 | 6 | 10);
    let value = symbol.value != 0 || symbol.absolute() || symbol.thread_local();
    // An executable gives the address of its stub to a function that it does not define, so
    // that pointers compare equal everywhere.
    let stub = use_ == Use::Address && symbol.value != 0;
    kind && value && (symbol.defined() || stub)
}
