//! Scripts: the first line names the program that runs them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The kernel looks at so many bytes (`BINPRM_BUF_SIZE`, include/uapi/linux/binfmts.h).
const MOST_LINE: usize = 256;

/// What the first line of a script says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interpreter {
    /// The program that is started.
    pub program: PathBuf,
    /// Everything after its name, as one argument, without blanks at the ends.
    pub argument: Option<String>,
}

/// The interpreter of a script, by the rules of the kernel (fs/binfmt_script.c); nothing when
/// `file` is no script or the kernel would not start it.
pub fn interpreter(file: &[u8]) -> Option<Interpreter> {
    let rest = file.strip_prefix(b"#!")?;
    let window = &rest[..rest.len().min(MOST_LINE - 2)];
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let line = match window.iter().position(|&b| b == b'\n') {
        Some(end) => &window[..end],
        // The line is cut: then the name of the program must end before the cut.
        None if rest.len() > window.len() => {
            let start = window.iter().position(|b| !blank(b))?;
            window[start..].iter().position(|b| blank(b) || *b == 0)?;
            window
        }
        None => window,
    };
    let line = line.split(|&b| b == 0).next()?;
    let start = line.iter().position(|b| !blank(b))?;
    let line = line[start..].trim_ascii_end();
    let end = line.iter().position(blank).unwrap_or(line.len());
    let (program, argument) = line.split_at(end);
    let argument = argument.trim_ascii();
    (!program.is_empty()).then(|| Interpreter {
        program: PathBuf::from(OsStr::from_bytes(program)),
        argument: (!argument.is_empty()).then(|| String::from_utf8_lossy(argument).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &str) -> Option<(String, Option<String>)> {
        let found = interpreter(file.as_bytes())?;
        Some((found.program.display().to_string(), found.argument))
    }

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        let found = of("#! \t/usr/bin/env  -S perl -w \t\nexit").unwrap();
        assert_eq!(found, ("/usr/bin/env".into(), Some("-S perl -w".into())));
        assert_eq!(of("#!/bin/sh").unwrap(), ("/bin/sh".into(), None));
    }

    #[test]
    fn what_the_kernel_refuses_is_no_script() {
        assert_eq!(of("#!\n/bin/sh"), None);
        assert_eq!(of("#!   \n"), None);
        assert_eq!(of("# !/bin/sh\n"), None);
        assert_eq!(of(&format!("#!/{}\n", "x".repeat(300))), None);
    }

    #[test]
    fn a_long_line_loses_its_end_but_not_its_program() {
        let found = of(&format!("#!/bin/sh {}\n", "x".repeat(300))).unwrap();
        assert_eq!(found.0, "/bin/sh");
        assert_eq!(found.1.unwrap().len(), 254 - "/bin/sh ".len());
    }
}
