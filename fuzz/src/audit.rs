//! Audit records of the kernel. What stands in them of programs is theirs: names, paths, and how many there are.

use portcullis_watch::hostile::audited;

/// Bytes of some tens of records.
pub(crate) const LONGEST: usize = 4096;
/// The one process of the run.
const PROCESS: i32 = 7;

/// A domain that denies, a call, and a filter that kills, of the run and of somebody else.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let records = [
        "1423 audit(1764189000.123:77): domain=195ba459b blockers=fs.make_reg,fs.refer path=\"/usr/local\" dev=\"vda2\" ino=365",
        "1424 audit(1764189000.123:77): domain=195ba459b status=allocated mode=enforcing pid=7 uid=0 exe=\"/x\" comm=\"x\"",
        "1300 audit(1764189000.123:77): arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=7f a2=1 a3=0 items=1 pid=7 comm=2F7461622E0A exe=\"/bin/job\"",
        "1326 audit(1764189000.124:78): auid=0 uid=0 gid=0 ses=1 pid=7 comm=\"job\" exe=\"/bin/job\" sig=31 arch=c000003e syscall=41 compat=0 ip=0x7f code=0x80000000",
        "1423 audit(1764189000.125:79): domain=2 blockers=scope.signal opid=1 ocomm=\"init\"",
        "1424 audit(1764189000.125:79): domain=2 status=allocated mode=enforcing pid=8",
    ];
    vec![records.join("\n").into_bytes()]
}

/// Asks of records, one a line, each behind its type.
pub fn ask(bytes: &[u8]) {
    let records = || {
        bytes.split(|byte| *byte == b'\n').filter_map(|line| {
            let (kind, text) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
            let kind = str::from_utf8(kind).ok()?.parse::<u16>().ok()?;
            Some((kind, &text[1..]))
        })
    };
    let all = audited(records(), &[PROCESS]);
    let lines = records().count() as u64;
    let told: u64 = all.accesses.iter().map(|access| access.count).sum();
    let filtered: u64 = all.filtered.iter().map(|filtered| filtered.count).sum();
    // None is counted twice, and none is told of somebody else.
    assert!(told + filtered + all.omitted <= lines, "{all:?}");
    for filtered in &all.filtered {
        assert_eq!(filtered.maker.pid, PROCESS);
    }
    let none = audited(records(), &[]);
    assert!(none.accesses.is_empty() && none.filtered.is_empty() && none.omitted == 0);
}
