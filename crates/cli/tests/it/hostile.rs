//! Files that are no programs: one clear error each, exit code 2, in bounded time.

use std::fs;

use crate::place::Place;

fn refused(place: &Place, path: &str) -> String {
    let done = place.portcullis(&["scan", path]).expect(2);
    assert_eq!(done.stdout, "", "{path}");
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{path}: {}", done.stderr);
    assert!(lines[0].starts_with("portcullis: "), "{}", lines[0]);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    let cause = lines[0].rsplit(": ").next().unwrap();
    assert_eq!(
        lines[0].matches(cause).count(),
        1,
        "said twice: {}",
        lines[0]
    );
    done.stderr
}

#[test]
fn what_is_no_program_is_refused() {
    let place = Place::new();
    fs::write(place.at("text"), "hello\n").unwrap();
    fs::write(place.at("empty"), "").unwrap();
    fs::create_dir(place.at("directory")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink("loop", place.at("loop")).unwrap();
    for path in [
        "./text",
        "./empty",
        "./directory",
        "./fifo",
        "./absent",
        "./loop",
        "/dev/zero",
        "/dev/null",
    ] {
        refused(&place, path);
    }
}

#[test]
fn truncated_and_altered_binaries_are_refused_or_analysed() {
    let place = Place::new();
    let good = fs::read("/bin/true").unwrap();
    for length in [1, 4, 16, 40, 63, 64, 100, 500, good.len() / 2] {
        fs::write(place.at("cut"), &good[..length]).unwrap();
        refused(&place, "./cut");
    }
    let altered = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(place.at("bad"), &bad).unwrap();
    };
    // e_machine = EM_AARCH64; ELFCLASS32; big endian; e_type = ET_CORE.
    for (at, bytes) in [(18, &[183, 0][..]), (4, &[1]), (5, &[2]), (16, &[4, 0])] {
        altered(at, bytes);
        refused(&place, "./bad");
    }
    // Huge program header table; table offset beyond the file.
    for (at, bytes) in [(56, &[0xff, 0xff][..]), (32, &[0xff; 8])] {
        altered(at, bytes);
        refused(&place, "./bad");
    }
}

#[test]
fn a_script_whose_interpreter_is_itself_ends() {
    let place = Place::new();
    let path = place.at("self");
    fs::write(&path, format!("#!{}\n", path.display())).unwrap();
    refused(&place, "./self");
    fs::write(
        place.at("fifo-script"),
        format!("#!{}\n", place.at("fifo").display()),
    )
    .unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    refused(&place, "./fifo-script");
}

#[test]
fn names_of_files_cannot_write_to_the_terminal() {
    let place = Place::new();
    fs::write(place.at("\u{1b}[2J"), "x").unwrap();
    let said = refused(&place, "./\u{1b}[2J");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    // A line feed would let the name say a line of its own.
    fs::write(place.at("x\nportcullis: fine"), "x").unwrap();
    refused(&place, "./x\nportcullis: fine");
}

#[test]
fn wrong_usage_is_2() {
    let place = Place::new();
    for args in [
        &["scan"][..],
        &["scan", "/bin/true", "--format", "yaml"],
        &["no-such-verb"],
        &["scan", "/bin/true", "--list", "--why", "read"],
    ] {
        place.portcullis(args).expect(2);
    }
    place.portcullis(&["--help"]).expect(0);
    place.portcullis(&["--version"]).expect(0);
}
