//! A trace, from its bytes. They may come from anywhere: sizes are bounded, numbers checked.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Call, CallKey, Image, ImageKey, Log, When};
use crate::json::trace::{self as json, Fact, Header};

/// Longest line: a fact names a few paths of 4096 bytes at most, each byte written as six at most.
const LONGEST: usize = 1 << 20;
/// Different calls and images of one run that are kept.
const MOST: usize = 1 << 19;

impl Log {
    /// Reads a trace. A line that was cut off is passed over when it is the last one of a run; so are facts
    /// that this version does not know.
    pub(crate) fn read(bytes: &[u8]) -> Result<Log> {
        let mut log = Log::default();
        let mut run: Option<Reading> = None;
        let mut lines = bytes.split(|b| *b == b'\n').enumerate().peekable();
        while let Some((at, line)) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let place = || format!("line {}", at + 1);
            ensure!(line.len() <= LONGEST, "{}: it is too long", place());
            if is_header(line) {
                let header: Header = serde_json::from_slice(line).with_context(place)?;
                let begun = Reading::new(header).with_context(place)?;
                if let Some(run) = run.replace(begun) {
                    log.add(run.end());
                }
                continue;
            }
            let Some(run) = &mut run else {
                bail!("{}: it is no trace: no header stands before", place());
            };
            match serde_json::from_slice::<Fact>(line) {
                Ok(fact) => run.fact(fact).with_context(place)?,
                Err(error) => {
                    let is_last = lines
                        .peek()
                        .is_none_or(|(_, next)| next.is_empty() || is_header(next));
                    if !(is_last && is_cut(line) || is_unknown(line)) {
                        return Err(error).with_context(place);
                    }
                }
            }
        }
        let run = run.context("it is no trace: it has no header")?;
        log.add(run.end());
        Ok(log)
    }

    /// Whether bytes are those of a trace.
    pub(crate) fn is_trace(bytes: &[u8]) -> bool {
        is_header(bytes)
    }
}

fn is_header(line: &[u8]) -> bool {
    line.starts_with(br#"{"schema":"portcullis.trace""#)
}

/// Whether a line ends before its fact does.
fn is_cut(line: &[u8]) -> bool {
    let whole: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(line);
    whole.is_err_and(|error| error.is_eof() || std::str::from_utf8(line).is_err())
}

/// Whether a line is a fact of a kind that is not known here.
fn is_unknown(line: &[u8]) -> bool {
    const KNOWN: [&str; 9] = [
        "run", "image", "call", "returned", "denied", "free", "counts", "remark", "end",
    ];
    let value: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_slice(line);
    value.is_ok_and(|fact| fact.keys().all(|key| !KNOWN.contains(&key.as_str())))
}

/// A run, or a merged trace, as far as it was read.
struct Reading {
    merged: bool,
    log: Log,
    started: u64,
    /// By number.
    images: HashMap<u32, ImageKey>,
    calls: HashMap<u32, (ImageKey, CallKey)>,
}

impl Reading {
    fn new(header: Header) -> Result<Reading> {
        ensure!(
            header.version == json::VERSION,
            "it is a trace of version {}, and this program reads version {}",
            header.version,
            json::VERSION
        );
        let mut log = Log::default();
        let started = header.run.as_ref().map_or(0, |run| run.started);
        if let Some(run) = header.run {
            log.runs.insert(run);
            log.all_runs = 1;
        }
        if let Some(all) = header.runs {
            log.all_runs = all;
        }
        ensure!(
            header.merged || !log.runs.is_empty(),
            "the header tells of no run"
        );
        Ok(Reading {
            merged: header.merged,
            log,
            started,
            images: HashMap::new(),
            calls: HashMap::new(),
        })
    }

    fn fact(&mut self, fact: Fact) -> Result<()> {
        match fact {
            Fact::Run(run) => {
                self.log.runs.insert(run);
            }
            Fact::Image(told) => {
                ensure!(self.images.len() < MOST, "there are too many programs");
                let when = self.when(told.merged.as_ref(), self.started);
                let key = (told.path, told.identity);
                ensure!(
                    self.images.insert(told.id, key.clone()).is_none(),
                    "program {} is told a second time",
                    told.id
                );
                let image = self.log.images.entry(key);
                let image = image.or_insert_with(|| Image {
                    when,
                    ..Image::default()
                });
                image.when.first = image.when.first.min(when.first);
            }
            Fact::Call(told) => self.call(told)?,
            Fact::Returned(told) => {
                self.known(told.call)?.returned.insert(told.error);
            }
            Fact::Denied(told) => {
                self.known(told.call)?.denied.insert((told.by, told.answer));
            }
            Fact::Counts(told) => {
                let merged = self.merged;
                for (id, count) in told.calls {
                    let call = self.known(id)?;
                    call.count = call.count.max(count);
                    if !merged {
                        call.when.last = call.when.last.max(told.at);
                    }
                }
            }
            Fact::Remark(told) => {
                let image = told.image.and_then(|id| self.images.get(&id));
                let path = image.map(|(path, _)| path.clone());
                self.log.remarks.insert((told.code, told.message, path));
            }
            Fact::Free(_) => {}
            Fact::End(told) => {
                for (path, identity) in self.images.values() {
                    let key = (path.clone(), identity.clone());
                    if let Some(image) = self.log.images.get_mut(&key) {
                        image.when.last = image.when.last.max(told.at);
                    }
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, told: json::Call) -> Result<()> {
        ensure!(self.calls.len() < MOST, "there are too many calls");
        let image = self.images.get(&told.image);
        let image = image.with_context(|| format!("program {} was not told", told.image))?;
        let args: BTreeSet<(u8, u64)> = told
            .args
            .iter()
            .map(|arg| {
                let digits = arg.value.strip_prefix("0x");
                let value = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                ensure!(arg.index < 6, "no call has an argument {}", arg.index);
                Ok((arg.index, value.context("a value is no number 0x…")?))
            })
            .collect::<Result<_>>()?;
        let key = CallKey {
            arch: told.arch,
            number: told.number,
            args: args.into_iter().collect(),
            any: told.any,
        };
        let when = self.when(told.merged.as_ref(), told.at);
        let known = self.calls.insert(told.id, (image.clone(), key.clone()));
        ensure!(known.is_none(), "call {} is told a second time", told.id);
        let image = self.log.images.entry(self.calls[&told.id].0.clone());
        let one = Call {
            when,
            count: 1,
            returned: BTreeSet::new(),
            denied: BTreeSet::new(),
            observed: told.observed.into_iter().collect(),
            callers: told.callers.into_iter().collect(),
        };
        // A program that lies twice in the file counts once for a run.
        image.or_default().calls.entry(key).or_insert(one);
        Ok(())
    }

    fn when(&self, merged: Option<&json::Merged>, at: u64) -> When {
        match merged {
            Some(merged) => When {
                runs: merged.runs,
                first: merged.first,
                last: merged.last,
            },
            None => When {
                runs: 1,
                first: at,
                last: at,
            },
        }
    }

    fn known(&mut self, id: u32) -> Result<&mut Call> {
        let known = self.calls.get(&id);
        let (image, key) = known.with_context(|| format!("call {id} was not told"))?;
        let image = self.log.images.get_mut(image);
        image
            .and_then(|image| image.calls.get_mut(key))
            .context("it was not told")
    }

    fn end(self) -> Log {
        self.log
    }
}

#[cfg(test)]
mod tests {
    use portcullis_abi::Arch;

    use super::*;

    const HEADER: &str = r#"{"schema":"portcullis.trace","version":1,"started":5,"backend":"full","reason":"asked","kernel":"6.1","arch":"x86_64","portcullis":"0","program":"/a"}"#;
    const IMAGE: &str = r#"{"image":{"id":0,"path":"/a","identity":null}}"#;
    const CALL: &str = r#"{"call":{"id":0,"image":0,"at":7,"arch":"x86_64","number":257,"name":"openat","args":[{"index":2,"value":"0x80000"}],"callers":[]}}"#;
    const REST: &str = r#"{"returned":{"call":0,"error":"ENOSYS"}}
{"denied":{"call":0,"answer":"errno:1"}}
{"denied":{"call":0,"answer":"errno:13","by":"own-filter"}}
{"counts":{"at":9,"calls":[[0,4]]}}
{"later":{"unknown":1}}
{"end":{"at":11,"exit_code":0,"signal":null,"tasks":1,"calls":4,"filters":0}}
"#;

    fn whole() -> String {
        [HEADER, IMAGE, CALL, REST].join("\n")
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", Log::read(text.as_bytes()).expect_err(text))
    }

    #[test]
    fn a_run_is_read() {
        let log = Log::read(whole().as_bytes()).unwrap();
        let image = &log.images[&("/a".to_owned(), None)];
        let (key, call) = image.calls.first_key_value().unwrap();
        assert_eq!(
            (key.number, key.args.as_slice()),
            (257, &[(2, 0x80000)][..])
        );
        assert_eq!((call.count, call.when.first, call.when.last), (4, 7, 9));
        assert!(call.is_optional());
        let denied = |by| call.denied_by(by).collect::<Vec<_>>();
        assert_eq!(denied(json::Denier::Policy), ["errno:1"]);
        assert_eq!(denied(json::Denier::OwnFilter), ["errno:13"]);
        assert_eq!(image.when.last, 11);
    }

    #[test]
    fn a_merged_trace_says_the_same() {
        let two = whole() + &whole();
        let log = Log::read(two.as_bytes()).unwrap();
        assert_eq!(log.all_runs, 2);
        let written = log.write().unwrap();
        let again = Log::read(written.as_bytes()).unwrap();
        assert_eq!(again, log);
    }

    #[test]
    fn what_was_cut_off_is_passed_over_and_nothing_else_is() {
        let whole = whole();
        for end in HEADER.len()..whole.len() {
            Log::read(&whole.as_bytes()[..end]).unwrap();
            let followed = format!("{}\n{whole}", &whole[..end]);
            assert_eq!(Log::read(followed.as_bytes()).unwrap().all_runs, 2);
        }
        let broken = whole.replacen("\"at\":7,", "\"at\":", 1);
        assert!(
            refusal(&broken).starts_with("line 3: "),
            "{}",
            refusal(&broken)
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, word) in [
            (String::new(), "no header"),
            (CALL.to_owned(), "no header"),
            (HEADER.replace(":1,", ":2,"), "version 2"),
            ([HEADER, CALL].join("\n"), "program 0 was not told"),
            ([HEADER, IMAGE, IMAGE].join("\n"), "a second time"),
            ([HEADER, IMAGE, CALL, CALL].join("\n"), "a second time"),
            ([HEADER, REST].join("\n"), "call 0 was not told"),
            (whole().replace("\"index\":2", "\"index\":6"), "argument 6"),
            (whole().replace("0x80000", "80000"), "no number"),
        ] {
            assert!(refusal(&text).contains(word), "{word}: {}", refusal(&text));
        }
    }

    /// Lines that fit together, and lines that do not, with the largest and smallest of each number.
    fn line(kind: u8, id: u32, number: u64, text: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        match kind % 10 {
            0 => HEADER.to_owned(),
            1 => HEADER.replace("\"started\":5", &format!("\"started\":{number}")),
            2 => format!(
                r#"{{"schema":"portcullis.trace","version":1,"merged":true,"runs":{number}}}"#
            ),
            3 => format!(r#"{{"image":{{"id":{id},"path":{text},"identity":{text},"by":{id}}}}}"#),
            4 => format!(
                r#"{{"image":{{"id":{id},"path":"","identity":null,"merged":{{"runs":{number},"first":{number},"last":0}}}}}}"#
            ),
            5 => format!(
                r#"{{"call":{{"id":{id},"image":{id},"at":{number},"arch":{text},"number":{id},"name":{text},"args":[{{"index":{},"value":"{number:#x}"}}],"any":true,"callers":[]}}}}"#,
                id % 8
            ),
            6 => format!(r#"{{"returned":{{"call":{id},"error":{text}}}}}"#),
            7 => format!(r#"{{"denied":{{"call":{id},"answer":{text}}}}}"#),
            8 => format!(r#"{{"counts":{{"at":{number},"calls":[[{id},{number}],[{id},0]]}}}}"#),
            _ => format!(r#"{{"remark":{{"code":{text},"image":{id},"message":{text}}}}}"#),
        }
    }

    proptest::proptest! {
        #[test]
        fn no_lines_end_the_reader(
            all in proptest::collection::vec(
                (
                    0u8..10,
                    proptest::sample::select(vec![0, 1, 2, u32::MAX]),
                    proptest::sample::select(vec![0, 1, u64::MAX - 1, u64::MAX]),
                    ".{0,12}",
                ),
                0..24,
            ),
        ) {
            let lines: Vec<String> =
                all.iter().map(|(kind, id, number, text)| line(*kind, *id, *number, text)).collect();
            let text = [vec![HEADER.to_owned()], lines].concat().join("\n");
            if let Ok(log) = Log::read(text.as_bytes()) {
                let written = log.write().unwrap();
                let mut again = Log::read(written.as_bytes()).unwrap();
                again.add(log.clone());
                again.of_arch(Arch::X86_64);
                proptest::prop_assert!(again.all_runs >= log.all_runs);
            }
        }

        #[test]
        fn no_bytes_end_the_reader(
            at in 0usize..1000,
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let mut text = whole().into_bytes();
            let at = at.min(text.len());
            let end = (at + bytes.len()).min(text.len());
            text.splice(at..end, bytes);
            if let Ok(log) = Log::read(&text) {
                proptest::prop_assert!(log.write().is_ok());
            }
        }
    }
}
