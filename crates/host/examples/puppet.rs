//! A worker whose jobs do what they are told, good or bad: what the tests of this crate start. Its name for what to do
//! is the job's first argument.

use std::fs::File;
use std::net::TcpListener;
use std::time::Duration;

use portcullis_host::{Engine, NotTaken, Results, Said, Task, serve_jobs};
use portcullis_sys::spawn::{self, Side};
use portcullis_sys::{process, ptrace};
use rustix::process::{Pid, Signal};

struct Puppet;

impl Engine for Puppet {
    type Loaded = Vec<u8>;

    fn load(&mut self, mut artifact: File) -> Result<Vec<u8>, String> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        artifact
            .read_to_end(&mut bytes)
            .map_err(|e| e.to_string())?;
        match bytes.as_slice() {
            b"bad" => Err("a bad artifact".to_owned()),
            // A process beside the jobs, which outlives them.
            b"helper" => match spawn::clone_alone() {
                Ok(Side::Child) => loop {
                    std::thread::park();
                },
                Ok(Side::Parent(..)) => Ok(bytes),
                Err(error) => Err(error.to_string()),
            },
            // The worker's end, not a job's.
            b"fatal" => process::exit_now(1),
            _ => Ok(bytes),
        }
    }

    fn run(&self, loaded: &Vec<u8>, task: Task, mut results: Results) {
        let own = rustix::process::getpid;
        let said = match task.arguments.first().map_or("", String::as_str) {
            "echo" => {
                let sent = results
                    .stdout(&task.input)
                    .and_then(|()| results.stderr(loaded));
                Said::Exit(i32::from(sent.is_err()))
            }
            "tell" => {
                let told = task.secrets.iter();
                let mut told = told.map(|s| results.stdout(&s.bytes));
                Said::Exit(i32::from(told.any(|told| told.is_err())))
            }
            "hand-over" => {
                let find = |name: &str| {
                    let mut files = task.files.iter();
                    let file = files.find(|file| file.name == name);
                    file.map_or(Err(NotTaken::Missing), |file| Ok(file.bytes.as_slice()))
                };
                let handed = results.files(&task.wanted, task.output, find);
                Said::Exit(i32::from(handed.is_err()))
            }
            "begin-to-hand-over" => {
                let _ = rustix::io::write(&results, b"\x08\0\0the begin");
                process::exit_now(0)
            }
            "code" => Said::Exit(3),
            "silent" => process::exit_now(0),
            "silent-code" => process::exit_now(126),
            "spin" => loop {
                std::hint::spin_loop();
            },
            "count" => {
                let number = task.arguments.get(1).and_then(|word| word.parse().ok());
                (0..number.unwrap_or(0_u64)).for_each(|n| {
                    std::hint::black_box(n);
                });
                Said::Exit(0)
            }
            "speak-and-spin" => {
                let _ = results.stdout(b"x");
                loop {
                    std::hint::spin_loop();
                }
            }
            "flood" => loop {
                if results.stdout(&[b'x'; 4096]).is_err() {
                    process::exit_now(0)
                }
            },
            // What is no frame, and a good last word behind it.
            "lie" => {
                let _ = rustix::io::write(&results, &[99; 100]);
                Said::Exit(0)
            }
            "long" => {
                let _ = rustix::io::write(&results, &[1; 60_000]);
                Said::Exit(0)
            }
            // Files that nobody asked for, after the first that somebody may have.
            "push" => {
                for number in 0..4 {
                    let _ = rustix::io::write(&results, &[8, number, 0, b'x']);
                }
                Said::Exit(0)
            }
            "push-endlessly" => loop {
                let _ = rustix::io::write(&results, &[8, 0, 0]);
            },
            "empty" => loop {
                let _ = rustix::io::write(&results, &[1]);
            },
            "after" => {
                let _ = rustix::io::write(&results, &[3, 0, 0, 0, 0]);
                let _ = rustix::io::write(&results, b"\x01more");
                process::exit_now(0)
            }
            "open" => Said::Exit(i32::from(File::open("/").is_err())),
            "socket" => Said::Exit(i32::from(TcpListener::bind("127.0.0.1:0").is_err())),
            "thread" => Said::Exit(i32::from(std::thread::Builder::new().spawn(|| ()).is_err())),
            "sleep" => {
                std::thread::sleep(Duration::from_secs(100));
                Said::Exit(0)
            }
            "fork" => loop {
                if let Ok(Side::Child) = spawn::clone_alone() {
                    continue;
                }
            },
            "sigsys" => kill(own(), Signal::SYS),
            "sigkill" => kill(own(), Signal::KILL),
            "sigxcpu" => kill(own(), Signal::XCPU),
            // The worker is the second process of its namespaces, its init the first.
            "kill-worker" => kill(Pid::from_raw(2).unwrap_or(own()), Signal::KILL),
            "stop-worker" => kill(Pid::from_raw(2).unwrap_or(own()), Signal::STOP),
            "trace-worker" => Said::Exit(i32::from(ptrace::interrupt(2).is_err())),
            "dup" => Said::Exit(i32::from(process::inherited(3).is_err())),
            "close" => Said::Exit(i32::from(process::close(3).is_err())),
            "panic" => panic!("as it was told"),
            "abort" => std::process::abort(),
            "recurse" => Said::Exit(recurse(1)),
            "grow" => {
                grow();
                Said::Exit(0)
            }
            "grow-and-lie" => {
                grow();
                let _ = rustix::io::write(&results, &[99; 100]);
                Said::Exit(0)
            }
            "memory" => {
                let mut all = Vec::new();
                loop {
                    let mut piece = vec![1_u8; 1 << 20];
                    // Every page is touched.
                    piece.iter_mut().step_by(4096).for_each(|byte| *byte = 2);
                    all.push(piece);
                }
            }
            other => Said::Refused(other.to_owned()),
        };
        results.end(&said);
    }
}

/// Has 64 MiB for a moment.
fn grow() {
    let mut piece = vec![1_u8; 64 << 20];
    piece.iter_mut().step_by(4096).for_each(|byte| *byte = 2);
    std::hint::black_box(&piece);
}

fn kill(whom: Pid, signal: Signal) -> Said {
    Said::Exit(i32::from(
        rustix::process::kill_process(whom, signal).is_err(),
    ))
}

/// Deeper than any stack.
fn recurse(depth: i32) -> i32 {
    if depth == i32::MAX {
        return 0;
    }
    let here = std::hint::black_box([depth; 1000]);
    here[0] + recurse(std::hint::black_box(depth + 1)) + here[999]
}

fn main() {
    serve_jobs(Puppet, std::env::args())
}
