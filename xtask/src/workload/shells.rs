//! Shells and interpreters.

use super::Compare::All;
use super::Workload;
use super::row::{debian, ends, fed, run, step};

/// Every shell and interpreter.
pub(super) const SHELLS: &[Workload] = &[
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
        "python3",
        "/usr/bin/python3",
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
    ).starting(&["/bin/echo"]).slow(),
    debian(
        "perl",
        "/usr/bin/perl",
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
    ).starting(&["/bin/echo"]).slow(),
    debian(
        "node",
        "/usr/bin/node",
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
    ).slow(),
    debian(
        "dash",
        "/bin/dash",
        &[
            run(&["-c", "for i in 1 2 3; do echo $((i * i)); done; cd tree && pwd -P >/dev/null && echo *"]),
            run(&["-c", "x=$(echo inner); echo $x; echo a | while read y; do echo got $y; done; cat words"]),
            run(&["-c", "trap 'echo trapped' USR1; kill -USR1 $$; umask 077; ulimit -n 100; ulimit -n; test -w words && echo w"]),
            run(&["-c", "exec 3<words; read z <&3; echo $z; (exit 4); echo $?; sleep 0 & wait $!; jobs; times >/dev/null"]),
            run(&["-c", "cat <<END\nhere $HOME\nEND\necho > made; set -C; echo > made || echo kept; printf '%s\n' [w]*"]),
            run(&["-c", "exec cat tree/one"]),
            fed("echo from input\nset -m\nsleep 0 &\nwait\n", &["-s"]),
            ends(127, &["-c", "portcullis-absent"]),
        ],
    )
    .starting(&["/bin/cat", "/bin/sleep"]),
    debian(
        "mawk",
        "/usr/bin/mawk",
        &[
            run(&["{ n += length($0) } END { print n, NR }", "words"]),
            run(&["BEGIN { while ((getline line < \"words\") > 0) print line > \"written\"; close(\"written\"); system(\"cat written\") }"]),
            run(&["BEGIN { \"echo from a pipe\" | getline x; print x; print \"b\\na\" | \"sort\"; close(\"sort\"); exit 0 }"]),
            run(&["-F", "o", "-v", "x=1", "{ print $1, x, toupper($2), substr($0, 2), ENVIRON[\"TZ\"] }", "words"]),
            fed("text\n", &["-W", "interactive", "{ gsub(/t/, \"T\"); print; fflush() }"]),
            run(&["BEGIN { srand(1); print int(rand() * 0), sin(0), sprintf(\"%5.2f\", 2) }"]),
            step("", &["{ print }", "absent"], All, 2),
        ],
    )
    .starting(&["/bin/sh", "/bin/cat", "/usr/bin/sort", "/bin/echo"]),
    debian(
        "gawk",
        "/usr/bin/gawk",
        &[
            run(&["{ n += length($0) } END { print n, NR }", "words"]),
            run(&["BEGIN { print \"b\\na\" |& \"sort\"; close(\"sort\", \"to\"); while ((\"sort\" |& getline x) > 0) print x }"]),
            run(&["BEGIN { s = \"/inet/tcp/0/127.0.0.1/{http}\"; print \"GET /file HTTP/1.0\\r\\n\\r\" |& s; while ((s |& getline x) > 0) n++; print (n > 0) }"]),
            run(&["-l", "filefuncs", "BEGIN { stat(\"words\", s); print s[\"size\"]; print strftime(\"%Y\", 0), (systime() > 0), (PROCINFO[\"pid\"] > 0) }"]),
            run(&["-i", "inplace", "{ print toupper($0) }", "words"]),
            run(&["BEGIN { system(\"cat words\"); print length(ENVIRON) > \"/dev/stderr\"; print (asort(PROCINFO) > 0) }"]),
        ],
    )
    .starting(&["/bin/sh", "/bin/cat", "/usr/bin/sort"])
    .slow(),
    debian(
        "lua",
        "/usr/bin/lua5.4",
        &[
            run(&["-e", "for l in io.lines('words') do print(l:upper()) end"]),
            run(&["-e", "local p = io.popen('echo from a pipe'); print(p:read('a')); print(p:close())"]),
            run(&["-e", "local t = io.tmpfile(); t:setvbuf('full'); t:write('x'); t:seek('set'); print(t:read(1)); print(os.rename('words', 'moved'), os.remove('moved'))"]),
            run(&["-e", "print(os.time{year=2000, month=1, day=1}, os.date('!%F', 0), os.clock() >= 0, os.execute('exit 3'), os.getenv('TZ'))"]),
            run(&["-e", "local c = coroutine.wrap(function() coroutine.yield(1) end); print(c(), pcall(error, 'x'), string.rep('a', 3), collectgarbage('count') > 0)"]),
            fed("print('from input')", &["-"]),
            ends(1, &["-e", "error('ends')"]),
        ],
    )
    .starting(&["/bin/sh"]),
    debian(
        "tclsh",
        "/usr/bin/tclsh8.6",
        &[
            fed("puts [exec echo started]; puts [lsort [glob tree/*]]; file mkdir made/deep; file copy words made; puts [file size made/words]; file delete -force made", &[]),
            fed(TCL_SOCKETS, &[]),
            fed("set f [open |[list cat words]]; puts [read $f]; close $f; after 5 {set x 1}; vwait x; puts [clock format 0 -gmt 1]; file attributes words -permissions 0600; exit 3", &[]).ending(3),
        ],
    )
    .starting(&["/bin/echo", "/bin/cat"])
    .slow(),
    debian(
        "bash-static",
        "/bin/bash-static",
        &[
            run(&["-c", "for i in 1 2 3; do echo $((i * i)); done; x=$(echo inner); echo \"$x\""]),
            run(&["-c", "mapfile -t l < words; echo ${#l[@]}; exec 3<words; read -u 3 z; echo $z; cat words | sort"]),
            run(&["-c", "cat <(echo one) <<< two; trap 'echo trapped' USR1; kill -USR1 $$; printf '%(%Y)T\n' 0; umask; ulimit -n > /dev/null"]),
            run(&["-c", "coproc cat; echo through >&${COPROC[1]}; read -u ${COPROC[0]} y; echo $y; kill $COPROC_PID"]),
            run(&["-c", "echo GET /file HTTP/1.0 > /dev/null; exec 5<>/dev/tcp/127.0.0.1/{http}; printf 'GET /file HTTP/1.0\\r\\n\\r\\n' >&5; head -1 <&5"]),
            run(&["-ic", "set -m; sleep 0 & wait; history -c; echo done"]),
        ],
    )
    .starting(&["/bin/cat", "/usr/bin/sort", "/bin/sleep", "/usr/bin/head"])
    .slow(),
    debian(
        "zsh-static",
        "/bin/zsh-static",
        &[
            run(&["-fc", "for i in {1..3}; do echo $((i * i)); done; echo tree/**/*(.); x=$(echo inner); echo $x"]),
            run(&["-fc", "cat =(echo one) <(echo two); echo a > made; cat < made | sort; zmodload -L > /dev/null; umask"]),
            run(&["-fc", "TRAPUSR1() { echo trapped }; kill -USR1 $$; exec 3<words; read -u 3 z; echo $z; ulimit -n > /dev/null; sleep 0 & wait"]),
            run(&["-fc", "echo one > first > second; cat first second; print -P %~ > /dev/null; exit 3"]).ending(3),
        ],
    )
    .starting(&["/bin/cat", "/usr/bin/sort", "/bin/sleep"])
    .slow(),
    debian(
        "sash",
        "/bin/sash",
        &[
            run(&["-c", "-echo one"]),
            run(&["-c", "-ls -l tree"]).loosely(),
            fed("-mkdir made\n-cp words made/copy\n-mv made/copy made/moved\n-chmod 600 made/moved\n-ln -s moved made/link\n-grep a words\n-more words\n-sum words\n-touch made/new\n-find made -type f\n-tar -cf t.tar tree\n-tar -tf t.tar\n-gzip made/moved\n-dd if=words of=made/dd bs=4\n-cmp words made/dd\n-rm made/link\n-where cat\numask\npwd\n", &["-q"]).loosely(),
            fed("echo started\ncat words | sort\ncd tree\n-printenv\nexit\n", &["-q"]).loosely(),
        ],
    )
    .starting(&["/bin/echo", "/bin/sh", "/bin/cat", "/usr/bin/sort"]),
];

/// A server and a client in one event loop.
const TCL_SOCKETS: &str = "\
proc take {c a p} { puts $c [string toupper [gets $c]]; close $c }
set s [socket -server take -myaddr 127.0.0.1 0]
set c [socket -async 127.0.0.1 [lindex [fconfigure $s -sockname] 2]]
fconfigure $c -buffering line
puts $c hello
fileevent $c readable { puts [gets $c]; set done 1 }
vwait done
";
