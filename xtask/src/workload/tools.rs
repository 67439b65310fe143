//! Tools that work on texts, fetch, start others and build, and what this repository brings itself.

use super::Compare::{All, LastWords};
use super::applets::APPLETS;
use super::row::{debian, ends, fed, loose, own, run, step};
use super::{Step, Workload};

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

/// Every tool.
pub(super) const TOOLS: &[Workload] = &[
    debian(
        "ls",
        "/bin/ls",
        &[
            step("", &["-la", "/usr"], LastWords, 0),
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
    debian("busybox", "/bin/busybox", APPLETS),
    debian(
        "fzf",
        "/usr/bin/fzf",
        &[
            fed("one\ntwo\nthree\n", &["--filter", "t"]),
            fed(
                "one\ntwo\nthree\n",
                &["--filter", "t !w", "--no-sort", "--tac"],
            ),
            fed("a/b c\nd/e f\n", &["-f", "^d", "-n", "1", "-d", " "]),
            run(&["--version"]),
        ],
    )
    .slow(),
    debian(
        "esbuild",
        "/usr/bin/esbuild",
        &[
            run(&["script/main.ts", "--bundle", "--log-level=error"]),
            run(&[
                "script/main.ts",
                "--bundle",
                "--minify",
                "--sourcemap",
                "--splitting",
                "--format=esm",
                "--outdir=public/built",
                "--log-level=error",
            ]),
            fed(
                "let x: number = 1 as any\n",
                &["--loader=ts", "--target=es2015"],
            ),
            fed("let x = \n", &["--log-limit=1"]).ending(1),
            run(&["--version"]),
        ],
    )
    .slow(),
    own("c-musl-static", &[step("", &["{dir}/out"], All, 3)]),
    own("c-glibc-static-threads", &[run(&[])]),
    own("rust-static", &[run(&[])]),
    own("rust-dynamic", &[run(&[])]),
    own("cxx-exceptions", &[step("", &["{dir}/out"], All, 5)]),
    own("go-static", &[run(&["{dir}"])])
        .starting(&["/bin/echo", "/bin/cat"])
        .slow(),
    own("go-newer", &[run(&["{dir}"])])
        .starting(&["/bin/echo", "/bin/cat"])
        .slow(),
    own("go-newest", &[run(&["{dir}"])])
        .starting(&["/bin/echo", "/bin/cat"])
        .slow(),
    own("go-dynamic", &[run(&["{dir}"])])
        .starting(&["/bin/echo", "/bin/cat"])
        .slow(),
    debian("git", "/usr/bin/git", GIT)
        .starting(&["/usr/bin/git"])
        .slow(),
    debian(
        "tail",
        "/usr/bin/tail",
        &[
            run(&["-n", "2", "words", "tree/one"]),
            run(&["-c", "+3", "words"]),
            run(&["-n", "+159999", "numbers"]),
            fed("a\nb\nc\n", &["-n", "2"]),
            // The process that it waits for has ended.
            run(&["-f", "--pid=4000000", "-s", "0.01", "words"]),
            run(&[
                "-F",
                "---disable-inotify",
                "--pid=4000000",
                "-s",
                "0.01",
                "words",
            ]),
            ends(1, &["absent"]),
        ],
    ),
    debian(
        "timeout",
        "/usr/bin/timeout",
        &[
            run(&["9", "echo", "started"]),
            ends(124, &["0.05", "sleep", "9"]),
            ends(137, &["--foreground", "-s", "KILL", "0.05", "sleep", "9"]),
            ends(124, &["-k", "1", "-v", "0.05", "sleep", "9"]),
            ends(127, &["9", "portcullis-absent"]),
            ends(3, &["9", "sh", "-c", "exit 3"]),
        ],
    )
    .starting(&["/bin/echo", "/bin/sleep", "/bin/sh"]),
    debian(
        "xargs",
        "/usr/bin/xargs",
        &[
            fed("a b c\n", &["-n", "1", "echo"]),
            fed("a\nb\n", &["-I", "%", "echo", "<%>"]),
            fed("a\0b\0", &["-0", "-P", "2", "-n", "2", "echo"]),
            run(&["-a", "words", "-t", "echo"]),
            step("", &["-r", "-a", "words", "false"], All, 123),
            step("a", &["portcullis-absent"], All, 127),
        ],
    )
    .starting(&["/bin/echo", "/bin/false"]),
    debian(
        "grep",
        "/bin/grep",
        &[
            run(&["-n", "a", "words"]),
            run(&["-rE", "--color=always", "o|t", "tree"]),
            run(&["-P", "(?<=p)o", "words"]),
            run(&["-c", "7", "numbers"]),
            run(&["-F", "-f", "words", "words"]),
            fed("text\n", &["-o", "ex"]),
            ends(1, &["-q", "absent", "words"]),
            step("", &["a", "absent"], All, 2),
        ],
    ),
    debian(
        "sed",
        "/bin/sed",
        &[
            run(&["-n", "2,3p", "words"]),
            run(&["-i.old", "-e", "s/s/S/g", "words"]),
            run(&[
                "-e",
                "1e echo executed",
                "-e",
                "w written",
                "-e",
                "$r tree/one",
                "words",
            ]),
            run(&["-s", "-u", "-E", "s/(.)(.)/\\2\\1/", "words", "tree/one"]),
            fed("text\n", &["--follow-symlinks", "-z", "s/t/T/"]),
            run(&["--sandbox", "p", "words"]),
            step("", &["p", "absent"], All, 2),
        ],
    )
    .starting(&["/bin/sh"]),
    debian(
        "diff",
        "/usr/bin/diff",
        &[
            run(&["words", "words"]),
            ends(1, &["-u", "--label=a", "--label=b", "words", "tree/one"]),
            ends(1, &["-r", "-q", "tree", "www"]),
            ends(1, &["-y", "--color=always", "words", "tree/one"]),
            step("text\n", &["-", "words"], All, 1),
            step("", &["-l", "absent", "words"], All, 2),
        ],
    ),
    debian(
        "patch",
        "/usr/bin/patch",
        &[
            fed(PATCH, &["-b", "-p0"]),
            fed(PATCH, &["-R", "-p0", "--dry-run"]),
            step(PATCH, &["-p0", "-N", "-r", "rejected"], All, 1),
            fed(PATCH, &["-R", "-o", "patched", "words"]),
        ],
    ),
    debian(
        "make",
        "/usr/bin/make",
        &[
            run(&[]),
            run(&["-j2", "-B", "-O", "words.copy", "numbers.copy"]),
            run(&["-n", "-k", "-d", "-p", "all"]).loosely(),
            step("all:; @echo from input\n", &["-f", "-"], All, 0),
            step("", &["absent"], All, 2),
            run(&["-C", "tree", "-f", "../Makefile", "-t", "-q", "deep"]),
        ],
    )
    .starting(&[
        "/bin/sh",
        "/bin/cat",
        "/usr/bin/sort",
        "/bin/mkdir",
        "/usr/bin/touch",
        "/bin/cp",
        "/bin/echo",
    ])
    .slow(),
    debian(
        "ninja",
        "/usr/bin/ninja",
        &[
            run(&["-v"]),
            run(&["-t", "clean"]),
            run(&["-j2", "-d", "stats"]).loosely(),
            run(&["-t", "targets"]),
            run(&["-n"]),
            ends(1, &["absent"]),
        ],
    )
    .starting(&["/bin/sh", "/bin/cat"])
    .slow(),
    debian(
        "jq",
        "/usr/bin/jq",
        &[
            fed("{\"a\": [1, 2.5, null]}", &["-S", ".a | map(tostring)"]),
            run(&[
                "-n",
                "[range(5)] | add, now > 0, (0 | todate), env.TZ, input_filename",
            ]),
            run(&["-R", "-s", "split(\"\n\")", "words"]),
            run(&["-n", "--slurpfile", "x", "numbers", "$x | length"]),
            run(&["-n", "--seq", "-C", "{a: 1}, (\"x\" | test(\"X\"; \"i\"))"]),
            step("{", &["."], All, 4),
        ],
    )
    .slow(),
    debian(
        "rg",
        "/usr/bin/rg",
        &[
            run(&["-n", "--sort", "path", "o", "tree", "words"]),
            loose(&["-j", "3", "-c", "7", "."]),
            run(&["--mmap", "-F", "scan", "words"]),
            fed("text\n", &["ex", "-"]),
            run(&["-z", "--files", "--sort", "path", "tree"]),
            run(&["--pre", "cat", "two", "tree"]),
            ends(1, &["absent", "words"]),
        ],
    )
    .starting(&["/bin/cat"])
    .slow(),
    debian(
        "fd",
        "/usr/bin/fdfind",
        &[
            // First what the main thread itself writes.
            run(&["--version"]),
            run(&["-j1", "two", "tree"]),
            loose(&[".", "--size", "+1b", "--changed-within", "1d"]),
            run(&["-j1", "one", "tree", "-x", "echo"]),
            run(&["-j1", "one", "tree", "-X", "echo"]),
            run(&["--owner", "root", "-j1", "-t", "f", "one", "tree", "-l"]).loosely(),
        ],
    )
    .starting(&["/bin/echo", "/bin/ls"])
    .slow(),
    debian(
        "hyperfine",
        "/usr/bin/hyperfine",
        &[
            loose(&["-N", "-r", "2", "true"]),
            loose(&[
                "-w",
                "1",
                "-r",
                "3",
                "--prepare",
                "sync",
                "--export-json",
                "figures",
                "true",
                "cat words",
            ]),
        ],
    )
    .starting(&["/bin/sh", "/bin/true", "/bin/cat", "/bin/sync"])
    .slow(),
    debian(
        "age",
        "/usr/bin/age",
        &[
            run(&["-e", "-i", "identity", "-o", "secret", "words"]),
            run(&["-d", "-i", "identity", "secret"]),
            fed("text", &["-a", "-R", "recipients", "-o", "armored"]),
            run(&["-d", "-i", "identity", "armored"]),
            ends(1, &["-d", "-i", "identity", "words"]),
        ],
    )
    .slow(),
    debian(
        "ssh-keygen",
        "/usr/bin/ssh-keygen",
        &[
            run(&["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", "key"]),
            run(&["-y", "-f", "key"]).loosely(),
            run(&["-l", "-v", "-f", "key.pub"]).loosely(),
            run(&[
                "-q", "-t", "rsa", "-b", "2048", "-N", "secret", "-f", "other",
            ]),
            run(&["-Y", "sign", "-f", "key", "-n", "file", "words"]),
            fed(
                "portcullis\nscan\npolicy\nfilter\nrun\n",
                &["-Y", "check-novalidate", "-n", "file", "-s", "words.sig"],
            )
            .loosely(),
            run(&[
                "-q",
                "-s",
                "key",
                "-I",
                "name",
                "-n",
                "user",
                "-V",
                "+1d",
                "other.pub",
            ]),
            run(&["-L", "-f", "other-cert.pub"]).loosely(),
            run(&["-A", "-f", "{dir}/public"]),
            run(&["-p", "-f", "key", "-N", "new", "-P", ""]),
        ],
    )
    .slow(),
    debian(
        "wget",
        "/usr/bin/wget",
        &[
            run(&["-q", "-O", "-", "http://127.0.0.1:{http}/file"]),
            run(&["-nv", "-o", "log", "-S", "http://localhost:{http}/large"]),
            run(&["-q", "-c", "-N", "http://127.0.0.1:{http}/large"]),
            run(&[
                "-q",
                "-O",
                "-",
                "--post-data=posted",
                "http://127.0.0.1:{http}/echo",
            ]),
            ends(
                8,
                &["-q", "-r", "-l", "1", "http://127.0.0.1:{http}/absent"],
            ),
            ends(4, &["-q", "-t", "1", "http://127.0.0.1:1/"]),
        ],
    )
    .slow(),
    debian(
        "tini",
        "/usr/bin/tini-static",
        &[
            run(&["--", "echo", "started"]),
            ends(
                3,
                &["-s", "-g", "-vvv", "--", "sh", "-c", "sleep 0 & exit 3"],
            )
            .loosely(),
            ends(127, &["--", "portcullis-absent"]),
            ends(143, &["-p", "SIGTERM", "--", "sh", "-c", "kill -TERM $$"]),
            loose(&["--version"]),
        ],
    )
    .starting(&["/bin/echo", "/bin/sh", "/bin/sleep"]),
];

/// Two lines of `words` changed.
const PATCH: &str = "\
--- words
+++ words
@@ -1,4 +1,4 @@
-portcullis
+gate
 scan
 policy
-filter
+sieve
";
