//! Data that an executable copies out of a library.

use std::path::Path;
use std::process::Command;

use portcullis_scan::files::HostFiles;
use portcullis_scan::image::{Addr, Image, Slot};
use portcullis_scan::link::{LinkRequest, link};

const LIBRARY: &str = "
    static int first(void) { return 1; }
    static int second(void) { return 2; }
    int (*functions[2])(void) = { first, second };
    const long numbers[3] = { 39, 102, 186 };
    int (*own(int n))(void) { return functions[n]; }
";

const PROGRAM: &str = "
    extern int (*functions[2])(void);
    extern const long numbers[3];
    int main(int argc, char **argv) { (void)argv; return functions[argc & 1]() + numbers[argc]; }
";

fn cc(directory: &Path, arguments: &[&str]) {
    let status = Command::new("cc")
        .current_dir(directory)
        .args(arguments)
        .status();
    assert!(status.expect("a C compiler is there").success());
}

/// Address and name of every copied symbol.
fn copies(program: &Path) -> Vec<(u64, String)> {
    let output = Command::new("readelf")
        .arg("-rW")
        .arg(program)
        .output()
        .expect("binutils");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|l| l.contains("R_X86_64_COPY"));
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = u64::from_str_radix(words[0], 16).unwrap();
        (at, words[4].to_owned())
    };
    lines.map(entry).collect()
}

#[test]
fn copies_hold_what_their_originals_hold() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("library.c"), LIBRARY).unwrap();
    std::fs::write(at("program.c"), PROGRAM).unwrap();
    let shared = ["-O1", "-fPIC", "-shared", "-Wl,-soname,library.so"];
    cc(
        directory.path(),
        &[&shared[..], &["library.c", "-o", "library.so"]].concat(),
    );
    let rpath = "-Wl,-rpath,$ORIGIN";
    let options = [
        "-O1",
        "-fno-pie",
        "-no-pie",
        rpath,
        "program.c",
        "./library.so",
        "-o",
        "program",
    ];
    cc(directory.path(), &options);
    let program = at("program");
    let image = link(&HostFiles::default(), &program, &LinkRequest::default()).unwrap();
    let copies = copies(&program);
    let copy = |name: &str| copies.iter().find(|c| c.1 == name).expect("it is copied").0;

    let functions = copy("functions");
    let found: Vec<_> = image.slots(functions..functions + 16).collect();
    assert_eq!(found.len(), 2, "{found:x?}");
    let names: Vec<_> = found
        .iter()
        .map(|(_, slot)| name_of(&image, *slot))
        .collect();
    assert_eq!(names, ["first", "second"]);

    let numbers = copy("numbers");
    let values: Vec<_> = (0..3)
        .map(|n| image.constant(Addr(numbers + n * 8), 8))
        .collect();
    // A copy of read-only data is protected once it is made, where the linker says so.
    let protected = image.region(Addr(numbers)).is_some_and(|r| !r.writable);
    let expected = [39, 102, 186].map(|n| protected.then_some(n));
    assert_eq!(values, expected);

    // The library looks its own data up and finds the copy.
    let library = image
        .objects
        .iter()
        .find(|o| o.path.ends_with("library.so"))
        .unwrap();
    let slots: Vec<_> = image
        .slots(library.base..library.base + 0x10_0000)
        .collect();
    let leads_to_copy = slots
        .iter()
        .any(|(_, s)| *s == Slot::Address(Addr(functions)));
    assert!(leads_to_copy, "{slots:x?}");
}

fn name_of(image: &Image, slot: Slot) -> String {
    let Slot::Address(at) = slot else {
        panic!("{slot:x?} is no address");
    };
    image
        .function_name(at)
        .expect("it has a symbol")
        .0
        .to_owned()
}
