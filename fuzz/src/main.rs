//! Writes what fuzzing begins with to files, `DIRECTORY/SUBJECT/NUMBER`, and prints each subject with the length of its
//! longest input. `cargo xtask fuzz` asks for it.
#![expect(clippy::print_stdout, reason = "its answer")]

use std::fs;
use std::io;
use std::path::Path;

use portcullis_fuzz::SUBJECTS;

fn main() -> io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1) else {
        return Err(io::Error::other("usage: portcullis-fuzz DIRECTORY"));
    };
    for subject in SUBJECTS {
        let own = Path::new(&directory).join(subject.name);
        fs::create_dir_all(&own)?;
        for (number, seed) in (subject.begin)().iter().enumerate() {
            fs::write(own.join(number.to_string()), seed)?;
        }
        println!("{} {}", subject.name, subject.longest);
    }
    Ok(())
}
