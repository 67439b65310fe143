//! Profiles: what they give, how they are put together, and one made for a program.

use std::fs;
use std::path::Path;

use crate::place::{Done, Place};
use crate::schema::{against, schema};

/// Writes its second argument to its first; tells the number of the error.
const WRITES: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return errno;
  return write(file, argv[2], strlen(argv[2])) < 0 ? errno : 0;
}
"#;

const HEAD: &str = "schema = \"portcullis.profile\"\nversion = 1\n";

fn writer(place: &Place) -> String {
    let program = place.compile("writes", WRITES, &["-static"]);
    program.display().to_string()
}

fn profile(place: &Place, name: &str, text: &str) {
    fs::write(place.at(name), format!("{HEAD}{text}")).unwrap();
}

/// Runs the writer under profiles, and what else is typed.
fn run(place: &Place, options: &[&str], file: &str) -> Done {
    let program = place.at("writes").display().to_string();
    place.portcullis(&[&["run"], options, &["--", &program, file, "text"]].concat())
}

fn read_only() -> i32 {
    rustix::io::Errno::ROFS.raw_os_error()
}

#[test]
fn a_profile_gives_and_what_is_typed_adds() {
    let place = Place::new();
    writer(&place);
    for name in ["one", "two", "three"] {
        fs::create_dir(place.at(name)).unwrap();
    }
    profile(&place, "one.toml", "write = [\"./one\"]\n");
    profile(
        &place,
        "two.toml",
        "write = [\"./two\"]\nlimit = [\"file-size=2\"]\n",
    );
    run(&place, &["--profile", "./one.toml"], "one/new").expect(0);
    run(&place, &["--profile", "./one.toml"], "two/new").expect(read_only());
    let both = ["--profile", "./one.toml", "--profile", "./two.toml"];
    run(
        &place,
        &[&both[..], &["--limit", "file-size=9"]].concat(),
        "one/new",
    )
    .expect(0);
    run(
        &place,
        &[&both[..], &["--write", "three"]].concat(),
        "three/new",
    );
    // Four bytes are more than two.
    assert_eq!(fs::read_to_string(place.at("three/new")).unwrap(), "te");
    let shown = place
        .portcullis(&["profile", "show", "./one.toml", "./two.toml"])
        .expect(0);
    let expected =
        format!("{HEAD}write = [\n  \"./one\",\n  \"./two\",\n]\nlimit = [\"file-size=2\"]\n");
    assert_eq!(shown.stdout, expected);
}

#[test]
fn the_working_directory_does_not_choose_a_profile() {
    let place = Place::new();
    writer(&place);
    // Under a name of its own, under a shipped one's, and without being named at all.
    for name in [
        "own",
        "batch-tool",
        "batch-tool.profile.toml",
        "portcullis.toml",
    ] {
        profile(&place, name, "write = [\"/etc\", \".\"]\n");
    }
    let done = run(&place, &["--profile", "own"], "new").expect(125);
    assert!(done.stderr.contains("./own"), "{}", done.stderr);
    run(&place, &["--profile", "static-server"], "new").expect(read_only());
    let shown = place
        .portcullis(&["profile", "show", "batch-tool"])
        .expect(0);
    assert!(!shown.stdout.contains("/etc"), "{}", shown.stdout);
    run(&place, &[], "new").expect(read_only());
}

#[test]
fn a_mistake_is_told_with_its_place_and_nothing_is_started() {
    let place = Place::new();
    writer(&place);
    fs::create_dir(place.at("data")).unwrap();
    profile(&place, "p.toml", "write = [\"./data\"]\nhid = [\"~\"]\n");
    let done = run(&place, &["--profile", "./p.toml"], "data/new").expect(125);
    assert!(
        done.stderr.contains("./p.toml:4:1: `hid`"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("^^^"), "{}", done.stderr);
    assert!(!place.at("data/new").exists());
    profile(
        &place,
        "p.toml",
        "write = [\"./data\"]\nallow-insecure = [\"landlock\"]\n",
    );
    let done = run(&place, &["--profile", "./p.toml"], "data/new").expect(125);
    assert!(
        done.stderr.contains("4:1: a profile never leaves"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_policy_of_a_profile_takes_the_place_of_a_derived_one() {
    let place = Place::new();
    writer(&place);
    profile(
        &place,
        "shipped.toml",
        "policy = \"static-strict\"\nwrite = [\".\"]\n",
    );
    // It lets nothing be opened to be written.
    let done = run(&place, &["--profile", "./shipped.toml"], "new").expect(159);
    assert!(done.stderr.contains("open"), "{}", done.stderr);
    let text = "schema = \"portcullis.policy\"\nversion = 1\narch = [\"x86_64\", \"aarch64\"]\n\
                baseline = \"6.1\"\ndefault = \"allow\"\n[[rule]]\ncall = \"write\"\naction = \"errno:EIO\"\n";
    fs::write(place.at("own.toml"), text).unwrap();
    profile(
        &place,
        "file.toml",
        "policy = \"./own.toml\"\nwrite = [\".\"]\n",
    );
    let eio = rustix::io::Errno::IO.raw_os_error();
    run(&place, &["--profile", "./file.toml"], "new").expect(eio);
    let both = ["--profile", "./file.toml", "--profile", "./shipped.toml"];
    let done = run(&place, &both, "new").expect(125);
    assert!(
        done.stderr.contains("each give a policy"),
        "{}",
        done.stderr
    );
}

#[test]
fn shipped_profiles_are_as_they_say() {
    let place = Place::new();
    let program = writer(&place);
    let home = place.at("home");
    fs::create_dir_all(home.join("work")).unwrap();
    fs::write(home.join("secret"), "").unwrap();
    let under = |name: &str, file: &str| {
        let mut command = place.command();
        command.current_dir(home.join("work")).env("HOME", &home);
        // Where tests have their places may be private: the whole is given, and what is hidden of it is not.
        let all = place.at("").display().to_string();
        command.args(["run", "--read", &all, "--profile", name]);
        command.args(["--", &program, file, "text"]);
        Done::new(command.output().unwrap()).code
    };
    let gone = rustix::io::Errno::NOENT.raw_os_error();
    for (name, writes) in [
        ("batch-tool", true),
        ("browser", true),
        ("compiler", true),
        ("interpreter", false),
        ("network-client", true),
        ("static-server", false),
        ("wasm-worker", false),
    ] {
        let expected = if writes { 0 } else { read_only() };
        assert_eq!(under(name, "new"), expected, "{name}");
        let outside = home.join("secret/new").display().to_string();
        // A file is no directory (ENOTDIR); what is hidden is not there.
        let hides = under(name, &outside) == gone;
        let says = !matches!(name, "compiler" | "interpreter");
        assert_eq!(hides, says, "{name}");
        let listed = place.portcullis(&["profile", "list"]).expect(0);
        assert!(listed.stdout.contains(name), "{name}");
    }
}

#[test]
fn a_profile_that_is_made_runs_its_program() {
    let place = Place::new();
    const WORKS: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char text[64] = "";
  FILE *input = fopen(argv[1], "r");
  if (!input || !fgets(text, sizeof text, input)) return 2;
  if (mkdir("out/made", 0755) != 0) return 3;
  FILE *output = fopen("out/made/result", "w");
  if (!output || fputs(text, output) < 0 || fclose(output) != 0) return 4;
  if (fork() == 0) { execl("/bin/true", "true", (char *)0); _exit(9); }
  int status;
  if (wait(&status) < 0 || status != 0) return 5;
  return 0;
}
"#;
    // A place that is private in a confined run.
    let input = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    fs::write(input.path(), "input\n").unwrap();
    let path = input.path().display().to_string();
    let program = place.compile("works", WORKS, &[]).display().to_string();
    fs::create_dir(place.at("out")).unwrap();
    let made = place
        .portcullis(&["profile", "new", "-o", "made.toml", "--", &program, &path])
        .expect(0);
    assert!(made.stderr.contains("unconfined"), "{}", made.stderr);
    let text = fs::read_to_string(place.at("made.toml")).unwrap();
    for part in ["\"./out\"", &*path, "/true", "files="] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("net ="), "{text}");
    let run = |options: &[&str]| {
        let _ = fs::remove_dir_all(place.at("out/made"));
        place.portcullis(&[&["run"], options, &["--", &program, &path]].concat())
    };
    run(&["--profile", "./made.toml"]).expect(0);
    assert_eq!(
        fs::read_to_string(place.at("out/made/result")).unwrap(),
        "input\n"
    );
    // Without it the input is not there.
    run(&[]).expect(2);
}

#[test]
fn the_schema_describes_the_shipped_profiles() {
    let schema = schema("profile");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".profile.toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let value: toml::Table = text.parse().unwrap();
        let mut wrong = Vec::new();
        let value = serde_json::to_value(value).unwrap();
        against(&schema, &schema, &value, "", &mut wrong);
        assert!(wrong.is_empty(), "{path:?}: {wrong:?}");
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn the_filter_for_containers_is_the_policy() {
    let place = Place::new();
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let policy = profiles.join("container-nested.toml").display().to_string();
    let words = ["policy", "convert", &policy, "--to", "docker"];
    let conceded = ["--concede-newer", "--concede-foreign"];
    let made = place
        .portcullis(&[&words[..], &conceded].concat())
        .expect(0);
    let shipped = fs::read_to_string(profiles.join("portcullis-container.json")).unwrap();
    assert_eq!(made.stdout, shipped);
}
