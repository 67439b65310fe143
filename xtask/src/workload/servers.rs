//! Programs that serve until they are told to end.

use rustix::process::Signal;

use super::Compare::LastWords;
use super::Workload;
use super::row::{debian, ends, fed, run, serve, step, until};
use crate::client;

/// Every server.
pub(super) const SERVERS: &[Workload] = &[
    debian(
        "redis",
        "/usr/bin/redis-server",
        &[
            serve(&["{dir}/redis.conf"], client::redis),
            serve(&["{dir}/redis.cluster"], client::redis_cluster),
            serve(
                &["{dir}/redis.sentinel", "--sentinel"],
                client::redis_sentinel,
            ),
            run(&["--version"]),
        ],
    ),
    debian(
        "memcached",
        "/usr/bin/memcached",
        &[
            serve(
                &[
                    "-l",
                    "127.0.0.1",
                    "-p",
                    "{port}",
                    "-u",
                    "nobody",
                    "-t",
                    "2",
                    "-v",
                    "-r",
                    "-k",
                    "-A",
                    "-o",
                    "ext_path={dir}/public/store:64m,ext_item_age=0,slab_automove=2,track_sizes",
                ],
                client::memcached,
            ),
            serve(
                &[
                    "-u",
                    "nobody",
                    "-Z",
                    "-o",
                    "ssl_chain_cert={dir}/tls.pem,ssl_key={dir}/tls.pem",
                    "-l",
                    "notls:127.0.0.1:{port},127.0.0.1:{second}",
                ],
                client::memcached_tls,
            ),
            until(Signal::USR1, 0, WARM, client::memcached_warm),
            serve(
                &[
                    "-l",
                    "127.0.0.1",
                    "-p",
                    "{port}",
                    "-U",
                    "{second}",
                    "-u",
                    "nobody",
                ],
                client::memcached_datagrams,
            ),
            until(Signal::USR1, 0, WARM, client::memcached_warm),
            run(&["-V"]),
        ],
    ),
    debian(
        "nginx",
        "/usr/sbin/nginx",
        &[
            run(&[
                "-t",
                "-p",
                "{dir}",
                "-c",
                "nginx.conf",
                "-e",
                "nginx.errors",
            ]),
            ends(
                1,
                &[
                    "-t",
                    "-p",
                    "{dir}",
                    "-c",
                    "nginx.unknown",
                    "-e",
                    "nginx.errors",
                ],
            ),
            serve(
                &["-p", "{dir}", "-c", "nginx.conf", "-e", "nginx.errors"],
                client::nginx,
            ),
            until(
                Signal::QUIT,
                0,
                &["-p", "{dir}", "-c", "nginx.conf", "-e", "nginx.errors"],
                client::http,
            ),
        ],
    ),
    debian(
        "lighttpd",
        "/usr/sbin/lighttpd",
        &[
            // After SIGTERM it ends with 1 when it has not yet closed what the client closed.
            until(
                Signal::INT,
                0,
                &["-D", "-f", "{dir}/lighttpd.conf"],
                client::lighttpd,
            ),
            run(&["-tt", "-f", "{dir}/lighttpd.conf"]),
        ],
    )
    // They hand out functions of the program itself: when these run no module is on the stack.
    .loading(&[
        "/usr/lib/lighttpd/mod_cgi.so",
        "/usr/lib/lighttpd/mod_proxy.so",
    ])
    .starting(&["/bin/sh"]),
    debian(
        "lighttpd-tls",
        "/usr/sbin/lighttpd",
        &[until(
            Signal::INT,
            0,
            &["-D", "-f", "{dir}/lighttpd.tls"],
            client::lighttpd_tls,
        )],
    )
    .loading(&[
        "/usr/lib/lighttpd/mod_cgi.so",
        "/usr/lib/lighttpd/mod_deflate.so",
        "/usr/lib/lighttpd/mod_openssl.so",
        "/usr/lib/lighttpd/mod_proxy.so",
    ])
    .starting(&["/bin/sh"])
    .slow(),
    debian(
        "haproxy",
        "/usr/sbin/haproxy",
        &[
            until(
                Signal::TERM,
                143,
                &["-db", "-L", "local", "-f", "{dir}/haproxy.cfg"],
                client::haproxy,
            ),
            until(
                Signal::USR1,
                0,
                &["-db", "-L", "local", "-f", "{dir}/haproxy.cfg"],
                client::http,
            ),
            until(
                Signal::TERM,
                0,
                &[
                    "-W",
                    "-S",
                    "{dir}/haproxy.master",
                    "-f",
                    "{dir}/haproxy.simple",
                ],
                client::haproxy_master,
            ),
            run(&["-c", "-L", "local", "-f", "{dir}/haproxy.cfg"]),
        ],
    )
    .starting(&["/usr/sbin/haproxy"]),
    debian(
        "netcat",
        "/bin/nc.openbsd",
        &[
            fed(
                "GET /file HTTP/1.0\r\n\r\n",
                &["-w", "9", "127.0.0.1", "{http}"],
            ),
            run(&["-z", "-n", "127.0.0.1", "{http}"]),
            ends(1, &["-z", "127.0.0.1", "1"]),
            ends(1, &["-U", "{dir}/nobody.listens"]),
            fed("text", &["-u", "-w", "1", "-q", "0", "127.0.0.1", "{http}"]),
        ],
    ),
    debian(
        "tinyproxy",
        "/usr/bin/tinyproxy",
        &[serve(
            &["-d", "-c", "{dir}/tinyproxy.conf"],
            client::tinyproxy,
        )],
    )
    // It asks whether SIGTERM came and then waits, for ever if that came in between: rare, but no
    // matter of ours.
    .slow(),
    debian(
        "socat",
        "/usr/bin/socat",
        &[
            run(&["-V"]),
            run(&["-u", "FILE:words", "STDOUT"]),
            run(&["-u", "FILE:words", "CREATE:copied,mode=600"]),
            run(&["EXEC:echo started", "STDOUT,ignoreeof=0"]),
            run(&["-u", "SYSTEM:cat words | sort", "-"]),
            run(&["-u", "EXEC:echo with a terminal,pty,raw,echo=0", "-"]),
            fed(
                "GET /file HTTP/1.0\r\n\r\n",
                &["-t9", "-", "TCP:127.0.0.1:{http},nodelay,keepalive"],
            ),
            until(
                Signal::TERM,
                143,
                &[
                    "-d",
                    "TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr",
                    "TCP:127.0.0.1:{http}",
                ],
                client::relay,
            ),
            until(
                Signal::TERM,
                143,
                &[
                    "OPENSSL-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,cert=tls.pem,verify=0",
                    "TCP:127.0.0.1:{http}",
                ],
                client::socat_tls,
            ),
        ],
    )
    .starting(&["/bin/sh", "/bin/echo", "/bin/cat", "/usr/bin/sort"])
    .slow(),
    debian(
        "stunnel",
        "/usr/bin/stunnel4",
        &[until(
            Signal::TERM,
            0,
            &["{dir}/stunnel.conf"],
            client::stunnel,
        )],
    )
    .slow(),
    debian(
        "mosquitto",
        "/usr/sbin/mosquitto",
        &[
            serve(&["-c", "{dir}/mosquitto.conf"], client::mosquitto),
            serve(
                &["-c", "{dir}/mosquitto.conf", "-v"],
                client::mosquitto_kept,
            ),
        ],
    )
    .slow(),
    debian(
        "nats-server",
        "/usr/sbin/nats-server",
        &[
            // SIGTERM is told as a failure of it.
            until(
                Signal::INT,
                0,
                &["-a", "127.0.0.1", "-p", "{port}", "-m", "{second}"],
                client::nats,
            ),
            until(
                Signal::INT,
                0,
                &[
                    "-a",
                    "127.0.0.1",
                    "-p",
                    "{port}",
                    "-js",
                    "-sd",
                    "{dir}/store",
                ],
                client::nats_stored,
            ),
            run(&["--version"]),
        ],
    )
    .slow(),
    debian(
        "dnsmasq",
        "/usr/sbin/dnsmasq",
        &[
            run(&["--test", "-C", "{dir}/dnsmasq.conf"]),
            serve(
                &["-C", "{dir}/dnsmasq.conf", "--no-daemon"],
                client::dnsmasq,
            ),
            serve(
                &["-C", "{dir}/dnsmasq.conf", "--keep-in-foreground"],
                client::dnsmasq,
            ),
            run(&["--version"]),
        ],
    )
    .slow(),
    debian(
        "rsync",
        "/usr/bin/rsync",
        &[
            run(&["-a", "tree/", "public/tree/"]),
            run(&[
                "-avzc",
                "--delete",
                "--backup",
                "--inplace",
                "words",
                "tree/",
                "public/tree/",
            ])
            .loosely(),
            run(&[
                "-aHAX",
                "--sparse",
                "--link-dest={dir}/tree",
                "tree/",
                "public/linked/",
            ]),
            run(&[
                "-an",
                "--itemize-changes",
                "--stats",
                "--exclude=deep",
                "tree",
                "public",
            ])
            .loosely(),
            step("", &["--list-only", "tree/"], LastWords, 0),
            ends(23, &["-a", "absent", "public"]),
            until(
                Signal::TERM,
                0,
                &[
                    "--daemon",
                    "--no-detach",
                    "--config={dir}/rsyncd.conf",
                    "--port={port}",
                    "--address=127.0.0.1",
                ],
                client::rsync,
            ),
        ],
    )
    .slow(),
];

/// A memcached that keeps its items when it is told to end in order.
const WARM: &[&str] = &[
    "-u",
    "nobody",
    "-s",
    "{dir}/public/server.socket",
    "-a",
    "0777",
    "-e",
    "{dir}/public/memory",
    "-Y",
    "{dir}/memcached.users",
    "-m",
    "64",
];
