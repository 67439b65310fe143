//! The programs of the real-program tests.

use super::Compare::{self, All, LastWords};
use super::applets::APPLETS;
use super::{Program, Step, Workload};
use rustix::process::Signal;

use crate::client;

/// A start that must give the same output each time, and exit with 0.
const fn run(args: &'static [&'static str]) -> Step {
    step("", args, All, 0)
}

/// The same with standard input.
const fn fed(input: &'static str, args: &'static [&'static str]) -> Step {
    step(input, args, All, 0)
}

const fn step(
    input: &'static str,
    args: &'static [&'static str],
    compare: Compare,
    code: i32,
) -> Step {
    Step::Run {
        args,
        input,
        compare,
        code,
    }
}

const fn debian(name: &'static str, path: &'static str, steps: &'static [Step]) -> Workload {
    Workload {
        name,
        program: Program::Path(path),
        slow: false,
        starts: &[],
        plugins: &[],
        steps,
    }
}

/// A program of Debian's that loads many libraries or starts others.
const fn host(
    name: &'static str,
    path: &'static str,
    starts: &'static [&'static str],
    steps: &'static [Step],
) -> Workload {
    Workload {
        slow: true,
        starts,
        ..debian(name, path, steps)
    }
}

const fn own(name: &'static str, steps: &'static [Step]) -> Workload {
    Workload {
        name,
        program: Program::Fixture(name),
        slow: false,
        starts: &[],
        plugins: &[],
        steps,
    }
}

/// What git is given: `-C` puts it into a repository of its own.
const GIT: &[Step] = &[
    run(&["init", "-q", "-b", "main", "repository"]),
    run(&["-C", "repository", "status", "--short"]),
    run(&["-C", "repository", "hash-object", "-w", "../words"]),
    run(&[
        "-C",
        "repository",
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@localhost",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    ]),
    run(&["-C", "repository", "log", "--format=%s"]),
    run(&["-C", "repository", "gc", "-q"]),
    run(&["grep", "--no-index", "-n", "a", "words"]),
];

/// Every workload.
pub(crate) const WORKLOADS: &[Workload] = &[
    debian(
        "ls",
        "/bin/ls",
        &[
            step("", &["-la", "/"], LastWords, 0),
            run(&["-R", "tree"]),
            run(&["--color=always", "-l", "--time-style=+", "words"]),
            step("", &["/nonexistent"], All, 2),
        ],
    ),
    debian(
        "sort",
        "/usr/bin/sort",
        &[
            run(&["words"]),
            fed("b\na\nc\n", &["-r"]),
            run(&["-u", "-o", "sorted", "words"]),
            run(&["-n", "--parallel=2", "-T", "{dir}", "-S", "1M", "numbers"]),
            run(&["--random-source=words", "-R", "words"]),
        ],
    ),
    debian(
        "sqlite3",
        "/usr/bin/sqlite3",
        &[
            run(&[":memory:", "select 1"]),
            run(&[
                "file.db",
                "pragma journal_mode=wal; create table t(a integer primary key, b text); \
                 insert into t(b) values('one'),('two'); select * from t order by b desc;",
            ]),
            fed(
                "begin;\nupdate t set b = b || '!';\ncommit;\n.mode csv\n.headers on\nselect * from t;\n",
                &["file.db"],
            ),
            run(&["file.db", ".dump"]),
            run(&["file.db", "vacuum; pragma integrity_check;"]),
            run(&["-json", "file.db", "select count(*) as n from t"]),
        ],
    ),
    debian(
        "redis",
        "/usr/bin/redis-server",
        &[Step::Serve {
            args: &[
                "--port",
                "{port}",
                "--bind",
                "127.0.0.1",
                "--dir",
                "{dir}",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--daemonize",
                "no",
            ],
            client: client::redis,
            signal: Signal::TERM,
            code: 0,
        }],
    ),
    debian(
        "memcached",
        "/usr/bin/memcached",
        &[Step::Serve {
            args: &[
                "-l",
                "127.0.0.1",
                "-p",
                "{port}",
                "-U",
                "0",
                "-u",
                "nobody",
                "-t",
                "2",
            ],
            client: client::memcached,
            signal: Signal::TERM,
            code: 0,
        }],
    ),
    debian(
        "nginx",
        "/usr/sbin/nginx",
        &[Step::Serve {
            args: &["-p", "{dir}", "-c", "nginx.conf", "-e", "nginx.errors"],
            client: client::http,
            signal: Signal::TERM,
            code: 0,
        }],
    ),
    debian(
        "lighttpd",
        "/usr/sbin/lighttpd",
        &[Step::Serve {
            args: &["-D", "-f", "{dir}/lighttpd.conf"],
            client: client::http,
            // After SIGTERM it ends with 1 when it has not yet closed what the client closed.
            signal: Signal::INT,
            code: 0,
        }],
    ),
    debian(
        "haproxy",
        "/usr/sbin/haproxy",
        &[Step::Serve {
            args: &["-db", "-f", "{dir}/haproxy.cfg"],
            client: client::http,
            signal: Signal::TERM,
            code: 143,
        }],
    ),
    debian("busybox", "/bin/busybox", APPLETS),
    debian(
        "curl",
        "/usr/bin/curl",
        &[
            run(&["-sS", "http://127.0.0.1:{http}/file"]),
            run(&["-sS", "http://localhost:{http}/file"]),
            run(&["-sSI", "http://127.0.0.1:{http}/file"]),
            run(&["-sS", "-d", "posted", "http://127.0.0.1:{http}/echo"]),
            run(&["-sS", "-o", "fetched", "http://127.0.0.1:{http}/file"]),
            run(&["-sS", "-T", "words", "http://127.0.0.1:{http}/echo"]),
            run(&["-sS", "file://{dir}/words"]),
            step("", &["-s", "http://127.0.0.1:1/"], All, 7),
        ],
    ),
    debian(
        "bash",
        "/bin/bash",
        &[
            run(&[
                "-c",
                "for i in 1 2 3; do echo $((i * i)); done; printf '%s\\n' \"${BASH_VERSINFO[0]}\"",
            ]),
            run(&[
                "-c",
                "x=$(echo inner); echo \"$x\"; echo a | while read y; do echo \"got $y\"; done",
            ]),
            run(&[
                "-c",
                "mapfile -t lines < words; echo ${#lines[@]}; [[ -f words && ! -d words ]] && echo file",
            ]),
            run(&[
                "-c",
                "cd tree && pwd -P >/dev/null && echo * && ulimit -n >/dev/null && umask",
            ]),
            run(&[
                "-c",
                "trap 'echo trapped' USR1; kill -USR1 $$; echo ~ >/dev/null; exec 3<words; read -u 3 z; echo $z",
            ]),
            run(&[
                "-c",
                "f() { local -a a=(c b a); echo \"${a[@]}\"; }; f; sleep() { read -t 0.01 < <(:); }; sleep; wait",
            ]),
            step(
                "echo from standard input\nexit 4\n",
                &["-c", "source /dev/stdin; exit 0"],
                All,
                4,
            ),
        ],
    ),
    debian(
        "xz",
        "/usr/bin/xz",
        &[
            run(&["-k", "numbers"]),
            run(&["-t", "numbers.xz"]),
            run(&["-dc", "numbers.xz"]),
            run(&["-T2", "-0", "--block-size=100KiB", "-c", "numbers"]),
            run(&["-l", "numbers.xz"]),
            fed("text\n", &["--format=lzma", "-c"]),
        ],
    ),
    debian(
        "gzip",
        "/bin/gzip",
        &[
            run(&["-kn", "numbers"]),
            run(&["-dc", "numbers.gz"]),
            run(&["-t", "numbers.gz"]),
            run(&["-l", "numbers.gz"]),
            fed("text\n", &["-9c"]),
            run(&["-df", "numbers.gz"]),
        ],
    ),
    debian(
        "tar",
        "/bin/tar",
        &[
            run(&["-cf", "tree.tar", "tree"]),
            run(&["-tf", "tree.tar"]),
            run(&["-xf", "tree.tar", "--one-top-level=unpacked"]),
            run(&["-df", "tree.tar"]),
            run(&["-rf", "tree.tar", "words"]),
            run(&["-xOf", "tree.tar", "words"]),
        ],
    ),
    debian(
        "openssl",
        "/usr/bin/openssl",
        &[
            run(&["dgst", "-sha256", "words"]),
            run(&["dgst", "-sha3-512", "words"]),
            run(&["dgst", "-blake2b512", "numbers"]),
            run(&["dgst", "-sha256", "-hmac", "key", "words"]),
            fed("text", &["dgst", "-sha1"]),
        ],
    ),
    own("c-musl-static", &[step("", &["{dir}/out"], All, 3)]),
    own("c-glibc-static-threads", &[run(&[])]),
    own("rust-static", &[run(&[])]),
    own("rust-dynamic", &[run(&[])]),
    own("cxx-exceptions", &[step("", &["{dir}/out"], All, 5)]),
    host(
        "python3",
        "/usr/bin/python3",
        &["/bin/echo"],
        &[
            run(&[
                "-c",
                "import json, hashlib, sqlite3; print(json.dumps({'a': [1, 2]}), hashlib.sha256(b'x').hexdigest())",
            ]),
            run(&[
                "-c",
                "import socket, threading, subprocess, tempfile\n\
                 a, b = socket.socketpair()\n\
                 t = threading.Thread(target=lambda: b.sendall(b.recv(9)))\n\
                 t.start(); a.sendall(b'round'); t.join(); print(a.recv(9))\n\
                 print(subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout)\n\
                 print(open(tempfile.mkstemp()[1], 'w').write('text'))",
            ]),
            run(&[
                "-c",
                "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{http}/file').read())",
            ]),
        ],
    ),
    host(
        "perl",
        "/usr/bin/perl",
        &["/bin/echo"],
        &[
            run(&[
                "-e",
                "print join(',', map { $_ * 2 } 1..5), \"\\n\"; open my $f, '<', 'words'; print scalar(<$f>)",
            ]),
            run(&[
                "-MPOSIX",
                "-MSocket",
                "-MIO::Socket::INET",
                "-e",
                "print POSIX::floor(2.5), \"\\n\"; my $s = IO::Socket::INET->new('127.0.0.1:{http}'); print $s \"GET /file HTTP/1.0\\r\\n\\r\\n\"; print <$s>",
            ]),
            run(&[
                "-MDigest::SHA",
                "-e",
                "print Digest::SHA::sha256_hex('x'), \"\\n\"; print `echo child`",
            ]),
        ],
    ),
    host("git", "/usr/bin/git", &["/usr/bin/git"], GIT),
    host(
        "node",
        "/usr/bin/node",
        &[],
        &[
            run(&[
                "-e",
                "console.log([1, 2, 3].map(x => x * x), require('crypto').createHash('sha256').update('x').digest('hex'))",
            ]),
            run(&[
                "-e",
                "require('http').get('http://127.0.0.1:{http}/file', r => r.pipe(process.stdout))",
            ]),
            run(&[
                "-e",
                "require('fs').promises.readFile('words', 'utf8').then(t => { console.log(t.length); setTimeout(() => console.log('later'), 5) })",
            ]),
        ],
    ),
];
