//! A compressor, an interpreter and a database, from source packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Place, taken};
use crate::{place, process, source_package};

/// What is compressed: a large program that is there.
const DATA: &str = "/usr/bin/perl";
/// What they refer to and WASI lacks.
const LACKS: &str = "testdata/wasi";
/// What is counted by words.
const TEXT: &str = "LICENSE-APACHE";

pub(super) fn all(place: &Place) -> Result<()> {
    compressor(place).context("minigzip")?;
    interpreter(place).context("lua")?;
    database(place).context("sqlite3")?;
    println!("jobs: three programs for WASI do what the machine's own do");
    alike(place).context("the same job twice")?;
    println!("jobs: a job is the same beside other work, in another environment and time zone");
    Ok(())
}

/// zlib's own program against gzip, both ways.
fn compressor(place: &Place) -> Result<()> {
    let sources = source_package::provide("zlib")?;
    let mut files = files(&sources, |name| name.ends_with(".c"))?;
    files.push(sources.join("test/minigzip.c"));
    let flags = ["-DHAVE_UNISTD_H", "-I"].map(str::to_owned);
    let module = compiled(
        place,
        "minigzip",
        &files,
        &[&flags[..], &[text(&sources)]].concat(),
    )?;
    let data = fs::read(DATA)?;
    let small = place.output(&module, &data, &[])?;
    ensure!(
        small.len() * 2 < data.len(),
        "{} bytes of {}",
        small.len(),
        data.len()
    );
    let again = taken(Command::new("gzip").args(["-d", "-c"]), &small)?;
    ensure!(again == data, "gzip reads something else");
    let small = taken(Command::new("gzip").args(["-9", "-c"]), &data)?;
    ensure!(
        place.output(&module, &small, &["-d"])? == data,
        "it reads something else"
    );
    // A file becomes another one.
    let options = [
        "--give",
        &format!("{DATA}:data"),
        "--take",
        "data.gz",
        "--take",
        "data",
    ];
    place.output_with(&options, &module, b"", &["data"])?;
    let small = fs::read(place.at("data.gz"))?;
    let again = taken(Command::new("gzip").args(["-d", "-c"]), &small)?;
    ensure!(again == data, "gzip reads something else in its file");
    ensure!(
        !place.at("data").exists(),
        "it left the file that it compressed"
    );
    Ok(())
}

/// Counts words, sorts, formats numbers; the program comes with its text.
const WORDS: &str = r##"
local counts, words = {}, {}
for word in text:lower():gmatch("%a+") do
  if not counts[word] then words[#words + 1] = word end
  counts[word] = (counts[word] or 0) + 1
end
table.sort(words, function(a, b)
  if counts[a] ~= counts[b] then return counts[a] > counts[b] end
  return a < b
end)
for n = 1, 40 do print(("%5d %-12s %.4f"):format(counts[words[n]], words[n], counts[words[n]] / #words)) end
local a, b = 0, 1
for _ = 1, 90 do a, b = b, a + b end
print(a, 2 ^ 0.5, math.maxinteger, string.pack(">d", 1 / 3):byte(1, -1))
print(select("#", table.unpack(words, 1, 200)), text:reverse():sub(1, 60):gsub("%s+", " "))
"##;

/// Errors end the module, for which its source provides: WASI has no jumps out of C.
const LUA: [&str; 9] = [
    "-DLUAI_THROW(L,c)=abort()",
    "-DLUAI_TRY(L,c,a)={ a }",
    "-Dluai_jmpbuf=int",
    "-DLUA_TMPNAMBUFSIZE=1",
    "-Dlua_tmpnam(b,e)={ e = 1; }",
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-lwasi-emulated-signal",
    "-lwasi-emulated-process-clocks",
];

/// Lua against Debian's.
fn interpreter(place: &Place) -> Result<()> {
    let sources = source_package::provide("lua5.4")?.join("src");
    let files = files(&sources, |name| name.ends_with(".c") && name != "luac.c")?;
    let module = compiled(place, "lua", &files, &LUA.map(str::to_owned))?;
    let words = fs::read_to_string(place::root().join(TEXT))?;
    let script = format!("local text = [==[\n{words}]==]\n{WORDS}");
    let expected = taken(Command::new("lua5.4").arg("-"), script.as_bytes())?;
    let found = place.output(&module, script.as_bytes(), &["-"])?;
    ensure!(found == expected, "{}", String::from_utf8_lossy(&found));
    Ok(())
}

/// Asks for all that could differ: time, randomness, addresses, the environment; and does not end by itself.
const CURIOUS: &str = r##"
print(os.time(), os.date(), os.clock(), math.random(), math.random(1 << 40), tostring({}), tostring(print))
print(os.getenv("TZ"), os.getenv("HOME"), os.getenv("LANG"), collectgarbage("count"), io.open("/etc/passwd"))
local n = 0
while true do
  n = n + 1
  if n % 100000 == 0 then print(n, #tostring({}), collectgarbage("count")) end
end
"##;

/// The interpreter's job on an idle machine, and beside others in another environment: the same bytes, and with steps
/// counted the same class.
fn alike(place: &Place) -> Result<()> {
    let module = place.at("lua.wasm");
    let script = place.at("curious.lua");
    fs::write(&script, CURIOUS)?;
    let job = || {
        let mut job = place.job("run", &module);
        job.arg("--input").arg(&script);
        job.args(["--limit", "cpu=60s,fuel=300M"]);
        job
    };
    let with = |mut job: Command| {
        let words = ["--format", "json", "--", "-"];
        let outcome = process::take(job.args(words), b"", super::PATIENCE)?;
        let found: Value =
            serde_json::from_slice(&outcome.stdout).context("the document of a job")?;
        ensure!(
            found["outcome"] == "limit" && found["limit"] == "fuel",
            "{found}"
        );
        Ok((found["stdout"].clone(), found["stderr"].clone()))
    };
    let first = with(job())?;
    ensure!(
        first.0["bytes"].as_u64().is_some_and(|bytes| bytes > 300),
        "{first:?}"
    );
    let mut others = Others::new()?;
    let mut changed = job();
    changed
        .env("TZ", "Asia/Kathmandu")
        .env("LANG", "tr_TR.UTF-8")
        .env("HOME", "/nonexistent");
    let second = with(changed)?;
    others.end()?;
    ensure!(first == second, "{first:?}\n    {second:?}");
    Ok(())
}

/// As much other work as there are processors.
struct Others(Vec<Child>);

impl Others {
    fn new() -> Result<Others> {
        let count = std::thread::available_parallelism()?.get();
        let each = (0..count).map(|_| {
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
        });
        Ok(Others(each.collect::<Result<_, _>>()?))
    }

    fn end(&mut self) -> Result<()> {
        for mut child in self.0.drain(..) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        // Nothing is left to be done when it fails.
        let _ = self.end();
    }
}

/// Tables of many rows, an index, texts, numbers, and the database's own check of itself.
const ROWS: &str = "
CREATE TABLE event(id INTEGER PRIMARY KEY, kind TEXT, weight REAL, note TEXT);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
  INSERT INTO event SELECT i, 'kind ' || (i * 7919 % 97), i * 1.5 / 7, hex(i * i) FROM n;
CREATE INDEX by_kind ON event(kind, weight);
SELECT kind, count(*), round(sum(weight), 3), min(note), max(note) FROM event GROUP BY kind ORDER BY 3 DESC LIMIT 12;
DELETE FROM event WHERE id % 3 = 0;
UPDATE event SET note = upper(note) || '-' || length(note) WHERE kind LIKE 'kind 1%';
SELECT count(*), total(weight), group_concat(DISTINCT substr(note, -2)) FROM event WHERE id < 400;
SELECT json_group_array(kind) FROM (SELECT DISTINCT kind FROM event ORDER BY kind LIMIT 5);
VACUUM;
PRAGMA integrity_check;
SELECT sqlite_version();
";

const SQLITE: [&str; 13] = [
    "-DSQLITE_OS_OTHER=1",
    "-DSQLITE_TEMP_STORE=3",
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_OMIT_WAL",
    "-DSQLITE_NOHAVE_SYSTEM",
    "-DSQLITE_OMIT_POPEN",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-lwasi-emulated-getpid",
    "-lwasi-emulated-signal",
    "-lwasi-emulated-process-clocks",
];

/// SQLite's shell against Debian's.
fn database(place: &Place) -> Result<()> {
    let sources = source_package::provide("sqlite3")?;
    if !sources.join("shell.c").exists() {
        let configure = sources.join("configure");
        process::show(
            Command::new("sh")
                .arg(configure)
                .args(["--disable-tcl", "--disable-readline"])
                .current_dir(&sources),
        )?;
        process::show(
            Command::new("make")
                .args(["sqlite3.c", "shell.c"])
                .current_dir(&sources),
        )?;
    }
    let own = place::root().join(LACKS).join("sqlite_os.c");
    let all = ["sqlite3.c", "shell.c", "src/test_demovfs.c"].map(|name| sources.join(name));
    let mut flags = SQLITE.map(str::to_owned).to_vec();
    flags.extend(["-I".to_owned(), text(&sources)]);
    let module = compiled(place, "sqlite3", &[&all[..], &[own]].concat(), &flags)?;
    let expected = taken(&mut Command::new("sqlite3"), ROWS.as_bytes())?;
    let found = place.output(&module, ROWS.as_bytes(), &[])?;
    ensure!(found == expected, "{}", String::from_utf8_lossy(&found));
    database_file(place, &module)
}

/// What the module writes to a file the machine's own reads, and the other way round.
fn database_file(place: &Place, module: &Path) -> Result<()> {
    let (theirs, own) = (place.at("theirs.db"), place.at("own.db"));
    for file in [&theirs, &own] {
        if file.exists() {
            fs::remove_file(file).with_context(|| format!("remove {}", file.display()))?;
        }
    }
    let of = |file: &Path, text: &str| taken(Command::new("sqlite3").arg(file), text.as_bytes());
    let expected = of(&own, ROWS)?;
    let found = place.output_with(
        &["--take", "theirs.db"],
        module,
        ROWS.as_bytes(),
        &["theirs.db"],
    )?;
    ensure!(found == expected, "{}", String::from_utf8_lossy(&found));
    let whole = of(
        &theirs,
        "PRAGMA integrity_check; SELECT count(*), total(weight) FROM event;",
    )?;
    ensure!(
        whole.starts_with(b"ok\n"),
        "{}",
        String::from_utf8_lossy(&whole)
    );
    ensure!(
        of(&theirs, ".dump")? == of(&own, ".dump")?,
        "its file holds something else"
    );
    // It changes one that it is given, of which a journal is written and removed.
    let change = "UPDATE event SET weight = weight * 2 WHERE id % 5 = 0; DELETE FROM event WHERE id > 30000;";
    let own_text = text(&own);
    let options = [
        "--give",
        &format!("{own_text}:theirs.db"),
        "--take",
        "theirs.db",
    ];
    place.output_with(&options, module, change.as_bytes(), &["theirs.db"])?;
    of(&own, change)?;
    ensure!(
        of(&theirs, ".dump")? == of(&own, ".dump")?,
        "it changed its file otherwise"
    );
    Ok(())
}

/// A module of these files.
fn compiled(place: &Place, name: &str, files: &[PathBuf], flags: &[String]) -> Result<PathBuf> {
    let module = place.at(name).with_extension("wasm");
    let lacks = place::root().join(LACKS);
    process::show(
        Command::new("clang")
            .args(["--target=wasm32-wasi", "-O2", "-w", "-o"])
            .arg(&module)
            .arg("-I")
            .arg(&lacks)
            .arg(lacks.join("lacks.c"))
            .args(files)
            .args(flags),
    )?;
    Ok(module)
}

fn files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(&wanted)
    });
    paths.sort();
    Ok(paths)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
