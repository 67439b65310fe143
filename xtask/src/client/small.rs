//! Loads of the smaller servers, most of them made by the clients that Debian brings.

use std::io::{Read, Write};

use anyhow::Result;
use rustix::process::Signal;

use super::Client;

/// Each command line's output, one behind the other.
fn all(client: &Client, lines: &[&[&str]]) -> Result<String> {
    lines.iter().map(|line| client.run(line)).collect()
}

/// What a proxy or a relay in front of the web server passes on.
pub(crate) fn relay(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    for _ in 0..3 {
        said.push_str(&client.run(&["curl", "-sS", "http://127.0.0.1:{port}/file"])?);
    }
    said.push_str(&client.run(&[
        "curl",
        "-sS",
        "-d",
        "@www/large",
        "-o",
        "answer",
        "http://127.0.0.1:{port}/echo",
    ])?);
    Ok(said)
}

/// The same for a relay that speaks TLS.
pub(crate) fn socat_tls(client: &mut Client) -> Result<String> {
    client.run(&["curl", "-sSk", "https://127.0.0.1:{port}/file"])
}

/// Through both ends of a tunnel.
pub(crate) fn stunnel(client: &mut Client) -> Result<String> {
    let said = all(
        client,
        &[
            &["curl", "-sSk", "https://127.0.0.1:{port}/file"],
            &["curl", "-sS", "http://127.0.0.1:{second}/file"],
            &[
                "curl",
                "-sSk",
                "-o",
                "answer",
                "-d",
                "@www/large",
                "https://127.0.0.1:{port}/echo",
            ],
        ],
    )?;
    client.signal(Signal::USR1)?;
    client.signal(Signal::HUP)?;
    client.signal(Signal::USR2)?;
    Ok(said + &client.run(&["curl", "-sSk", "https://127.0.0.1:{port}/file"])?)
}

/// Requests that a proxy passes on, tunnels, refuses and answers itself.
pub(crate) fn tinyproxy(client: &mut Client) -> Result<String> {
    let proxy = [
        "curl",
        "-s",
        "-o",
        "answer",
        "-w",
        "%{http_code}\n",
        "-x",
        "http://127.0.0.1:{port}",
    ];
    let mut said = String::new();
    for words in [
        &["http://127.0.0.1:{http}/large"][..],
        &["http://localhost:{http}/file"],
        &["-d", "@www/large", "http://127.0.0.1:{http}/echo"],
        &["-p", "http://127.0.0.1:{http}/file"],
        &["http://denied.localhost/"],
        &["http://127.0.0.1:1/"],
        &["http://statistics.localhost/"],
    ] {
        said.push_str(&client.run(&[&proxy[..], words].concat())?);
    }
    client.signal(Signal::USR1)?;
    said.push_str(&client.run(&["curl", "-sS", "http://127.0.0.1:{port}/web/file"])?);
    Ok(said)
}

/// Publishes and subscribes, plain, encrypted and through a socket; kept messages; a saved state.
pub(crate) fn mosquitto(client: &mut Client) -> Result<String> {
    let said = all(
        client,
        &[
            &[
                "mosquitto_pub",
                "-p",
                "{port}",
                "-t",
                "kept",
                "-m",
                "message",
                "-r",
                "-q",
                "2",
            ],
            &[
                "mosquitto_sub",
                "-p",
                "{port}",
                "-t",
                "kept",
                "-C",
                "1",
                "-i",
                "one",
                "-c",
                "-q",
                "1",
            ],
            &[
                "mosquitto_pub",
                "-p",
                "{port}",
                "-t",
                "kept",
                "-f",
                "words",
                "-r",
                "-q",
                "1",
            ],
            &[
                "mosquitto_sub",
                "-p",
                "{port}",
                "-t",
                "kept",
                "-C",
                "1",
                "-i",
                "one",
                "-c",
                "-q",
                "1",
            ],
            &[
                "mosquitto_sub",
                "-p",
                "{second}",
                "--cafile",
                "tls.pem",
                "--insecure",
                "-t",
                "kept",
                "-C",
                "1",
            ],
            &[
                "mosquitto_sub",
                "--unix",
                "public/mosquitto.socket",
                "-t",
                "kept",
                "-C",
                "1",
            ],
            &[
                "mosquitto_sub",
                "-V",
                "5",
                "-p",
                "{port}",
                "-t",
                "$SYS/broker/version",
                "-C",
                "1",
            ],
        ],
    )?;
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        client.signal(signal)?;
    }
    Ok(said)
}

/// A kept message that another run has saved.
pub(crate) fn mosquitto_kept(client: &mut Client) -> Result<String> {
    client.run(&["mosquitto_sub", "-p", "{port}", "-t", "kept", "-C", "1"])
}

/// Lists, fetches and stores, with a password and with a wrong one.
pub(crate) fn rsync(client: &mut Client) -> Result<String> {
    all(
        client,
        &[
            &["rsync", "rsync://127.0.0.1:{port}/"],
            &["rsync", "-a", "rsync://127.0.0.1:{port}/tree/", "fetched/"],
            &[
                "rsync",
                "-az",
                "--password-file=rsync.password",
                "numbers",
                "tree",
                "rsync://user@127.0.0.1:{port}/public/",
            ],
            &[
                "rsync",
                "-rc",
                "--delete",
                "--password-file=rsync.password",
                "tree/",
                "rsync://user@127.0.0.1:{port}/public/tree/",
            ],
            &[
                "rsync",
                "--password-file=words",
                "words",
                "rsync://user@127.0.0.1:{port}/public/",
            ],
            &["cat", "fetched/deep/two"],
        ],
    )
}

/// Names that it knows, forwards and does not know, over datagrams and connections.
pub(crate) fn dnsmasq(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    for (name, kind) in [
        ("fixed.example", 1),
        ("named.example", 1),
        ("text.example", 16),
        ("absent.example", 28),
    ] {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len())?);
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        let mut stream = client.connect()?;
        let length = u8::try_from(query.len())?;
        stream.write_all(&[&[0, length], &query[..]].concat())?;
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(head))];
        stream.read_exact(&mut answer)?;
        drop(stream);
        let again = client.datagram(client.values.port, &query)?;
        said.push_str(&format!("{name}: {:?} {}\n", &answer[3..8], again.len()));
    }
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        client.signal(signal)?;
    }
    Ok(said)
}

/// What a NATS server says after its greeting, until `last` came.
fn nats_says(client: &Client, request: &str, last: &str) -> Result<String> {
    let mut stream = client.connect()?;
    stream.write_all(b"CONNECT {\"verbose\":false}\r\n")?;
    stream.write_all(request.as_bytes())?;
    let mut said = String::new();
    let mut buffer = [0; 4096];
    while !said.contains(last) {
        match stream.read(&mut buffer)? {
            0 => break,
            length => said.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    let greeting = said.find("\r\n").map_or(said.len(), |end| end + 2);
    Ok(said.split_off(greeting))
}

/// Publishes and subscribes; asks the page for its state.
pub(crate) fn nats(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    for subject in ["one", "two.*"] {
        let name = subject.replace('*', "three");
        let request = format!("SUB {subject} 1\r\nPUB {name} 5\r\nhello\r\nUNSUB 1\r\nPING\r\n");
        said.push_str(&nats_says(client, &request, "PONG\r\n")?);
    }
    said.push_str(&nats_says(client, "NONSENSE\r\n", "-ERR")?);
    let page = client.run(&["curl", "-sS", "http://127.0.0.1:{second}/varz"])?;
    said.push_str(if page.contains("\"server_id\"") {
        "served"
    } else {
        "not served"
    });
    Ok(said)
}

/// Keeps messages in a file, and gives them back.
pub(crate) fn nats_stored(client: &mut Client) -> Result<String> {
    let about = r#"{"name":"kept","subjects":["kept.*"],"storage":"file"}"#;
    let made = format!(
        "SUB answer 1\r\nPUB $JS.API.STREAM.CREATE.kept answer {}\r\n{about}\r\n",
        about.len()
    );
    let said = nats_says(client, &made, "stream_create_response")?;
    let stored = "SUB answer 1\r\nPUB kept.one answer 5\r\nhello\r\n";
    let stored = nats_says(client, stored, "\"seq\"")?;
    // The rest are times and names that the server makes up.
    let has = |text: &str, part: &str| text.contains(part).to_string();
    Ok([
        has(&said, "\"did_create\":true"),
        has(&stored, "\"stream\":\"kept\""),
    ]
    .join(" "))
}
