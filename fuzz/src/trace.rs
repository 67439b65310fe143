//! Traces of `portcullis record`: of any machine, and cut off where a recorder was killed.

use portcullis_cli::hostile;

/// Bytes of some tens of lines.
pub(crate) const LONGEST: usize = 8192;

/// A run, and its merged form.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let run = br#"{"schema":"portcullis.trace","version":1,"started":5,"backend":"full","reason":"asked","kernel":"6.1","arch":"x86_64","portcullis":"0","program":"/a"}
{"image":{"id":0,"path":"/a","identity":null}}
{"call":{"id":0,"image":0,"at":7,"arch":"x86_64","number":257,"name":"openat","args":[{"index":2,"value":"0x80000"}],"observed":[{"index":1,"path":"/etc/passwd"}],"callers":[{"object":"/a","address":"0x1000","function":"main"}]}}
{"call":{"id":1,"image":0,"at":8,"arch":"x86_64","number":41,"name":"socket","args":[],"any":true,"callers":[]}}
{"returned":{"call":0,"error":"ENOSYS"}}
{"returned":{"call":1,"error":null}}
{"denied":{"call":0,"answer":"errno:1"}}
{"denied":{"call":0,"answer":"errno:13","by":"own-filter"}}
{"free":{"at":9,"calls":[0]}}
{"counts":{"at":9,"calls":[[0,4]]}}
{"remark":{"code":"PC0601","image":0,"message":"calls of other programs"}}
{"end":{"at":11,"exit_code":0,"signal":null,"tasks":1,"calls":4,"filters":0}}
"#;
    let mut all = vec![run.to_vec()];
    all.extend(hostile::trace(run).map(String::into_bytes));
    all
}

/// Asks of one file. What was read is written, and read again it is the same.
pub fn ask(bytes: &[u8]) {
    let Some(written) = hostile::trace(bytes) else {
        return;
    };
    let again = hostile::trace(written.as_bytes());
    assert_eq!(again.as_ref(), Some(&written));
}
