//! Files of modules: a directory in the job's own memory, by a program in C and its library.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::place::{Done, Place};
use crate::schema;

const PROGRAM: &str = r#"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is(const char *what, const char *name) { return !strcmp(what, name); }
static int err(int done) { return done < 0 ? errno : 0; }

static void list(const char *path) {
  char names[100][32];
  int n = 0;
  DIR *all = opendir(path);
  for (struct dirent *e; all && (e = readdir(all));)
    if (e->d_name[0] != '.') strcpy(names[n++], e->d_name);
  if (all) closedir(all);
  qsort(names, n, sizeof *names, (int (*)(const void *, const void *))strcmp);
  printf("%s:", path);
  for (int i = 0; i < n; i++) printf(" %s", names[i]);
  puts("");
}

static long size(const char *path) {
  struct stat s;
  return stat(path, &s) ? -errno : S_ISDIR(s.st_mode) ? -1000 : (long)s.st_size;
}

/* What a C program does with files; the machine's own does the same. */
static int tour(void) {
  char text[64] = {0};
  FILE *f = fopen("first", "w+");
  for (int i = 0; i < 1000; i++) fprintf(f, "line %d\n", i);
  printf("%ld", ftell(f));
  fseek(f, -9, SEEK_END);
  fgets(text, sizeof text, f);
  fgets(text, sizeof text, f);
  printf(" %s", text);
  fclose(f);
  printf("mkdir %d", err(mkdir("d", 0777)));
  printf(", twice %d\n", err(mkdir("d", 0777)) == EEXIST);
  printf("rename %d", err(rename("first", "d/second")));
  printf(", gone %d\n", size("first") == -ENOENT);
  int fd = open("d/second", O_RDWR);
  printf("pwrite %zd", pwrite(fd, "LINE", 4, 7));
  printf(" pread %zd", pread(fd, text, 12, 0));
  printf(" %.12s", text);
  printf(" at %lld\n", (long long)lseek(fd, 0, SEEK_CUR));
  printf("cut %d", err(ftruncate(fd, 20)));
  printf(" to %ld", size("d/second"));
  printf(", longer %d", err(ftruncate(fd, 70)));
  printf(" to %ld\n", size("d/second"));
  printf("end %lld", (long long)lseek(fd, -10, SEEK_END));
  printf(" before %d\n", err(lseek(fd, -1, SEEK_SET)) == EINVAL);
  printf("read %zd", read(fd, text, 20));
  printf(": %d%d\n", text[0], text[9]);
  close(fd);
  fd = open("d/second", O_WRONLY | O_APPEND);
  lseek(fd, 0, SEEK_SET);
  printf("append %zd", write(fd, "more", 4));
  printf(" to %ld\n", size("d/second"));
  printf("not for reading %d\n", err(read(fd, text, 1)) == EBADF);
  close(fd);
  printf("directory %d %d\n", err(open("d", O_WRONLY)) == EISDIR, err(open("d/second", O_RDONLY | O_DIRECTORY)) == ENOTDIR);
  printf("exclusive %d\n", err(open("d/second", O_CREAT | O_EXCL | O_WRONLY, 0666)) == EEXIST);
  fd = open("d/second", O_RDONLY);
  printf("unlink %d", err(unlink("d/second")));
  printf(", still %zd", read(fd, text, 6));
  printf(", gone %d\n", size("d/second") == -ENOENT);
  close(fd);
  for (int i = 0; i < 60; i++) {
    sprintf(text, "d/file %d", i);
    fclose(fopen(text, "w"));
  }
  list("d");
  printf("full %d", err(rmdir("d")) == ENOTEMPTY);
  for (int i = 0; i < 60; i++) {
    sprintf(text, "d/file %d", i);
    unlink(text);
  }
  printf(" empty %d\n", err(rmdir("d")));
  list(".");
  return 0;
}

static void print(const char *what, int error) { printf("%s %s\n", what, strerror(error)); }

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (is(what, "upper")) {
    FILE *from = fopen(argv[2], "r"), *to = fopen(argv[3], "w");
    if (!from || !to) return 2;
    for (int c; (c = getc(from)) != EOF;) putc(c >= 'a' && c <= 'z' ? c - 32 : c, to);
    fclose(to);
    if (argc > 4 && is(argv[4], "spin")) for (volatile int i = 0;; i++);
    if (argc > 4 && is(argv[4], "trap")) abort();
    return argc > 4 ? atoi(argv[4]) : 0;
  }
  if (is(what, "tour")) return tour();
  if (is(what, "out")) {
    char name[] = "x";
    print("up", err(open("../x", O_RDONLY)));
    print("through", err(open("d/../../x", O_RDONLY)));
    print("make up", err(open("../x", O_CREAT | O_WRONLY, 0666)));
    print("passwd", err(open("/etc/passwd", O_RDONLY)));
    print("proc", err(open("/proc/self/mem", O_RDWR)));
    print("rename", err(rename("given", "../given")));
    print("symlink", err(symlink("/etc/passwd", name)));
    print("link", err(link("given", name)));
    print("over", err(mkdir("given", 0777)));
    print("below", err(open("given/x", O_CREAT | O_WRONLY, 0666)));
    return 0;
  }
  if (is(what, "fill")) {
    static char block[1 << 16];
    int fd = open("large", O_CREAT | O_WRONLY, 0666), blocks = 0, files = 0;
    while (write(fd, block, sizeof block) == sizeof block) blocks++;
    printf("%d blocks, %s\n", blocks, strerror(errno));
    print("far", err(ftruncate(fd, 1LL << 60)));
    print("smaller", err(ftruncate(fd, 10)));
    for (char name[32]; sprintf(name, "%d", files), (fd = open(name, O_CREAT | O_WRONLY, 0666)) >= 0; files++) close(fd);
    printf("%d files, %s\n", files, strerror(errno));
    int open_ = 0;
    while (open("0", O_RDONLY) >= 0) open_++;
    printf("%d open, %s\n", open_, strerror(errno));
    return 0;
  }
  if (is(what, "same")) {
    struct stat s;
    for (int i = 2; i < argc; i++) {
      if (stat(argv[i], &s)) return 2;
      printf("%s %llu %llu %lld %lld %lld\n", argv[i], (unsigned long long)s.st_dev, (unsigned long long)s.st_ino,
             (long long)s.st_size, (long long)s.st_mtime, (long long)s.st_ctime);
    }
    DIR *all = opendir(".");
    for (struct dirent *e; (e = readdir(all));) puts(e->d_name);
    return 0;
  }
  return 7;
}
"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.at("files.c"), PROGRAM).unwrap();
    let status = Command::new("clang")
        .args(["--target=wasm32-wasi", "-O2", "-o"])
        .arg(place.at("files.wasm"))
        .arg(place.at("files.c"))
        .status()
        .expect("this test needs clang, lld, wasi-libc and libclang-rt-dev-wasm32");
    assert!(status.success());
    place
}

fn run(place: &Place, words: &[&str]) -> Done {
    place.portcullis(&[&["job", "run", "files.wasm"], words].concat())
}

/// The document of a job, which fits its schema.
fn document(place: &Place, words: &[&str]) -> Value {
    let done = run(place, &[&["--format", "json"], words].concat());
    let document =
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stderr));
    schema::fits("job", &document);
    document
}

#[test]
fn files_are_given_and_taken() {
    let place = place();
    fs::write(place.at("data"), "content").unwrap();
    fs::create_dir(place.at("to")).unwrap();
    let words = [
        "--give",
        "data:deep/in",
        "--take",
        "out",
        "--take",
        "none",
        "--take",
        "deep",
        "--take-to",
        "to",
    ];
    // Paths with and without a slash in front are the same.
    let upper = ["--", "upper", "deep/in", "/out"];
    let done = run(&place, &[&words[..], &upper].concat()).expect(0);
    assert_eq!(fs::read_to_string(place.at("to/out")).unwrap(), "CONTENT");
    for line in ["none was not taken: missing", "deep was not taken: no_file"] {
        assert!(done.stderr.contains(line), "{}", done.stderr);
    }
    // However it ends by itself; what its memory held is an answer.
    for (end, code, outcome) in [
        ("0", 0, "ok"),
        ("3", 3, "job_error"),
        ("trap", 134, "job_error"),
    ] {
        let found = document(&place, &[&words[..], &upper, &[end]].concat());
        assert_eq!(found["outcome"], outcome, "{code}: {found}");
        let expected = json!([
            {"name": "out", "bytes": 7, "base64": "Q09OVEVOVA=="},
            {"name": "none", "not_taken": "missing"},
            {"name": "deep", "not_taken": "no_file"}
        ]);
        assert_eq!(found["files"], expected);
    }
    // And not when it was ended.
    let bound = ["--limit", "cpu=200ms,wall=600s"];
    let found = document(&place, &[&bound, &words[..], &upper, &["spin"]].concat());
    assert_eq!(found["limit"], "cpu", "{found}");
    let files = found["files"].as_array().unwrap();
    assert!(
        files.iter().all(|file| file["not_taken"] == "ended"),
        "{found}"
    );
    // All of them together have room.
    let bound = ["--limit", "output=10", "--take", "deep/in"];
    let found = document(&place, &[&words[..], &bound, &upper].concat());
    assert_eq!(found["files"][0]["bytes"], 7, "{found}");
    assert_eq!(found["files"][3]["not_taken"], "too_large", "{found}");
    // Without any there is no directory.
    let alone = run(&place, &["--", "upper", "in", "out"]);
    assert_eq!(alone.code, 2, "{}", alone.stderr);
}

#[test]
fn names_lead_nowhere_else() {
    let place = place();
    fs::write(place.at("given"), "content").unwrap();
    for name in ["../given", "/given", "a/../given", "a//b", ""] {
        let given = format!("given:{name}");
        run(&place, &["--give", &given, "--", "tour"]).expect(125);
        run(&place, &["--take", name, "--", "tour"]).expect(125);
    }
    let twice = ["--give", "given", "--give", "given:given/x", "--", "tour"];
    let found = document(&place, &twice);
    assert_eq!(
        (&found["outcome"], &found["error"]),
        (&json!("job_error"), &json!("refused"))
    );
    let done = run(&place, &["--give", "given", "--", "out"]).expect(0);
    let expected = "up Capabilities insufficient\n\
                    through No such file or directory\n\
                    make up Capabilities insufficient\n\
                    passwd No such file or directory\n\
                    proc No such file or directory\n\
                    rename Capabilities insufficient\n\
                    symlink Capabilities insufficient\n\
                    link Capabilities insufficient\n\
                    over File exists\n\
                    below Not a directory\n";
    assert_eq!(done.stdout, expected);
}

#[test]
fn a_program_in_c_does_with_files_what_it_does_on_the_machine() {
    let place = place();
    let native = place.at("native");
    let built = Command::new("cc")
        .arg("-o")
        .arg(&native)
        .arg(place.at("files.c"))
        .status();
    assert!(built.unwrap().success());
    let empty = place.at("empty");
    fs::create_dir(&empty).unwrap();
    let expected = Command::new(&native)
        .arg("tour")
        .current_dir(&empty)
        .output()
        .unwrap();
    let expected = String::from_utf8(expected.stdout).unwrap();
    assert!(expected.lines().count() > 15, "{expected}");
    let done = run(&place, &["--take", "none", "--", "tour"]).expect(0);
    assert_eq!(done.stdout, expected);
}

#[test]
fn files_are_bounded_by_the_memory_of_the_job() {
    let place = place();
    let words = ["--take", "0", "--limit", "memory=64M", "--", "fill"];
    let done = run(&place, &words).expect(0);
    let lines: Vec<&str> = done.stdout.lines().collect();
    let count = |line: &str| line.split(' ').next().unwrap().parse::<u32>().unwrap();
    let [blocks, far, smaller, files, open] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert!(
        blocks.ends_with("No space left on device") && (900..1024).contains(&count(blocks)),
        "{blocks}"
    );
    assert_eq!(
        (*far, *smaller),
        ("far No space left on device", "smaller Success")
    );
    assert!(
        files.ends_with("No space left on device") && count(files) > 20_000,
        "{files}"
    );
    assert!(
        open.ends_with("No file descriptors available") && count(open) > 1000,
        "{open}"
    );
    // What it is given counts as well.
    fs::write(place.at("large"), vec![0; 3 << 20]).unwrap();
    let words = ["--give", "large", "--limit", "memory=2M", "--", "fill"];
    assert_eq!(document(&place, &words)["limit"], "memory");
}

#[test]
fn nothing_of_a_file_differs_from_one_job_to_another() {
    let place = place();
    let first = |name: &str| {
        let path = place.at(name);
        fs::write(&path, "content").unwrap();
        format!("{}:x", path.display())
    };
    let of = |given: &str| {
        let words = [
            "--give", given, "--give", "files.c", "--", "same", "x", ".", "files.c",
        ];
        run(&place, &words).expect(0).stdout
    };
    let expected = format!(
        "x 1 2 7 0 0\n. 1 1 0 0 0\nfiles.c 1 3 {} 0 0\nx\nfiles.c\n",
        PROGRAM.len()
    );
    for given in [first("one"), first("two")] {
        assert_eq!(of(&given), expected);
    }
    assert!(!Path::new("/x").exists());
}
