//! `job`: modules as jobs, from the text of a module to the command's exit code and document.

use std::fs;

use serde_json::Value;

use crate::place::{Done, Place};
use crate::schema;

/// A module with memory and these lines; `$write` writes a text at 64 to standard output.
pub(crate) fn module(lines: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
          (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "path_open" (func $open
            (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (memory (export "memory") 2)
          (data (i32.const 64) "hello\n")
          (func $write (param $at i32) (param $length i32)
            (i32.store (i32.const 0) (local.get $at))
            (i32.store (i32.const 4) (local.get $length))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
          {lines})"#
    );
    wat::parse_str(text).unwrap()
}

struct Jobs {
    place: Place,
}

impl Jobs {
    fn new() -> Jobs {
        Jobs {
            place: Place::new(),
        }
    }

    fn write(&self, name: &str, lines: &str) {
        fs::write(self.place.at(name), module(lines)).unwrap();
    }

    /// Runs the module of these lines.
    fn run(&self, lines: &str, words: &[&str]) -> Done {
        self.write("m.wasm", lines);
        self.place
            .portcullis(&[&["job", "run", "./m.wasm"], words].concat())
    }

    fn document(&self, lines: &str, words: &[&str]) -> Value {
        let done = self.run(lines, &[&["--format", "json"], words].concat());
        document(&done)
    }
}

pub(crate) fn document(done: &Done) -> Value {
    let document =
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stderr));
    schema::fits("job", &document);
    document
}

pub(crate) const HELLO: &str =
    r#"(func (export "_start") (call $write (i32.const 64) (i32.const 6)))"#;
const LOOP: &str = r#"(func (export "_start") (loop (br 0)))"#;

#[test]
fn a_job_runs_behind_every_layer() {
    let jobs = Jobs::new();
    let done = jobs.run(HELLO, &[]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "hello\n"),
        "{}",
        done.stderr
    );
    let document = jobs.document(HELLO, &[]);
    assert_eq!(document["schema"], "portcullis.job");
    assert_eq!(document["outcome"], "ok");
    assert_eq!(document["record"]["source"], "pidfd");
    assert_eq!(document["record"]["exit_status"], 0);
    assert_eq!(document["stdout"]["base64"], "aGVsbG8K");
    assert_eq!(document["not_enforced"], serde_json::json!([]));
    assert!(document["usage"]["cpu_ns"].as_u64().unwrap() > 0);
    let layers: Vec<&str> = document["enforced"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["layer"].as_str().unwrap())
        .collect();
    for layer in [
        "seccomp",
        "namespaces",
        "filesystem",
        "network",
        "landlock",
        "limits",
    ] {
        assert!(layers.contains(&layer), "{layer}: {layers:?}");
    }
}

#[test]
fn input_arguments_and_environment_arrive() {
    let jobs = Jobs::new();
    let echo = r#"(func (export "_start")
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 60000))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $write (i32.const 1024) (i32.load (i32.const 8))))"#;
    let input = "x".repeat(50_000);
    fs::write(jobs.place.at("input"), &input).unwrap();
    let done = jobs.run(echo, &["--input", "input"]);
    assert_eq!((done.code, done.stdout), (0, input), "{}", done.stderr);

    let arguments = r#"(func (export "_start")
      (drop (call $args (i32.const 128) (i32.const 1024)))
      (drop (call $environ (i32.const 256) (i32.const 2048)))
      (call $write (i32.const 1024) (i32.const 13))
      (call $write (i32.const 2048) (i32.const 4)))"#;
    let done = jobs.run(arguments, &["--env", "A=b", "--", "one", "2"]);
    assert_eq!(done.stdout, "m.wasm\0one\x002\0A=b\0", "{}", done.stderr);
    // A secret is a variable like others, there.
    fs::write(jobs.place.at("secret"), "b").unwrap();
    let done = jobs.run(arguments, &["--secret", "A=secret", "--", "one", "2"]);
    assert_eq!(done.stdout, "m.wasm\0one\x002\0A=b\0", "{}", done.stderr);
    fs::write(jobs.place.at("secret"), b"\xff").unwrap();
    let done = jobs.document(arguments, &["--secret", "A=secret"]);
    assert_eq!(done["error"], "refused", "{done}");
}

#[test]
fn several_inputs_are_a_job_each() {
    let jobs = Jobs::new();
    // Ends with the code that its input begins with, less 48, and writes the input.
    let code = r#"(func (export "_start")
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 60000))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $write (i32.const 1024) (i32.load (i32.const 8)))
      (call $exit (i32.sub (i32.load8_u (i32.const 1024)) (i32.const 48))))"#;
    let mut words = vec!["--jobs", "2", "--metrics", "metrics"];
    let names = ["0a", "3b", "0c", "0d", "0e", "0f", "0g"];
    for name in names {
        fs::write(jobs.place.at(name), format!("{name}\n")).unwrap();
        words.extend(["--input", name]);
    }
    let done = jobs.run(code, &words);
    let all = names.map(|name| format!("{name}\n")).concat();
    assert_eq!((done.code, done.stdout), (1, all), "{}", done.stderr);
    let metrics = fs::read_to_string(jobs.place.at("metrics")).unwrap();
    for (end, count) in [("ok", 6), ("job_error", 1)] {
        let line = format!("portcullis_pool_ended_total{{end=\"{end}\"}} {count}");
        assert!(metrics.lines().any(|l| l == line), "{metrics}");
    }
    // In the same order as documents, a line each.
    words.extend(["--format", "json"]);
    let done = jobs.run(code, &words);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), names.len(), "{}", done.stdout);
    for (line, name) in lines.iter().zip(names) {
        let document: Value = serde_json::from_str(line).unwrap();
        schema::fits("job", &document);
        assert_eq!(document["input"], name);
        assert_eq!(document["tries"].as_array().unwrap().len(), 1);
        let ok = name.starts_with('0');
        assert_eq!(document["outcome"] == "ok", ok, "{document}");
    }
    // What all of them come to without a failure.
    let done = jobs.run(code, &["--input", "0a", "--input", "0c"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn each_end_has_its_class_and_code() {
    let jobs = Jobs::new();
    let start = |body: &str| format!(r#"(func (export "_start") {body})"#);
    let memory = r#"(func (export "_start") (loop (drop (memory.grow (i32.const 16))) (br 0)))"#;
    // Eight bytes an element, without a page that is touched.
    let tables = r#"(table $one 1 funcref) (table $other 1 funcref)
      (func (export "_start") (loop
        (drop (table.grow $one (ref.null func) (i32.const 60000)))
        (drop (table.grow $other (ref.null func) (i32.const 60000)))
        (br 0)))"#;
    let table = "(table 9000000 funcref)";
    let flood =
        r#"(func (export "_start") (loop (call $write (i32.const 64) (i32.const 60000)) (br 0)))"#;
    let recursion = r#"(func $f (export "_start") (call $f))"#;
    let exit = start("(call $exit (i32.const 7))");
    let trap = start("(unreachable)");
    let bounds = start("(drop (i32.load (i32.const -4)))");
    let division = start("(drop (i32.div_s (i32.const 1) (i32.const 0)))");
    // (module, limits, exit code, outcome, what of it)
    let cases: &[(&str, &str, i32, &str, &str)] = &[
        (&exit, "cpu=60s,wall=600s", 7, "job_error", "exit"),
        (&trap, "cpu=60s,wall=600s", 134, "job_error", "trap"),
        (&bounds, "cpu=60s,wall=600s", 134, "job_error", "trap"),
        (&division, "cpu=60s,wall=600s", 134, "job_error", "trap"),
        (recursion, "cpu=60s,wall=600s", 134, "job_error", "trap"),
        ("", "cpu=60s,wall=600s", 1, "job_error", "refused"),
        (LOOP, "cpu=200ms,wall=600s", 124, "limit", "cpu"),
        (LOOP, "cpu=600s,wall=200ms", 124, "limit", "wall"),
        (LOOP, "fuel=100000", 124, "limit", "fuel"),
        (memory, "memory=64M", 124, "limit", "memory"),
        (tables, "memory=64M", 124, "limit", "memory"),
        (table, "memory=64M", 124, "limit", "memory"),
        (flood, "output=1M", 124, "limit", "output"),
    ];
    for (lines, limits, code, outcome, what) in cases {
        let done = jobs.run(lines, &["--format", "json", "--limit", limits]);
        let document = document(&done);
        assert_eq!(document["outcome"], *outcome, "{what}: {document}");
        let field = if *outcome == "limit" {
            "limit"
        } else {
            "error"
        };
        assert_eq!(document[field], *what, "{document}");
        assert_eq!(done.code, *code, "{what}: {document}");
        // By itself, or killed for a limit: the filter had nothing to do.
        assert_ne!(document["record"]["signal"], 31, "{what}");
    }
}

#[test]
fn what_its_own_type_does_not_let_grow_is_no_limit_of_the_job() {
    let jobs = Jobs::new();
    // Each time it is told -1, as often as it asks; then there is as much room as before.
    let ask = r#"(memory $small 1 2) (table $few 1 2 funcref)
      (func (export "_start") (local $n i32)
        (loop $again
          (if (i32.ne (memory.grow $small (i32.const 16)) (i32.const -1)) (then (call $exit (i32.const 3))))
          (if (i32.ne (memory.grow (i32.const 65536)) (i32.const -1)) (then (call $exit (i32.const 4))))
          (if (i32.ne (table.grow $few (ref.null func) (i32.const 2)) (i32.const -1)) (then (call $exit (i32.const 5))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))
        (if (i32.ne (memory.grow (i32.const 100)) (i32.const 2)) (then (call $exit (i32.const 6))))
        (call $write (i32.const 64) (i32.const 6)))"#;
    let done = jobs.run(ask, &["--limit", "memory=8M"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "hello\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn what_is_not_given_is_not_there_and_what_is_asked_is_always_the_same() {
    let jobs = Jobs::new();
    // EBADF, as a digit: there is no directory.
    let open = r#"(func (export "_start")
      (i32.store8 (i32.const 100) (i32.add (call $open
        (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0)
        (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)) (i32.const 48)))
      (call $write (i32.const 100) (i32.const 1)))"#;
    assert_eq!(jobs.run(open, &[]).stdout, "8");
    let ask = r#"(func (export "_start")
      (drop (call $random (i32.const 512) (i32.const 21)))
      (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 536)))
      (call $write (i32.const 512) (i32.const 32)))"#;
    let first = jobs.document(ask, &[]);
    let again = jobs.document(ask, &[]);
    assert_eq!(first["stdout"], again["stdout"]);
    assert_eq!(first["stdout"]["bytes"], 32);
}

#[test]
fn steps_end_a_job_at_the_same_place() {
    let jobs = Jobs::new();
    let count =
        r#"(func (export "_start") (loop (call $write (i32.const 64) (i32.const 6)) (br 0)))"#;
    let first = jobs.document(count, &["--limit", "fuel=5000"]);
    let again = jobs.document(count, &["--limit", "fuel=5000"]);
    assert_eq!(first["limit"], "fuel", "{first}");
    assert_eq!(first["stdout"], again["stdout"]);
}

#[test]
fn what_was_prepared_is_kept_and_checked() {
    let jobs = Jobs::new();
    jobs.write("m.wasm", HELLO);
    let prepare = || {
        let words = ["job", "prepare", "m.wasm", "--format", "json"];
        let done = jobs.place.portcullis(&words);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let document: Value = serde_json::from_str(&done.stdout).unwrap();
        document["found"].as_str().unwrap().to_owned()
    };
    assert_eq!(prepare(), "made");
    assert_eq!(prepare(), "kept");
    let artifacts = jobs.place.cache().join("artifacts");
    let entries = || {
        let all = fs::read_dir(&artifacts).unwrap().map(|e| e.unwrap().path());
        let kept = |p: &std::path::PathBuf| p.to_string_lossy().contains("artifact-");
        all.filter(kept).collect::<Vec<_>>()
    };
    let [entry] = entries().try_into().unwrap();
    // A bit of the code, a part that is missing, and nothing at all.
    let good = fs::read(&entry).unwrap();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [changed.as_slice(), &good[..good.len() / 2], b""] {
        fs::write(&entry, bad).unwrap();
        assert_eq!(prepare(), "made_again");
        assert_eq!(prepare(), "kept");
    }
    // The same bytes as the artifact of another module.
    jobs.write("other.wasm", LOOP);
    let done = jobs.place.portcullis(&["job", "prepare", "other.wasm"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let other = entries().into_iter().find(|path| *path != entry).unwrap();
    fs::copy(&other, &entry).unwrap();
    assert_eq!(prepare(), "made_again");
}

#[test]
fn what_is_too_large_to_prepare_is_so_everywhere() {
    let jobs = Jobs::new();
    jobs.write("m.wasm", HELLO);
    let prepare = |most: u64| {
        let most = most.to_string();
        let done =
            jobs.place
                .portcullis(&["job", "prepare", "m.wasm", "--prepare-allocations", &most]);
        assert!([0, 1].contains(&done.code), "{}", done.stderr);
        if done.code == 1 {
            assert!(
                done.stderr.contains("over its limit of allocations"),
                "{}",
                done.stderr
            );
        }
        done.code == 0
    };
    // The fewest bytes with which it can be prepared.
    let (mut less, mut enough) = (1000, 64 << 20);
    assert!(!prepare(less) && prepare(enough));
    while enough - less > 1 {
        let middle = less + (enough - less) / 2;
        match prepare(middle) {
            true => enough = middle,
            false => less = middle,
        }
    }
    // They stay the fewest, and what was kept for another bound does not count.
    fs::remove_dir_all(jobs.place.cache().join("artifacts")).unwrap();
    for _ in 0..3 {
        assert!(!prepare(less) && prepare(enough));
    }
}

/// A cache on a disk that is full, and then is not.
const FULL: &str = r#"
mount -t tmpfs -o size=8k,mode=0700 full "$CACHE" || exit 99
"$0" job prepare m.wasm
echo "code $?, left: $(ls "$CACHE")"
mount -o remount,size=4m "$CACHE"
"$0" job prepare m.wasm --format json
"#;

#[test]
fn a_full_disk_is_told_and_takes_no_more_room() {
    let jobs = Jobs::new();
    jobs.write("m.wasm", HELLO);
    let artifacts = jobs.place.cache().join("artifacts");
    fs::create_dir_all(&artifacts).unwrap();
    let output = std::process::Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            FULL,
            env!("CARGO_BIN_EXE_portcullis"),
        ])
        .env("CACHE", &artifacts)
        .env("XDG_CACHE_HOME", jobs.place.at("cache"))
        .current_dir(jobs.place.at("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("No space left on device"), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, document) = text.split_once('\n').unwrap();
    assert_eq!(first, "code 125, left: key", "{said}");
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["found"], "made");
}

/// Counts words: the C library's streams, allocator, sorting and numbers.
const WORDS: &str = r#"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct entry { char *word; int count; };
static int order(const void *a, const void *b) {
  const struct entry *x = a, *y = b;
  return y->count != x->count ? y->count - x->count : strcmp(x->word, y->word);
}
int main(int argc, char **argv) {
  int most = argc > 1 ? atoi(argv[1]) : 3, used = 0, n = 0, c;
  struct entry *all = NULL;
  char word[64];
  do {
    c = getchar();
    if (isalpha(c) && n < 63) { word[n++] = tolower(c); continue; }
    if (!n) continue;
    word[n] = 0; n = 0;
    int i = 0;
    while (i < used && strcmp(all[i].word, word)) i++;
    if (i == used) {
      all = realloc(all, ++used * sizeof *all);
      all[i].word = strdup(word);
      all[i].count = 0;
    }
    all[i].count++;
  } while (c != EOF);
  qsort(all, used, sizeof *all, order);
  for (int i = 0; i < used && i < most; i++) printf("%d %s\n", all[i].count, all[i].word);
  fprintf(stderr, "%d words, %.2f\n", used, used / 4.0);
  return fopen("words", "r") ? 1 : 5;
}
"#;

#[test]
fn a_program_in_c_runs_on_a_real_text() {
    let place = Place::new();
    fs::write(place.at("words.c"), WORDS).unwrap();
    let status = std::process::Command::new("clang")
        .args(["--target=wasm32-wasi", "-O2", "-o"])
        .arg(place.at("words.wasm"))
        .arg(place.at("words.c"))
        .status()
        .expect("this test needs clang, lld, wasi-libc and libclang-rt-dev-wasm32");
    assert!(status.success());
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../LICENSE-APACHE"));
    let text = text.unwrap();
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    let words = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|w| !w.is_empty());
    for word in words {
        *counts.entry(word.to_ascii_lowercase()).or_default() += 1;
    }
    let mut most: Vec<_> = counts.iter().collect();
    most.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let lines = most
        .iter()
        .take(20)
        .map(|(word, count)| format!("{count} {word}\n"));
    let expected: String = lines.collect();

    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../../LICENSE-APACHE");
    let done = place.portcullis(&["job", "run", "words.wasm", "--input", text, "--", "20"]);
    assert_eq!(done.stdout, expected, "{}", done.stderr);
    let size = format!("{} words, {:.2}\n", counts.len(), counts.len() as f64 / 4.0);
    assert_eq!(done.stderr, size);
    // It has no file, and says so by its own code.
    assert_eq!(done.code, 5);
}

#[test]
fn what_is_no_module_is_refused() {
    let place = Place::new();
    fs::write(place.at("m.wasm"), "\0asm but no more").unwrap();
    for verb in ["prepare", "run"] {
        let done = place.portcullis(&["job", verb, "m.wasm"]);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains("preparing the module"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn what_is_about_native_programs_is_refused_for_a_module() {
    let jobs = Jobs::new();
    fs::write(jobs.place.at("policy.toml"), "").unwrap();
    for words in [["--allow", "socket"], ["--policy", "policy.toml"]] {
        let done = jobs.run(HELLO, &words);
        assert_eq!((done.code, done.stdout.as_str()), (125, ""), "{words:?}");
        assert!(done.stderr.contains("native programs"), "{}", done.stderr);
    }
    let done = jobs.run(HELLO, &["--allow-insecure", "none"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("worker-proof"), "{}", done.stderr);
}

#[test]
fn a_module_that_asks_for_what_is_unknown_is_told_so() {
    let place = Place::new();
    let text = r#"(module (import "env" "f" (func)) (func (export "_start")))"#;
    fs::write(place.at("m.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let done = place.portcullis(&["job", "run", "m.wasm"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("env"), "{}", done.stderr);
}

#[test]
fn preparing_is_bounded() {
    let jobs = Jobs::new();
    // Many functions that are long to compile.
    let body = "(drop (i32.add (i32.const 1) (i32.load (i32.const 8))))".repeat(2000);
    let many = format!("(func {body})").repeat(100) + HELLO;
    jobs.write("m.wasm", &many);
    let words = ["job", "prepare", "m.wasm", "--prepare-limit", "cpu=50ms"];
    let done = jobs.place.portcullis(&words);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("over its limit of cpu"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_worker_is_proved_before_its_first_job_or_it_is_told() {
    let jobs = Jobs::new();
    let names = |document: &Value, key: &str| -> Vec<String> {
        let all = document[key].as_array().unwrap().iter();
        all.map(|layer| layer["layer"].as_str().unwrap().to_owned())
            .collect()
    };
    let document = jobs.document(HELLO, &[]);
    assert!(names(&document, "enforced").contains(&"worker-proof".to_owned()));
    let document = jobs.document(HELLO, &["--allow-insecure", "worker-proof"]);
    assert_eq!(names(&document, "not_enforced"), ["worker-proof"]);
}

/// What `record show` tells of a trace.
fn shown(place: &Place, trace: &str) -> Value {
    let done = place.portcullis(&["record", "show", "--format", "json", trace]);
    serde_json::from_str(&done.expect(0).stdout).unwrap()
}

#[test]
fn worker_and_job_are_recorded() {
    let jobs = Jobs::new();
    let done = jobs.run(HELLO, &["--record", "job.trace"]).expect(0);
    assert_eq!(done.stdout, "hello\n");
    let found = shown(&jobs.place, "job.trace");
    let images = found["images"].as_array().unwrap();
    let names: Vec<&Value> = images.iter().map(|image| &image["path"]).collect();
    assert_eq!(
        names,
        ["portcullis-wasm-execute", "portcullis-wasm-execute job"]
    );
    let calls = images[1]["calls"].as_array().unwrap();
    let names: Vec<&str> = calls.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"write"), "{names:?}");
    for name in ["recvmsg", "clone", "clone3", "openat", "seccomp"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    // Others read it: a policy of what was seen, and what the worker's own policy has beyond that.
    let policy = jobs.place.portcullis(&["policy", "job.trace"]).expect(0);
    assert!(policy.stdout.contains("recvmsg"), "{}", policy.stdout);
    // Another job is another run of the same trace.
    jobs.run(HELLO, &["--record", "job.trace"]).expect(0);
    assert_eq!(shown(&jobs.place, "job.trace")["runs"], 2);
}
