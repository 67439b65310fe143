//! `audit`: a program of three threads, each under its own filter.

mod builds;
mod document;
mod live;
mod patch;
#[path = "../../../../testdata/audit/three_threads.rs"]
mod three_threads;
mod worker;

use portcullis_abi::Arch;

use crate::place::{Done, Place};

const THREADS: [&str; 2] = ["--thread", "vmm=main"];

/// The program and its policy.
fn place() -> Place {
    place_of(Arch::X86_64)
}

/// The same for an architecture.
fn place_of(arch: Arch) -> Place {
    let place = Place::new();
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/..");
    three_threads::build(arch, target.as_ref(), &place.at("program"));
    let policy = three_threads::directory().join(format!("three_threads.{arch}.json"));
    std::fs::copy(policy, place.at("policy.json")).unwrap();
    place
}

/// Changes the policy: the rule of a line that has a text goes, or another line comes before it.
fn edit(place: &Place, line: &str, before: Option<&str>) {
    let file = place.at("policy.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|l| l.contains(line)).unwrap();
    match before {
        Some(rule) => lines.insert(at, rule),
        None => drop(lines.remove(at)),
    }
    std::fs::write(&file, lines.join("\n")).unwrap();
}

fn audit(place: &Place, more: &[&str]) -> Done {
    let all = [&["audit", "./program", "policy.json"], &THREADS[..], more].concat();
    place.portcullis(&all)
}

#[test]
fn what_fits_ends_with_success() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let place = place_of(arch);
        let done = audit(&place, &["--strict"]).expect(0);
        assert!(
            done.stdout.starts_with("0 missing, 0 redundant"),
            "{}",
            done.stdout
        );
    }
}

/// A file of filters that does not say its architecture is read for the program's.
#[test]
fn the_program_says_the_architecture() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let place = place_of(arch);
        std::os::unix::fs::symlink("program", place.at("link")).unwrap();
        let script = format!("#!{}\n", place.at("link").display());
        std::fs::write(place.at("script"), script).unwrap();
        for program in ["program", "script"] {
            let done = place.portcullis(
                &[&["audit", program, "policy.json", "--strict"], &THREADS[..]].concat(),
            );
            let done = done.expect(0);
            assert!(!done.stderr.contains("--arch"), "{}", done.stderr);
        }
        let wide = place
            .portcullis(&["diff", "program", "policy.json", "--filter", "vmm"])
            .expect(1);
        assert!(!wide.stderr.contains("--arch"), "{}", wide.stderr);
        assert!(wide.stdout.contains("brk"), "{}", wide.stdout);

        // Who names one has it so.
        let other = match arch {
            Arch::X86_64 => "aarch64",
            _ => "x86_64",
        };
        let done = audit(&place, &["--arch", other]);
        assert_ne!(done.code, 0, "{}", done.stdout);
    }
}

#[test]
fn findings_have_a_line_a_way_and_advice() {
    let place = place();
    edit(&place, "\"mmap\"", None);
    edit(&place, "\"getpid\"", Some("    {\"syscall\": \"execve\"},"));
    let done = audit(&place, &[]).expect(1);
    assert!(
        done.stdout.contains("PC0401 missing [vmm]: mmap"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("PC0404 redundant [vcpu]"),
        "{}",
        done.stdout
    );

    let json = audit(&place, &["--format", "json"]).expect(1).json();
    assert_eq!(json["schema"], "portcullis.audit");
    assert_eq!(json["summary"]["missing"], 1);
    let missing = &json["findings"][0];
    assert_eq!(missing["kind"], "missing");
    assert_eq!(missing["thread"], "main");
    assert!(!missing["witness"].as_array().unwrap().is_empty());
    assert_eq!(
        missing["suggestion"],
        "add `mmap(arg2 == 0x3, arg3 == 0x22): allow`"
    );
    let redundant = &json["findings"][1];
    let line = redundant["rule"]["line"].as_u64().unwrap() as usize;
    let text = std::fs::read_to_string(place.at("policy.json")).unwrap();
    assert!(
        text.lines().nth(line - 1).unwrap().contains("execve"),
        "{line}"
    );

    let sarif = audit(&place, &["--format", "sarif"]).expect(1).json();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 2);

    let github = audit(&place, &["--format", "github"]).expect(1).stdout;
    let expected = format!("::error file=policy.json,line={line},");
    assert!(github.contains(&expected), "{github}");
}

#[test]
fn accepted_findings_need_a_reason_and_an_end() {
    let place = place();
    edit(&place, "\"getpid\"", Some("    {\"syscall\": \"execve\"},"));
    let entry = "[[accept]]\ncode = \"PC0404\"\nthread = \"vcpu\"\ncall = \"execve\"\n";
    std::fs::write(
        place.at("accept.toml"),
        format!("{entry}reason = \"for debugging\"\n"),
    )
    .unwrap();
    audit(&place, &["--accept", "accept.toml"]).expect(0);
    edit(&place, "\"execve\"", None);
    let done = audit(&place, &["--accept", "accept.toml"]).expect(1);
    assert!(done.stdout.contains("PC0411 stale"), "{}", done.stdout);
    std::fs::write(place.at("accept.toml"), entry).unwrap();
    let done = audit(&place, &["--accept", "accept.toml"]).expect(2);
    assert!(done.stderr.contains("`reason`"), "{}", done.stderr);
}

#[test]
fn a_lock_is_written_once_and_then_compared() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        is_locked(arch);
    }
}

fn is_locked(arch: Arch) {
    let place = place_of(arch);
    let options = ["--lock", "program.syscalls.lock"];
    audit(&place, &options).expect(0);
    audit(&place, &options).expect(0);
    let file = place.at("program.syscalls.lock");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("vcpu/after:install ioctl arg1 = 0xae80\n"),
        "{text}"
    );
    std::fs::write(&file, text.replace("0xae80\n", "0xae81\n")).unwrap();
    let done = audit(&place, &options).expect(1);
    assert!(
        done.stdout
            .contains("+ vcpu/after:install ioctl arg1 = 0xae80"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout
            .contains("- vcpu/after:install ioctl arg1 = 0xae81"),
        "{}",
        done.stdout
    );
}

#[test]
fn wrong_names_are_told() {
    let place = place();
    for (args, expected) in [
        (["--thread", "none=main"], "no filter has the name"),
        (["--thread", "api=nobody"], "there is no thread nobody"),
        (["--after", "nowhere"], "no function `nowhere`"),
    ] {
        let done = audit(&place, &args).expect(2);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
    }
}
