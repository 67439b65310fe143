//! Calls of another ABI, and programs of one: the filter answers before the kernel does, and the verdict
//! says by which rule. What the kernel alone does is asked first.

use std::fs;
use std::process::{Command, ExitStatus};

use serde_json::Value;

use crate::place::Place;

/// Makes the call that its argument names; 0 when it was getpid, else the error, negated.
const CALLS: &str = r#"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const char *way = argv[1];
  long own = getpid(), result = -99;
  if (!strcmp(way, "int80")) {
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L));
  } else if (!strcmp(way, "x32")) {
    __asm__ volatile("syscall" : "=a"(result) : "a"(0x40000027L) : "rcx", "r11", "memory");
  } else if (!strcmp(way, "exec")) {
    execv(argv[2], argv + 2);
    result = -errno;
  } else if (!strcmp(way, "child")) {
    int status;
    if (!vfork()) {
      execv(argv[2], argv + 2);
      _exit(90);
    }
    wait(&status);
    return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return result == own ? 0 : (int)-result;
}
"#;

/// A program of i386 without a C library: getpid, then exit with code 7.
const ALONE: &str = r#"
void _start(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L));
  __asm__ volatile("int $0x80" : : "a"(1L), "b"(7L));
}
"#;
const I386: &[&str] = &["-m32", "-nostdlib", "-static", "-ffreestanding"];

/// `ENOSYS`: what a kernel without x32 answers to its numbers.
const NOSYS: i32 = 38;

struct Programs {
    place: Place,
    calls: String,
    alone: String,
}

fn programs() -> Programs {
    let place = Place::new();
    let calls = place.compile("calls", CALLS, &[]).display().to_string();
    let alone = place.compile("alone", ALONE, I386).display().to_string();
    Programs {
        place,
        calls,
        alone,
    }
}

impl Programs {
    /// What the kernel alone does.
    fn control(&self, words: &[&str]) -> std::io::Result<ExitStatus> {
        Command::new(words[0]).args(&words[1..]).status()
    }

    /// Exit code, what was said, and the verdict.
    fn run(&self, words: &[&str]) -> (i32, String, Value) {
        let verdict = self.place.at("verdict.json");
        let _ = fs::remove_file(&verdict);
        let options = ["run", "--verdict", "verdict.json", "--"];
        let done = self.place.portcullis(&[&options, words].concat());
        let text = fs::read_to_string(&verdict).unwrap_or_default();
        let verdict = serde_json::from_str(&text).unwrap_or(Value::Null);
        (done.code, done.stderr, verdict)
    }

    /// The one denial of a program that its filter ended.
    fn denied(&self, words: &[&str]) -> Value {
        let (code, said, verdict) = self.run(words);
        assert_eq!(code, 159, "{words:?}: {said}");
        assert_eq!(verdict["outcome"], "denied", "{words:?}");
        let denials = verdict["denials"].as_array().unwrap();
        assert_eq!(denials.len(), 1, "{denials:#?}");
        denials[0].clone()
    }
}

fn assert_i386_getpid(denial: &Value) {
    assert_eq!(denial["code"], "PC0303");
    assert_eq!(denial["arch"], "i386");
    assert_eq!(denial["syscall"], "getpid");
    assert_eq!(
        denial["rule"],
        "the foreign-architecture rule: it is a call of i386"
    );
    assert_eq!(denial["suggestion"], Value::Null);
}

#[test]
fn a_call_of_x32_ends_by_its_rule_and_not_by_enosys() {
    let programs = programs();
    let words = [&*programs.calls, "x32"];
    // A kernel with x32 makes the call, the others say that there is none.
    let control = programs.control(&words).unwrap().code();
    assert!(matches!(control, Some(0 | NOSYS)), "{control:?}");
    let denial = programs.denied(&words);
    assert_eq!(denial["code"], "PC0303");
    assert_eq!(denial["arch"], "x32");
    assert_eq!(denial["syscall"], "getpid");
    assert_eq!(denial["rule"], "the x32 rule: the number has bit 30 set");
    assert_eq!(denial["backtrace"][0]["function"], "main");
}

/// Whether this kernel has the ABI of i386 at all (`CONFIG_IA32_EMULATION`, and `ia32_emulation=` of its
/// command line): the filter cannot answer a call that no kernel code takes.
fn runs_i386(programs: &Programs) -> bool {
    match programs.control(&[&programs.alone]) {
        Ok(status) => {
            assert_eq!(status.code(), Some(7));
            true
        }
        Err(error) => {
            // ENOEXEC.
            assert_eq!(error.raw_os_error(), Some(8), "{error}");
            false
        }
    }
}

#[test]
fn a_call_by_int_0x80_ends_by_the_rule_of_foreign_architectures() {
    let programs = programs();
    let words = [&*programs.calls, "int80"];
    let control = programs.control(&words).unwrap().code();
    if !runs_i386(&programs) {
        // The instruction itself faults, with a filter as without one.
        assert_eq!(control, None);
        let (code, said, verdict) = programs.run(&words);
        assert_eq!(
            (code, &verdict["signal"]),
            (139, &Value::from(11)),
            "{said}"
        );
        return;
    }
    assert_eq!(control, Some(0));
    let denial = programs.denied(&words);
    assert_i386_getpid(&denial);
    assert_eq!(denial["backtrace"][0]["function"], "main");
}

#[test]
fn a_program_of_i386_ends_by_the_rule_of_foreign_architectures() {
    let programs = programs();
    let (calls, alone) = (&*programs.calls, &*programs.alone);
    if !runs_i386(&programs) {
        // Nothing of it runs, and that is said.
        let (code, said, _) = programs.run(&[alone]);
        assert_eq!(code, 126, "{said}");
        assert!(said.contains("Exec format error"), "{said}");
        return;
    }
    let (_, said, _) = programs.run(&[alone]);
    assert!(said.contains("is a program of i386"), "{said}");
    assert!(said.contains("denied: i386 getpid("), "{said}");
    for words in [&[alone][..], &[calls, "exec", alone]] {
        let denial = programs.denied(words);
        assert_i386_getpid(&denial);
        let object = denial["backtrace"][0]["object"].as_str().unwrap();
        assert!(object.ends_with("/alone"), "{object}");
    }
    // A child's end is its own.
    assert_eq!(
        programs.control(&[calls, "child", alone]).unwrap().code(),
        Some(7)
    );
    let (code, said, verdict) = programs.run(&[calls, "child", alone]);
    assert_eq!(code, 131, "{said}");
    assert_eq!(verdict["outcome"], "exited");
    assert_i386_getpid(&verdict["denials"][0]);
}

#[test]
fn a_program_for_another_machine_is_refused_by_name() {
    let place = Place::new();
    let mut program = fs::read("/bin/true").unwrap();
    // EM_AARCH64.
    program[18..20].copy_from_slice(&183_u16.to_le_bytes());
    let file = place.at("elsewhere");
    fs::write(&file, program).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let done = place.portcullis(&["run", "--", "./elsewhere"]).expect(126);
    assert!(
        done.stderr.contains("it is a program of aarch64"),
        "{}",
        done.stderr
    );
}
