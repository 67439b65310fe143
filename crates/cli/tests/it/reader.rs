//! Files that belong to somebody else are analysed by a process that can only read.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use crate::place::{Done, Place};

const PROGRAM: &str = "#include <unistd.h>\nint main(void) { return getppid() == 0; }\n";

/// An image with one static program, which belongs to somebody else whoever the user is.
fn image(place: &Place) {
    place.compile_static("program", PROGRAM);
    fs::create_dir_all(place.at("image/bin")).unwrap();
    fs::copy(place.at("program"), place.at("image/bin/program")).unwrap();
}

const SCAN: [&str; 5] = ["scan", "--root", "image", "--list", "bin/program"];

#[test]
fn what_a_reader_finds_is_what_this_process_finds() {
    let place = Place::new();
    image(&place);
    let own = place.portcullis(&["scan", "--list", "./program"]).expect(0);
    assert!(own.stdout.contains("getppid"), "{}", own.stdout);
    let read = place.portcullis(&SCAN).expect(0);
    assert_eq!(read.stdout, own.stdout);
    let unconfined = place.portcullis(&[&SCAN[..], &["--unconfined"]].concat());
    assert_eq!(unconfined.expect(0).stdout, own.stdout);
    // Its refusals are told like any other.
    fs::write(place.at("image/bin/text"), "no program\n").unwrap();
    let refused = place
        .portcullis(&["scan", "--root", "image", "bin/text"])
        .expect(2);
    assert!(refused.stderr.contains("bin/text"), "{}", refused.stderr);
}

#[test]
fn what_a_reader_finds_in_a_file_of_another_is_not_remembered() {
    let place = Place::new();
    place.compile_static("program", PROGRAM);
    // Only root can give a file away (chown(2)); whoever else tries keeps it, and it is remembered.
    let given = chown(place.at("program"), Some(65_534), Some(65_534)).is_ok();
    assert_eq!(given, rustix::process::geteuid().is_root());
    let read = place.portcullis(&["scan", "--list", "./program"]).expect(0);
    assert!(read.stdout.contains("getppid"), "{}", read.stdout);
    let names = |place: &Place| fs::read_dir(place.cache()).map_or(0, Iterator::count);
    assert_eq!(names(&place) == 0, given);
    let words = ["scan", "--list", "--unconfined", "./program"];
    assert_eq!(place.portcullis(&words).expect(0).stdout, read.stdout);
    assert_ne!(names(&place), 0);
    place.portcullis(&["run", "--", "./program"]).expect(0);
}

/// Goes on where one call, its first argument, is answered ENOSYS.
const WITHOUT: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **words) {
  struct sock_filter rows[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {4, rows};
  if (count < 3) return 2;
  rows[1].k = atoi(words[1]);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return 2;
  return execv(words[2], words + 2);
}
"#;

#[test]
fn without_landlock_the_analysis_is_refused_by_name() {
    let place = Place::new();
    image(&place);
    let without = place.compile("without", WITHOUT, &[]);
    let under = |words: &[&str]| {
        let portcullis = place.command();
        let mut command = Command::new(&without);
        // landlock_create_ruleset, of every architecture.
        command.arg("444").arg(portcullis.get_program()).args(words);
        command.current_dir(place.at(""));
        command.env("XDG_CACHE_HOME", place.at("cache"));
        Done::new(command.output().unwrap())
    };
    let refused = under(&SCAN).expect(2);
    for part in ["belongs to somebody else", "landlock", "--unconfined"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    under(&[&SCAN[..], &["--unconfined"]].concat()).expect(0);
    // The user's own files are analysed as ever.
    under(&["scan", "--list", "./program"]).expect(0);
}
