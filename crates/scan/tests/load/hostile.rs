//! Files that lie: one clear error or a usable image, never a panic, in bounded time.

use std::path::{Path, PathBuf};

use portcullis_scan::files::{Files, HostFiles, MemoryFiles};
use portcullis_scan::image::{Addr, Image};
use portcullis_scan::link::{LinkRequest, link};
use proptest::prelude::*;

use crate::elf::{Elf, with_symbols};

/// Where a sample stands when it is linked.
#[derive(Clone, Copy, Debug)]
enum Place {
    Program,
    Library,
}

/// A real program, one without any section, and a real library.
fn samples() -> Vec<(Place, Vec<u8>)> {
    let read = |path: &str| std::fs::read(path).expect("the machine has it");
    vec![
        (Place::Program, read("/usr/bin/true")),
        (Place::Program, Elf::program(&["a.so"]).bytes()),
        (Place::Library, read("/lib/x86_64-linux-gnu/libdl.so.2")),
    ]
}

/// Links a program and asks the image everything once.
fn exercise(place: Place, file: Vec<u8>) -> Result<(), String> {
    let mut files = MemoryFiles::default();
    let mut add = |path: &str, bytes| files.files.insert(PathBuf::from(path), bytes);
    add(
        "/lib64/ld-linux-x86-64.so.2",
        Elf::library("ld-linux-x86-64.so.2", &[]).bytes(),
    );
    add("/lib64/libc.so.6", Elf::library("libc.so.6", &[]).bytes());
    match place {
        Place::Program => {
            add("/lib64/a.so", Elf::library("a.so", &["a.so"]).bytes());
            add("/program", file);
        }
        Place::Library => {
            add("/lib64/a.so", file);
            add("/program", Elf::program(&["a.so"]).bytes());
        }
    }
    let image = link(&files, Path::new("/program"), &LinkRequest::default());
    ask(&image.map_err(|e| e.to_string())?);
    Ok(())
}

fn ask(image: &Image) {
    for root in image.roots() {
        image.code(root.at);
        image.function_name(root.at);
    }
    image.binary();
    image.scanned_objects();
    for index in 0..image.objects.len() {
        let object = &image.objects[index];
        for start in image.starts(index) {
            let at = Addr(start);
            image.fde_range(at);
            image.function_start(at);
            for step in 0..32 {
                let call = Addr(start.wrapping_add(step));
                image.landing_pad(call, Addr(call.0.wrapping_add(5)));
            }
        }
        for offset in (0..0x10_000u64).step_by(7) {
            let at = Addr(object.base.wrapping_add(offset));
            for size in [1, 2, 4, 8, 16] {
                image.constant(at, size);
                image.bytes(at, size.into());
            }
            image.slot(at);
            image.region(at);
            image.data_extent(at);
            image.next_data_symbol(at);
            image.slots(at.0..at.0.saturating_add(64)).count();
        }
    }
    for at in [
        0,
        1,
        u64::MAX,
        0x6fff_ffff_ffff,
        0x7000_0000_0000,
        0x8000_0000_0000_0000,
    ] {
        let at = Addr(at);
        image.code(at);
        image.constant(at, 8);
        image.slots(at.0..u64::MAX).count();
        image.landing_pad(at, at);
        image.file_address(at);
    }
}

#[test]
fn every_truncation_ends_well() {
    for (place, sample) in samples() {
        for length in (0..sample.len()).step_by(64) {
            // Whether it can still be used does not matter here, only that this returns.
            let _: Result<(), String> = exercise(place, sample[..length].to_vec());
        }
        exercise(place, sample).unwrap();
    }
}

#[test]
fn headers_of_extreme_values_end_well() {
    for (place, sample) in samples() {
        for at in (16..768).step_by(4) {
            for value in [0, 1, 0x7fff_ffff, u64::MAX >> 1, u64::MAX - 4095] {
                let mut file = sample.clone();
                file[at..at + 8].copy_from_slice(&value.to_le_bytes());
                let _: Result<(), String> = exercise(place, file);
            }
        }
    }
}

#[test]
fn names_that_share_one_endless_string_cost_little() {
    // 100 000 functions at one address, each named by another offset of a megabyte without end:
    // compared as strings they would take hours.
    let mut symbols = Vec::new();
    for n in 0..100_000u32 {
        symbols.extend(n.to_le_bytes());
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend(0x1000u64.to_le_bytes());
        symbols.extend(8u64.to_le_bytes());
    }
    let strings = vec![b'a'; 1 << 20];
    let file = with_symbols(Elf::program(&["a.so"]).bytes(), &symbols, &strings);
    let began = std::time::Instant::now();
    exercise(Place::Program, file).unwrap();
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes_end_well(
        which in 0usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let (place, mut file) = samples().swap_remove(which);
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _: Result<(), String> = exercise(place, file);
    }

    #[test]
    fn arbitrary_caches_end_well(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut files = MemoryFiles::default();
        let loader = Elf::library("ld-linux-x86-64.so.2", &[]).bytes();
        files.files.insert("/lib64/ld-linux-x86-64.so.2".into(), loader);
        files.files.insert("/program".into(), Elf::program(&["nowhere.so"]).bytes());
        let cache = [b"glibc-ld.so.cache1.1".as_slice(), &bytes].concat();
        files.files.insert("/etc/ld.so.cache".into(), cache);
        let found = link(&files, Path::new("/program"), &LinkRequest::default());
        prop_assert!(found.is_err());
    }
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let fifo = at("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let socket = at("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let cases: [(PathBuf, &str); 4] = [
        (fifo, "FIFO"),
        ("/dev/zero".into(), "character device"),
        (directory.path().into(), "directory"),
        (socket, "socket"),
    ];
    for (path, word) in cases {
        let error = link(&HostFiles::default(), &path, &LinkRequest::default()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        // And as somebody's interpreter or library.
        let text: &'static str = path.to_str().unwrap().to_owned().leak();
        let mut program = Elf::program(&[]);
        program.interpreter = Some(text);
        std::fs::write(at("program"), program.bytes()).unwrap();
        let error = link(
            &HostFiles::default(),
            &at("program"),
            &LinkRequest::default(),
        );
        let error = error.unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("program"), "{error}");
        std::fs::write(at("program"), Elf::program(&[text]).bytes()).unwrap();
        let error = link(
            &HostFiles::default(),
            &at("program"),
            &LinkRequest::default(),
        );
        let error = error.unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("program"), "{error}");
    }
}

#[test]
fn other_machines_and_no_programs_are_named() {
    let mut files = MemoryFiles::default();
    let mut add = |name: &str, bytes: Vec<u8>| files.files.insert(PathBuf::from(name), bytes);
    let mut riscv = Elf::program(&[]).bytes();
    riscv[18] = 243;
    add("/riscv", riscv);
    let mut narrow = Elf::program(&[]).bytes();
    narrow[4] = 1;
    add("/narrow", narrow);
    let mut relocatable = Elf::program(&[]).bytes();
    relocatable[16] = 1;
    add("/relocatable", relocatable);
    add("/text", b"hello".to_vec());
    add("/empty", Vec::new());
    for (path, word) in [
        ("/riscv", "machine 243"),
        ("/narrow", "class 1"),
        ("/relocatable", "neither"),
        ("/text", "not an ELF file"),
        ("/empty", "not an ELF file"),
        ("/nothing", "no such file"),
    ] {
        let error = link(&files, Path::new(path), &LinkRequest::default()).unwrap_err();
        assert!(error.to_string().contains(word), "{path}: {error}");
    }
}

#[test]
fn no_link_leads_out_of_a_given_root() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(directory.path().join("secret"), "outside").unwrap();
    std::fs::write(root.join("etc/inside"), "inside").unwrap();
    let link_to = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    };
    link_to("../secret", "up");
    link_to("../../../../etc/inside", "high");
    link_to("/etc/inside", "absolute");
    link_to("/etc/passwd", "machine");
    link_to("around", "around");
    let files = HostFiles { root: Some(root) };
    let text = |name: &str| {
        let data = files.read(Path::new(name)).map_err(|e| e.to_string())?;
        Ok::<_, String>(String::from_utf8(data.bytes).unwrap())
    };
    assert_eq!(text("/etc/inside").unwrap(), "inside");
    assert_eq!(text("/absolute").unwrap(), "inside");
    assert_eq!(text("/high").unwrap(), "inside");
    assert_eq!(text("/../../etc/inside").unwrap(), "inside");
    for name in ["/up", "/machine", "/../secret"] {
        assert!(text(name).unwrap_err().contains("no such file"), "{name}");
    }
    assert!(text("/around").unwrap_err().contains("links"));
    assert_eq!(
        files.resolve(Path::new("/high")).unwrap(),
        Path::new("/etc/inside")
    );
}
