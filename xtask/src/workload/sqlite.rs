//! The shell of SQLite: what a database on disk, its journals and its commands do.

use super::Compare::{self, All, LastWords};
use super::Workload;
use super::row::{debian, ends, fed, loose, run, step};

/// A table with more rows than the steps let caches hold.
const MAKE: &str = "pragma journal_mode = wal; create table t(a integer primary key, b text);
    insert into t(b) values('one'), ('two'); select * from t order by b desc;
    with recursive n(i) as (select 3 union all select i + 1 from n where i < 20000)
        insert into t select i, hex(i * i) from n;
    create index i on t(b); analyze;";

/// Each kind of journal, and a savepoint that is rolled back.
const JOURNALS: &str = "pragma journal_mode = delete; update t set b = b || '1' where a % 50 = 0;
    pragma journal_mode = persist; update t set b = b || '2' where a % 50 = 0;
    pragma journal_mode = truncate; update t set b = b || '3' where a % 50 = 0;
    pragma cache_size = 5; begin; update t set b = b || '4'; savepoint s; delete from t; rollback to s; rollback;
    pragma journal_mode = wal; update t set b = b || '5' where a % 50 = 0;
    pragma wal_checkpoint(truncate); update t set b = b || '6' where a = 2;";

/// Sorts and temporary tables that go to files, sorted by several threads.
const SPILLED: &str = "pragma threads = 3; pragma temp_store = file; pragma cache_size = 2;
    pragma cache_spill = 1; create temp table s as select * from t;
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
        select count(*), max(x) from (select hex(i * 7919 % 1000003) || hex(zeroblob(20)) as x from n order by x);
    create index temp.j on s(b); select count(*) from (select distinct b from s union select b from t);";

/// Commands of the shell that touch files, other databases and other programs.
const SHELL: &str = "\
.bail off
.import --csv words imported
.mode box
select * from imported limit 1;
.output written.txt
select * from t limit 2;
.output
.once '|cat'
select 'through a pipe';
.system echo from a shell
.shell exit 0
.backup backup.db
.save saved.db
.restore backup.db
.open other.db
.clone cloned.db
.read commands
.log trace.log
.trace trace.txt
.databases
.tables
.schema
.indexes
.stats on
select 1;
.stats off
.sha3sum
.timeout 100
.cd tree
.parameter init
.parameter set :x 5
select :x;
.lint fkey-indexes
.vfslist
.limit
.help
.show
";

/// The one program.
pub(super) const SQLITE: &[Workload] = &[debian(
    "sqlite3",
    "/usr/bin/sqlite3",
    &[
        run(&[":memory:", "select 1"]),
    run(&["-bail", "file.db", MAKE]),
    fed("begin;\nupdate t set b = b || '!';\ncommit;\n.mode csv\n.headers on\nselect * from t where a < 3;\n", &["file.db"]),
    // Journals of every kind, with and without a checkpoint; exclusive and mapped access.
    run(&["file.db", JOURNALS]),
    run(&["file.db", "pragma mmap_size = 1000000; select count(*) from t; pragma mmap_size = 0; pragma locking_mode = exclusive; delete from t where a = 7; pragma optimize;"]),
    run(&["file.db", "pragma synchronous = extra; pragma fullfsync = 1; attach 'other.db' as o; create table o.u as select * from t limit 9; begin; update t set b = 'x' where a = 1; update o.u set b = 'y'; commit; detach o;"]),
    // Sorting and temporary tables that do not fit into memory, with helping threads.
    run(&["file.db", SPILLED]),
    run(&["file.db", "vacuum; pragma integrity_check; vacuum into 'vacuumed.db'; pragma auto_vacuum = 1; vacuum; delete from t where a > 100; pragma incremental_vacuum;"]),
    run(&["-json", "file.db", "select count(*) as n from t"]),
    run(&["file.db", "create virtual table w using fts5(x); insert into w values('some words'); select * from w('words'); create virtual table r using rtree(i, a, b); insert into r values(1, 2, 3); select json('[1,2]'), round(sqrt(2), 3), datetime(0, 'unixepoch', 'localtime');"]),
    run(&["file.db", "select writefile('written', 'text', 33188, 100), readfile('words'), (select count(*) from fsdir('tree')); select writefile('linked', 'words', 41471), lsmode(33188);"]),
    run(&["-readonly", "file.db", "select count(*) from t"]),
    run(&["file:file.db?mode=ro&immutable=1", "select count(*) from t"]),
    run(&["-vfs", "unix-dotfile", "dot.db", "create table t(a); insert into t values(1); select * from t;"]),
    run(&["-vfs", "unix-excl", "excl.db", "pragma journal_mode = wal; create table t(a); insert into t values(1); select * from t;"]),
    run(&["-A", "-c", "--file", "archive.db", "tree", "words"]),
    step("", &["-A", "-tv", "--file", "archive.db"], LastWords, 0),
    run(&["-A", "-x", "--file", "archive.db", "--directory", "public"]),
    step(SHELL, &["file.db"], Compare::Some, 0),
    fed("select 1;\n.quit\n", &["-interactive", "file.db"]),
    loose(&["-init", "commands", "-echo", "file.db", "select 2"]),
    step(".exit 3\n", &["file.db"], All, 3),
    ends(1, &["absent/file.db", "create table t(a)"]),
    ends(26, &["words", "select * from t"]),
    run(&["file.db", ".dump"]),
    run(&["-version"]),
    ],
)
.starting(&["/bin/sh", "/bin/cat"])];
