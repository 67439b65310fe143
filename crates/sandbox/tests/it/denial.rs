//! What the filter kills is told with call, arguments and place; what only looks so is not.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use object::Object as _;
use portcullis_abi::Arch;
use portcullis_sandbox::{Outcome, Verdict};
use portcullis_watch::{Answer, Denial, Record, Shown};

use crate::filter::{Denied, number};
use crate::harness::{Built, Case, build, place};

/// The instruction that makes a call.
#[cfg(target_arch = "x86_64")]
const SYSCALL: &[u8] = &[0x0f, 0x05];
#[cfg(target_arch = "aarch64")]
const SYSCALL: &[u8] = &[0x01, 0x00, 0x00, 0xd4];

/// Code that makes the call `number` with the arguments that it was entered with.
#[cfg(target_arch = "x86_64")]
fn call_and_return(number: u32) -> Vec<u8> {
    // mov eax, number; syscall; ret
    [&[0xb8][..], &number.to_le_bytes(), SYSCALL, &[0xc3]].concat()
}
#[cfg(target_arch = "aarch64")]
fn call_and_return(number: u32) -> Vec<u8> {
    // movz w8, number; svc 0; ret
    let number = 0x5280_0008 | number << 5;
    [
        &number.to_le_bytes()[..],
        SYSCALL,
        &0xd65f_03c0_u32.to_le_bytes(),
    ]
    .concat()
}

fn only(verdict: &Verdict<Record>) -> &Denial {
    let denials = &verdict.report.denials;
    assert_eq!(denials.len(), 1, "{denials:#?}");
    &denials[0]
}

fn run(built: &Built, denied: Denied, arguments: &[&str]) -> Verdict<Record> {
    Case::new(&built.path, denied)
        .arguments(arguments)
        .run()
        .unwrap()
}

/// The functions of a denial's stack, by the symbols of the program that was built.
fn functions(built: &Built, denial: &Denial) -> Vec<String> {
    let bytes = std::fs::read(&built.path).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let symbols = file.symbol_map();
    denial
        .backtrace
        .iter()
        .filter(|f| f.object.as_deref() == Some(&built.path))
        .map(|f| {
            let symbol = symbols.containing(f.file_address.unwrap() - 1);
            symbol.map_or("?", |symbol| symbol.name()).to_owned()
        })
        .collect()
}

#[test]
fn a_killed_call_is_told_with_its_arguments_and_its_stack() {
    for flags in [
        &[][..],
        &["-static"],
        &["-no-pie", "-fno-omit-frame-pointer"],
        &[
            "-static",
            "-fno-asynchronous-unwind-tables",
            "-fno-omit-frame-pointer",
        ],
    ] {
        let built = build("denial", flags);
        let verdict = run(&built, Denied::kill(&[number("chroot")]), &["main"]);
        assert_eq!(verdict.outcome, Outcome::Denied);
        assert_eq!(verdict.exit_code(), 159);
        let denial = only(&verdict);
        assert_eq!(denial.call.number, number("chroot"));
        assert_eq!(denial.answer, Answer::Killed);
        assert_eq!(denial.rule, Some(0));
        assert_eq!(denial.call.args[1..3], [0x1111, 0x2222]);
        let path = Shown::Path(b"/denied/path".to_vec());
        assert_eq!(denial.shown, [(0, path)]);
        assert_eq!(denial.pid, denial.tid);
        let functions = functions(&built, denial);
        let at = functions.iter().position(|f| f == "forbidden");
        assert!(at.is_some(), "{flags:?}: {functions:?}");
        assert_eq!(
            functions[at.unwrap()..].iter().take(2).collect::<Vec<_>>(),
            ["forbidden", "main"],
            "{flags:?}"
        );
    }
}

#[test]
fn the_task_whose_registers_the_filter_kills_is_the_one_told() {
    let built = build("denial", &[]);
    let verdict = run(&built, Denied::kill(&[number("chroot")]), &["thread"]);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let denial = only(&verdict);
    assert_eq!(denial.call.number, number("chroot"));
    assert_ne!(denial.pid, denial.tid, "the thread, not its leader");
    assert!(
        functions(&built, denial).contains(&"in_thread".to_owned()),
        "{denial:#?}"
    );
}

#[test]
fn a_thread_is_told_also_when_the_leader_has_left() {
    let built = build("denial", &[]);
    let verdict = run(&built, Denied::kill(&[number("chroot")]), &["leaderless"]);
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert_ne!(only(&verdict).pid, only(&verdict).tid);
}

#[test]
fn a_sigsys_that_the_program_sends_is_a_signal() {
    let built = build("denial", &[]);
    for way in ["raise", "raise-thread", "raise-blocked"] {
        let verdict = run(&built, Denied::kill(&[number("chroot")]), &[way]);
        assert_eq!(verdict.outcome, Outcome::Signaled(libc::SIGSYS), "{way}");
        assert!(verdict.report.denials.is_empty(), "{way}");
    }
}

/// The status of the process is that of the signal, in all of its tasks; where another of them stands is no
/// record then. On x86_64 a task in its own code has the number -1, on aarch64 whatever is in x8.
#[test]
fn a_task_that_looks_killed_beside_a_sigsys_is_no_denial() {
    let built = build("denial", &[]);
    let looks_killed = match Arch::NATIVE {
        Arch::X86_64 => u32::MAX,
        _ => number("chroot"),
    };
    let verdict = run(&built, Denied::kill(&[looks_killed]), &["raise-beside"]);
    assert_eq!(verdict.outcome, Outcome::Signaled(libc::SIGSYS));
    assert!(verdict.report.denials.is_empty(), "{verdict:#?}");
}

#[test]
fn a_handled_sigsys_does_not_hide_a_later_denial() {
    let built = build("denial", &[]);
    let verdict = run(
        &built,
        Denied::kill(&[number("chroot")]),
        &["raise-handled-then-denied"],
    );
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert_eq!(only(&verdict).call.number, number("chroot"));
}

#[test]
fn a_killed_child_is_told_and_its_parent_goes_on() {
    let built = build("denial", &[]);
    let verdict = run(&built, Denied::kill(&[number("chroot")]), &["child"]);
    assert_eq!(verdict.outcome, Outcome::Exited(7));
    let denial = only(&verdict);
    assert_eq!(denial.call.number, number("chroot"));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_of_the_32_bit_abi_is_told_as_one() {
    let built = build("denial", &["-no-pie"]);
    let verdict = run(&built, Denied::kill(&[]), &["int80"]);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let denial = only(&verdict);
    assert_eq!(denial.call.arch, Arch::I386.audit_arch());
    assert_eq!(denial.call.number, 20);
}

#[test]
fn exec_without_the_cookie_is_stopped() {
    let built = build("denial", &[]);
    let numbers = [number("execve"), number("execveat")];
    for (way, number) in [
        ("execve", numbers[0]),
        ("execveat", numbers[1]),
        // The launch's own form, with guessed cookies.
        ("execveat-cookie-0", numbers[1]),
        ("execveat-cookie-1", numbers[1]),
    ] {
        let verdict = run(&built, Denied::kill(&numbers), &[way]);
        assert_eq!(verdict.outcome, Outcome::Denied, "{way}");
        assert_eq!(only(&verdict).call.number, number, "{way}");
    }
}

#[test]
fn exec_with_a_rule_of_its_own_is_followed_under_the_same_filter() {
    let built = build("denial", &[]);
    let path = built.path.to_str().unwrap();
    for way in ["exec-self", "exec-self-from-thread", "vfork-exec-self"] {
        let verdict = run(
            &built,
            Denied::kill(&[number("chroot")]),
            &[way, path, "main"],
        );
        let expected = match way {
            "vfork-exec-self" => Outcome::Exited(7),
            _ => Outcome::Denied,
        };
        assert_eq!(verdict.outcome, expected, "{way}");
        assert_eq!(only(&verdict).call.number, number("chroot"), "{way}");
    }
}

#[test]
fn the_tracer_gives_the_policys_answer_where_the_filter_asks() {
    let built = build("denial", &[]);
    let verdict = run(&built, Denied::trace(&[number("chroot")]), &["main"]);
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert_eq!(only(&verdict).call.number, number("chroot"));
    assert_eq!(only(&verdict).answer, Answer::Killed);
}

#[test]
fn the_stack_reaches_into_a_signal_handler_and_beyond() {
    let built = build("denial", &[]);
    let verdict = run(&built, Denied::kill(&[number("chroot")]), &["in-handler"]);
    let denial = only(&verdict);
    let functions = functions(&built, denial);
    assert!(functions.contains(&"forbidden".to_owned()), "{functions:?}");
    assert!(functions.contains(&"main".to_owned()), "{functions:?}");
}

#[test]
fn the_caller_in_a_library_is_named_by_its_file() {
    let built = build("denial", &[]);
    let verdict = run(&built, Denied::kill(&[number("chroot")]), &["main"]);
    let first = &only(&verdict).backtrace[0];
    let object = first.object.as_deref().unwrap();
    assert_eq!(object.file_name(), Some(Path::new("libc.so.6").as_os_str()));
    // The instruction itself.
    let file = std::fs::read(object).unwrap();
    let at = usize::try_from(first.file_address.unwrap()).unwrap();
    // libc's text segment has equal offset and address.
    assert!(
        file[at..].starts_with(SYSCALL),
        "{:02x?}",
        &file[at..at + 4]
    );
}

/// Code that the program never had: a call in the set is made, one outside is stopped.
#[test]
fn a_call_put_into_the_running_program_is_stopped() {
    let built = build("denial", &[]);
    for (call, outcome) in [
        (number("getppid"), Outcome::Exited(0)),
        (number("chroot"), Outcome::Denied),
    ] {
        let (from_program, to_test) = portcullis_sys::process::pipe().unwrap();
        let (from_test, to_program) = portcullis_sys::process::pipe().unwrap();
        let descriptors = [to_test.as_raw_fd(), from_test.as_raw_fd()];
        let names = descriptors.map(|d| d.to_string());
        let arguments = ["replaced", &names[0], &names[1]];
        let mut case =
            Case::new(&built.path, Denied::kill(&[number("chroot")])).arguments(&arguments);
        case.keep = descriptors.to_vec();
        let verdict = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut line = String::new();
                BufReader::new(File::from(from_program))
                    .read_line(&mut line)
                    .unwrap();
                let (pid, address) = line.trim().split_once(' ').unwrap();
                let code = call_and_return(call);
                File::options()
                    .write(true)
                    .open(format!("/proc/{pid}/mem"))
                    .unwrap()
                    .write_all_at(&code, u64::from_str_radix(address, 16).unwrap())
                    .unwrap();
                File::from(to_program).write_all(b"g").unwrap();
            });
            case.run().unwrap()
        });
        assert_eq!(verdict.outcome, outcome);
        if outcome == Outcome::Denied {
            assert_eq!(only(&verdict).call.number, number("chroot"));
            assert_eq!(
                only(&verdict).backtrace[0].object.as_deref(),
                Some(built.path.as_path())
            );
        }
    }
}

/// What the kernel can run beside its own programs: its architecture, machine (`e_machine`), and code that
/// makes call 20 and then exits with code 7.
#[cfg(target_arch = "x86_64")]
const COMPATIBLE: (Arch, u16, &[u8]) = (
    Arch::I386,
    3,
    // mov eax, 20; int 0x80; mov eax, 1; mov ebx, 7; int 0x80
    &[
        0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80,
    ],
);
#[cfg(target_arch = "aarch64")]
const COMPATIBLE: (Arch, u16, &[u8]) = (
    Arch::Arm,
    40,
    // mov r7, 20; svc 0; mov r7, 1; mov r0, 7; svc 0
    &[
        20, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef, 1, 0x70, 0xa0, 0xe3, 7, 0, 0xa0, 0xe3, 0, 0, 0, 0xef,
    ],
);

/// A program of 32 bits: one segment, at an address where both ABIs may have one.
fn program_of_32_bits(machine: u16, code: &[u8]) -> Vec<u8> {
    const ADDRESS: u32 = 0x10000;
    /// The file's header and one program header.
    const CODE: u32 = 52 + 32;
    let size = CODE + u32::try_from(code.len()).unwrap();
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // ET_EXEC, machine, version.
    file.extend([2_u16, machine].map(u16::to_le_bytes).concat());
    // Version, entry, offsets of both tables; and the flags: the EABI, version 5, of arm.
    file.extend(
        [1, ADDRESS + CODE, 52, 0, 0x0500_0000]
            .map(u32::to_le_bytes)
            .concat(),
    );
    // Sizes of header, program header, and how many of them; no sections.
    file.extend([52_u16, 32, 1, 40, 0, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD: offset, addresses, sizes, read and execute, alignment.
    let load = [1, 0, ADDRESS, ADDRESS, size, size, 5, 0x1000];
    file.extend(load.map(u32::to_le_bytes).concat());
    file.extend(code);
    file
}

#[test]
fn a_program_of_another_abi_is_stopped_at_its_first_call() {
    let (arch, machine, code) = COMPATIBLE;
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("foreign");
    place(&path, &program_of_32_bits(machine, code));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let verdict = Case::new(&path, Denied::kill(&[])).run();
    match std::process::Command::new(&path).status() {
        Ok(status) => assert_eq!(status.code(), Some(7), "without a filter"),
        Err(error) => {
            // This kernel has no such ABI, and a filter changes nothing about that.
            assert_eq!(error.raw_os_error(), Some(libc::ENOEXEC));
            let error = verdict.unwrap_err().to_string();
            assert!(error.contains("Exec format error"), "{error}");
            return;
        }
    }
    let verdict = verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Denied);
    let denial = only(&verdict);
    assert_eq!(denial.call.arch, arch.audit_arch());
    assert_eq!(denial.call.number, 20);
    assert!(denial.call.is_foreign());
    assert_eq!(denial.backtrace[0].object.as_deref(), Some(&*path));
}
