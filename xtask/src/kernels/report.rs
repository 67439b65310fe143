//! What a machine tells on its console: the lines of `testdata/guest/init.c`, read strictly, between whatever
//! its kernel says.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::step::{Ended, Seen};

/// A line that is longer is no line of ours.
const MOST_LINE: usize = 4096;

/// Everything that a machine was asked for: one for each of `steps` steps, in order.
pub(crate) fn read(console: &[u8], steps: usize) -> Result<Vec<Seen>> {
    let mut all = Vec::new();
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut done = false;
    for line in console.split(|byte| *byte == b'\n') {
        let Some(line) = line.strip_prefix(b"@") else {
            continue;
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        ensure!(line.len() <= MOST_LINE, "a line of {} bytes", line.len());
        let line = std::str::from_utf8(line).context("a line is not text")?;
        ensure!(!done, "after its end the machine tells {line:?}");
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, &mut open) {
            ("begin", None) => {
                ensure!(rest.parse() == Ok(all.len()), "step {rest} is out of turn");
                open = Some((Vec::new(), Vec::new()));
            }
            ("out", Some((out, _))) => out.extend(bytes(rest)?),
            ("err", Some((_, err))) => err.extend(bytes(rest)?),
            ("end", Some(_)) => {
                let (stdout, stderr) = open.take().unwrap_or_default();
                let (took, rest) = rest.split_once(' ').context("an end without its time")?;
                all.push(Seen {
                    stdout,
                    stderr,
                    ended: ended(rest)?,
                    took: Duration::from_millis(took.parse().context("a time")?),
                });
            }
            ("done", None) => {
                ensure!(
                    rest.parse() == Ok(all.len()),
                    "{rest} steps are not {}",
                    all.len()
                );
                done = true;
            }
            _ => bail!("the machine tells {line:?}, which is out of place"),
        }
    }
    ensure!(done, "the machine ended in step {}", all.len());
    ensure!(
        all.len() == steps,
        "{} steps of {steps} were run",
        all.len()
    );
    Ok(all)
}

fn ended(text: &str) -> Result<Ended> {
    Ok(match text.split_once(' ') {
        Some(("exit", code)) => Ended::Exit(code.parse().context("an exit code")?),
        Some(("signal", number)) => Ended::Signal(number.parse().context("a signal")?),
        None if text == "late" => Ended::Late,
        _ => bail!("a step ended as {text:?}"),
    })
}

/// Printable bytes as they are, the others and backslashes as `\xHH`.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            ensure!(matches!(first, b' '..=b'~'), "a byte {first:#x} in a line");
            bytes.push(first);
            continue;
        }
        let digits = after.strip_prefix(b"x").and_then(|hex| hex.get(..2));
        let digits = digits.context("half an escape")?;
        let value = |digit: u8| char::from(digit).to_digit(16);
        let value = value(digits[0]).zip(value(digits[1]));
        let (high, low) = value.context("an escape that is no number")?;
        bytes.push(u8::try_from(high * 16 + low)?);
        rest = &after[3..];
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_between_what_the_kernel_says() {
        let console = b"[ 0.1] hello\r\n@begin 0\n@out a\\x0a\n[ 0.2] more\n@err \\x5c\n@out b\n@end 12 exit 3\n\
                        @begin 1\n@end 0 signal 31\n@begin 2\n@end 120000 late\n@done 3\n[ 1.0] Power down\n";
        let seen = |out: &str, err: &str, ended, took| Seen {
            stdout: out.into(),
            stderr: err.into(),
            ended,
            took: Duration::from_millis(took),
        };
        assert_eq!(
            read(console, 3).unwrap(),
            [
                seen("a\nb", "\\", Ended::Exit(3), 12),
                seen("", "", Ended::Signal(31), 0),
                seen("", "", Ended::Late, 120_000)
            ]
        );
    }

    #[test]
    fn what_is_out_of_place_is_refused() {
        for console in [
            "",
            "@done 1",
            "@begin 0\n@done 0",
            "@begin 1\n@end 0 exit 0\n@done 1",
            "@out a\n@done 0",
            "@begin 0\n@begin 0\n@end 0 exit 0\n@done 1",
            "@begin 0\n@end exit 0\n@done 1",
            "@begin 0\n@end x exit 0\n@done 1",
            "@begin 0\n@end 0 well\n@done 1",
            "@begin 0\n@end 0 exit\n@done 1",
            "@begin 0\n@out \\x0\n@end 0 exit 0\n@done 1",
            "@begin 0\n@out \\y00\n@end 0 exit 0\n@done 1",
            "@begin 0\n@out \\xg0\n@end 0 exit 0\n@done 1",
            "@begin 0\n@out \u{1b}\n@end 0 exit 0\n@done 1",
            "@begin 0\n@end 0 exit 0\n@done 1\n@begin 1",
            "@what",
        ] {
            let steps = console.matches("begin").count().min(1);
            assert!(read(console.as_bytes(), steps).is_err(), "{console:?}");
        }
        assert!(read(b"@done 0", 1).is_err());
        assert_eq!(read(b"@done 0", 0).unwrap(), []);
    }
}
