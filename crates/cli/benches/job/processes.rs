//! A process of its own for each job.

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::floor;
use crate::pools::{Bench, INPUT};

/// Which of them is the engine alone: started, given the artifact, and run without any confinement; and the same behind
/// another launcher.
pub(crate) const ENGINE: usize = 0;
pub(crate) const CONFINED: usize = 1;
pub(crate) const LUA: usize = 2;

/// The ways, by number.
pub(crate) struct Processes<'a> {
    bench: &'a Bench,
    floor: PathBuf,
}

impl<'a> Processes<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Result<Processes<'a>, Box<dyn Error>> {
        Ok(Processes {
            bench,
            // The engine is in it.
            floor: floor::program()?,
        })
    }

    pub(crate) fn names(&self) -> [&'static str; 4] {
        [
            "a process of the engine per job",
            "bwrap and the engine per job",
            "bwrap and Lua per job",
            "`portcullis job run` per job",
        ]
    }

    /// From its start to its end.
    pub(crate) fn run(&self, which: usize) -> Result<Duration, Box<dyn Error>> {
        let mut command = match which {
            ENGINE => Command::new(&self.floor),
            CONFINED => {
                let mut bwrap = bwrap();
                bwrap.arg("--ro-bind").args([&self.floor, &self.floor]);
                bwrap
                    .arg("--ro-bind")
                    .args([&self.bench.place, &self.bench.place]);
                bwrap.arg(&self.floor);
                bwrap
            }
            LUA => {
                let mut lua = bwrap();
                lua.args(["/usr/bin/lua5.4", "-e", "io.write(io.read(1024))"]);
                lua
            }
            _ => {
                let mut own = Command::new(env!("CARGO_BIN_EXE_portcullis"));
                own.args(["job", "run"])
                    .arg(self.bench.place.join("echo.wasm"));
                own.arg("--input").arg(self.bench.place.join("input"));
                own.env("XDG_CACHE_HOME", &self.bench.place);
                own
            }
        };
        if matches!(which, ENGINE | CONFINED) {
            command.arg(self.bench.place.join("artifact"));
        }
        let input = File::open(self.bench.place.join("input"))?;
        let began = Instant::now();
        let output = command.stdin(input).output()?;
        let took = began.elapsed();
        match output.status.success() && output.stdout == INPUT {
            true => Ok(took),
            false => Err(format!("{command:?}: {output:?}").into()),
        }
    }
}

/// As little as a dynamic program needs of the machine.
fn bwrap() -> Command {
    let mut bwrap = Command::new("bwrap");
    bwrap.args([
        "--unshare-all",
        "--die-with-parent",
        "--ro-bind",
        "/usr",
        "/usr",
    ]);
    bwrap.args([
        "--symlink",
        "usr/lib",
        "/lib",
        "--symlink",
        "usr/lib64",
        "/lib64",
    ]);
    bwrap
}
