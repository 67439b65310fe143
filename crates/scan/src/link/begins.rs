//! Where objects of constant data begin, in files without symbols that tell.

use crate::image::{Addr, Image, ImageObject, Slot, Word};
use crate::load::references;

/// Per object, where its constant data is cut: at addresses that code or pointers of any object
/// refer to and that look like the beginning of something ([`begins_object`]).
pub(super) fn begins(image: &Image) -> Vec<Vec<u64>> {
    let mut all = vec![Vec::new(); image.objects.len()];
    let mut refer = |at: u64| {
        let region = image.region(Addr(at));
        if region.is_some_and(|r| !r.executable && !r.writable && !r.linkage)
            && let Some(id) = image.object_of(Addr(at))
            && !image.objects[id.0 as usize].file.fixed
            && image.objects[id.0 as usize].file.go.is_none()
            && begins_object(image, at)
        {
            all[id.0 as usize].push(at);
        }
    };
    for object in &image.objects {
        let moved = |&at: &u64| at.wrapping_add(object.base);
        let named = object.file.names.data.iter().map(|(start, _)| start);
        let referenced = object.file.referenced.iter();
        referenced.chain(named).map(moved).for_each(&mut refer);
        for word in &object.words.slots {
            if let Slot::Address(at) = word.slot {
                refer(at.0);
            }
        }
    }
    for begins in &mut all {
        begins.sort_unstable();
        begins.dedup();
    }
    all
}

/// Per object, the function values of its Go code ([`Image::is_function_value`]).
pub(super) fn function_values(image: &Image) -> Vec<Vec<u64>> {
    let values = |object: &ImageObject| {
        let Some(go) = &object.file.go else {
            return Vec::new();
        };
        let mut named: Vec<u64> = object.words.slots.iter().filter_map(address).collect();
        let referenced =
            references::to_data(&object.file.memory, object.file.arch, &object.file.regions);
        named.extend(
            referenced
                .into_iter()
                .map(|at| at.wrapping_add(object.base)),
        );
        let begins = |held: u64| go.begins(held.wrapping_sub(object.base));
        named.retain(|&at| {
            let region = image.region(Addr(at));
            let constant = region.is_some_and(|r| !r.executable && !r.writable);
            let held = image.slot(Addr(at));
            constant && at % 8 == 0 && matches!(held, Some(Slot::Address(a)) if begins(a.0))
        });
        named.sort_unstable();
        named.dedup();
        named
    };
    image.objects.iter().map(values).collect()
}

fn address(word: &Word) -> Option<u64> {
    match word.slot {
        Slot::Address(at) => Some(at.0),
        Slot::Resolver(_) | Slot::Value(_) => None,
    }
}

/// Whether an object can begin here, and not just a field or an element of one: it is aligned as
/// compilers align what has 32 bytes and more, or has the shape of a virtual table.
fn begins_object(image: &Image, at: u64) -> bool {
    /// GCC's `DATA_ALIGNMENT` for aggregates (`ix86_data_alignment`, gcc/config/i386/i386.cc).
    const ALIGNMENT: u64 = 32;
    /// Larger than any object of a class.
    const LARGEST: u64 = 1 << 24;
    if at.is_multiple_of(ALIGNMENT) && !may_continue(image, at) {
        return true;
    }
    let number = |at: u64| image.constant(Addr(at), 8);
    let code = |at: u64| matches!(image.slot(Addr(at)), Some(Slot::Address(a)) if image.is_code(a));
    // C++: behind the offset to the top, at most zero, and the description of the type (Itanium
    // C++ ABI §2.5.2).
    let top = number(at.wrapping_sub(16));
    let described = at.wrapping_sub(8);
    let class = top.is_some_and(|n| n.wrapping_neg() < LARGEST)
        && !code(described)
        && (number(described) == Some(0) || image.slot(Addr(described)).is_some());
    // Rust: a drop function or none, size, alignment.
    let size = number(at.wrapping_add(8));
    let alignment = number(at.wrapping_add(16));
    let dynamic = (code(at) || number(at) == Some(0))
        && size.is_some_and(|n| n < LARGEST)
        && alignment.is_some_and(u64::is_power_of_two);
    class || dynamic
}

/// What a word of a table holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zero,
    Number,
    Code,
    Data,
}

/// Whether an array of records with pointers to code can go on here: the words before and after look
/// like two of its elements. Code that takes the address of an element says nothing of where the
/// array begins.
fn may_continue(image: &Image, at: u64) -> bool {
    /// Longest record of which that is seen, in words.
    const LONGEST: u64 = 64;
    let kind = |at: u64| match image.slot(Addr(at)) {
        Some(Slot::Address(a)) if image.is_code(a) => Some(Kind::Code),
        Some(_) => Some(Kind::Data),
        None => image
            .initial(Addr(at), 8)
            .map(|n| if n == 0 { Kind::Zero } else { Kind::Number }),
    };
    let before: Vec<Option<Kind>> = (1..=LONGEST)
        .map(|n| kind(at.wrapping_sub(8 * n)))
        .collect();
    let after: Vec<Option<Kind>> = (0..LONGEST).map(|n| kind(at.wrapping_add(8 * n))).collect();
    (1..=LONGEST as usize).any(|words| {
        let mut code = false;
        let alike = (0..words).all(|n| match (before[words - 1 - n], after[n]) {
            (Some(a), Some(b)) => {
                code |= a == Kind::Code || b == Kind::Code;
                a == b || a == Kind::Zero || b == Kind::Zero
            }
            _ => false,
        });
        code && alike
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::files::HostFiles;
    use crate::link::{LinkRequest, link};

    /// Brings much of the C and C++ libraries into one file.
    const PROGRAM: &str = r#"
        #include <arpa/inet.h>
        #include <iconv.h>
        #include <iostream>
        #include <locale>
        #include <netdb.h>
        #include <pwd.h>
        #include <regex.h>
        #include <regex>
        #include <sstream>
        #include <thread>
        #include <wordexp.h>
        int main(int argc, char **argv) {
            addrinfo *found; regex_t compiled; wordexp_t words;
            getaddrinfo(argv[0], "http", nullptr, &found);
            regcomp(&compiled, argv[0], 0); wordexp(argv[0], &words, 0);
            std::thread([] { getpwnam("nobody"); }).join();
            std::ostringstream text; text << argc << std::regex_match(argv[0], std::regex("a*"));
            std::cout << text.str() << std::locale("").name();
            return iconv_open("UTF-8", argv[0]) == nullptr || popen(argv[0], "r") == nullptr;
        }
    "#;

    /// What the cuts of constant data rest on, where symbols tell where objects really begin.
    #[test]
    fn no_reference_into_constant_data_hides_the_functions_after_it() {
        let place = tempfile::tempdir().unwrap();
        let (source, program) = (
            place.path().join("program.cc"),
            place.path().join("program"),
        );
        std::fs::write(&source, PROGRAM).unwrap();
        let mut build = Command::new("g++");
        build.args(["-O2", "-w", "-static-pie", "-o"]);
        let built = build.arg(&program).arg(&source).output();
        assert!(built.expect("g++ is there").status.success());
        let image = link(&HostFiles::default(), &program, &LinkRequest::default()).unwrap();
        let mut known = 0;
        for &at in &image.objects[0].begins {
            let Some(extent) = image.data_extent(Addr(at)) else {
                continue;
            };
            let leads = |slot| matches!(slot, Slot::Address(a) if image.is_code(a));
            let tables = image.slots(extent.clone()).any(|(_, slot)| leads(slot));
            known += usize::from(tables);
            // Nobody who holds the address point of a virtual table goes back to what is before it,
            // and nobody comes to it from there.
            let pointer = |at| image.slot(Addr(at)).is_some_and(leads);
            let address_point = at >= extent.start + 16 && !pointer(at - 16) && !pointer(at - 8);
            if extent.start != at && !address_point {
                let mut rest = image.slots(at..extent.end);
                let hides = rest.any(|(_, slot)| leads(slot));
                let name = image.file_address(Addr(at)).1;
                assert!(!hides, "{name:#x} is inside {extent:#x?}");
            }
        }
        assert!(known > 20, "only {known} tables were looked at");
    }
}
