//! Name services: a module is part of a program only as far as the program's code asks for names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_scan::files::HostFiles;
use portcullis_scan::{LinkRequest, scan};

/// What a module answers; each function makes a call that no other code of the program makes.
const MODULE: &str = r#"
#include <unistd.h>
#include <sys/syscall.h>
static int make(long number) { syscall(number, -1, 0, 0); return -1; }
__attribute__((constructor)) static void load(void) { make(SYS_getpgrp); }
int _nss_mine_getpwnam_r(void) { return make(SYS_fsync); }
int _nss_mine_getgrnam_r(void) { return make(SYS_fdatasync); }
"#;

/// A library of the module's own.
const LIBRARY: &str = r#"
#include <unistd.h>
#include <sys/syscall.h>
__attribute__((constructor)) static void load(void) { syscall(SYS_getsid, 0); }
int helper(void) { return 0; }
"#;

const ASKS: &str = r#"
#include <pwd.h>
int main(void) { return getpwnam("nobody") != 0; }
"#;

const DOES_NOT_ASK: &str = "int main(void) { return 0; }\n";

struct Built {
    directory: PathBuf,
}

impl Built {
    fn new(name: &str) -> Built {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let built = Built { directory };
        std::fs::write(built.at("nsswitch.conf"), "passwd: files mine\n").unwrap();
        built.build("libhelper.so", LIBRARY, &["-shared", "-fPIC"]);
        let module = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-L.", "-lhelper"];
        built.build("libnss_mine.so.2", MODULE, &module);
        built
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn build(&self, output: &str, source: &str, flags: &[&str]) {
        let file = self.at(&format!("{output}.c"));
        std::fs::write(&file, source).unwrap();
        let done = Command::new("gcc")
            .current_dir(&self.directory)
            .args(["-O2", "-o", output])
            .arg(&file)
            .args(flags)
            .status()
            .expect("gcc is there");
        assert!(done.success(), "{output}");
    }

    /// The names of the calls of `source`, whose services are those of the configuration if `some`.
    fn calls(&self, source: &str, some: bool) -> BTreeSet<&'static str> {
        self.build("program", source, &[]);
        let request = LinkRequest {
            nsswitch: some.then(|| self.at("nsswitch.conf")),
            ld_library_path: Some(self.directory.clone().into()),
            ..LinkRequest::default()
        };
        let set = scan(&HostFiles::default(), &self.at("program"), &request);
        let set = set.unwrap().set;
        let names = set.syscalls.iter();
        names
            .filter_map(|c| portcullis_abi::Arch::X86_64.name(c.number))
            .collect()
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        // What is left over lies in cargo's target directory and is overwritten next time.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_module_brings_what_is_asked_of_it_and_what_its_loading_runs() {
    let built = Built::new("services-asked");
    let calls = built.calls(ASKS, true);
    for call in ["fsync", "getpgrp", "getsid"] {
        assert!(calls.contains(call), "{call} is missing: {calls:?}");
    }
    // Nothing looks groups up by name.
    assert!(!calls.contains("fdatasync"), "{calls:?}");
    let without = built.calls(ASKS, false);
    for call in ["fsync", "getpgrp", "getsid"] {
        assert!(!without.contains(call), "{call} has another reason");
    }
}

#[test]
fn a_program_that_asks_for_no_names_loads_no_module() {
    let built = Built::new("services-not-asked");
    let calls = built.calls(DOES_NOT_ASK, true);
    for call in ["fsync", "getpgrp", "getsid"] {
        assert!(!calls.contains(call), "{call}: {calls:?}");
    }
}
