//! Loads of Redis: as a master, as a replica, as a cluster of one, as a sentinel.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use super::{Client, PATIENCE};
use crate::process;

/// One connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn ask(&mut self, words: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len())?;
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        reply(&mut self.0)
    }

    /// Asks for a section of INFO until `sign` is in it.
    fn until(&mut self, section: &str, sign: &str) -> Result<()> {
        process::until(sign, PATIENCE, || {
            let info = self.ask(&["INFO", section])?;
            Ok(info.contains(sign).then_some(()))
        })
    }
}

fn connect(client: &Client) -> Result<Connection> {
    Ok(Connection(BufReader::new(client.connect()?)))
}

/// What several clients ask, one after the other; the answers are the same on every run.
const ASKED: &[&[&str]] = &[
    &["PING"],
    &["SET", "key", "value"],
    &["GET", "key"],
    &[
        "DEL", "list", "set", "zset", "hash", "stream", "places", "bits",
    ],
    &["RPUSH", "list", "a", "b", "c"],
    &["LRANGE", "list", "0", "-1"],
    &["SORT", "list", "ALPHA", "DESC"],
    &["SADD", "set", "x"],
    &["ZADD", "zset", "1", "one"],
    &["HSET", "hash", "field", "value"],
    &["XADD", "stream", "1-1", "field", "value"],
    &["XREAD", "COUNT", "1", "STREAMS", "stream", "0"],
    &["GEOADD", "places", "13.4", "52.5", "one"],
    &["PFADD", "counted", "a", "b"],
    &["SETBIT", "bits", "7", "1"],
    &["BLPOP", "absent", "0.01"],
    &["EVAL", "return redis.call('GET', KEYS[1])", "1", "key"],
    &[
        "EVAL",
        "return {cjson.encode({1}), struct.pack('b', 65), redis.sha1hex('')}",
        "0",
    ],
    &["SCRIPT", "FLUSH"],
    &[
        "FUNCTION",
        "LOAD",
        "REPLACE",
        "#!lua name=own\nredis.register_function('own', function() return 'own' end)",
    ],
    &["FCALL", "own", "0"],
    &["EXPIRE", "key", "100"],
    &["SCAN", "0", "COUNT", "0"],
    &["NONSENSE"],
    &["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read"],
    &["ACL", "SAVE"],
    &["ACL", "LOAD"],
    &["AUTH", "reader", "wrong"],
    &["AUTH", "reader", "secret"],
    &["SET", "key", "denied"],
    &["AUTH", "default", ""],
    &["MULTI"],
    &["INCR", "number"],
    &["EXEC"],
    &["CONFIG", "SET", "maxclients", "96"],
    &["CONFIG", "SET", "watchdog-period", "1000"],
    &["CONFIG", "SET", "watchdog-period", "0"],
    &["CONFIG", "REWRITE"],
    &["SAVE"],
];

/// Asked for the work it makes; the answers are times and sizes.
const MEASURED: &[&[&str]] = &[
    &["INFO", "everything"],
    &["CLIENT", "LIST"],
    &["CONFIG", "GET", "*"],
    &["MEMORY", "DOCTOR"],
    &["MEMORY", "PURGE"],
    &["LATENCY", "DOCTOR"],
    &["SLOWLOG", "GET"],
    &["COMMAND", "COUNT"],
    &["LOLWUT"],
];

/// Every type, scripts, accounts, snapshots and logs, several clients, a replica, another master.
pub(crate) fn redis(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    let mut connections = Vec::new();
    for _ in 0..4 {
        let mut connection = connect(client)?;
        for words in ASKED {
            writeln!(said, "{}: {}", words[0], connection.ask(words)?)?;
        }
        for index in 0..500 {
            connection.ask(&["SET", &format!("k{index}"), &"v".repeat(100)])?;
        }
        for words in MEASURED {
            connection.ask(words)?;
        }
        connections.push(connection);
    }
    let connection = connections.last_mut().context("no connection")?;
    save(connection, &mut said)?;
    replicate(client, connection, &mut said)?;
    for words in [
        &["-s", "{dir}/redis.socket", "GET", "key"][..],
        &["-p", "{port}", "--rdb", "{dir}/copied.rdb"],
        &["-p", "{port}", "FLUSHALL"],
    ] {
        let mut line = vec!["redis-cli"];
        line.extend(words);
        let answer = client.run(&line)?;
        writeln!(said, "{}", answer.lines().next().unwrap_or_default())?;
    }
    Ok(said)
}

/// The log rewritten and a snapshot made, each in a child.
fn save(connection: &mut Connection, said: &mut String) -> Result<()> {
    for (words, running) in [
        (&["BGREWRITEAOF"][..], "aof_rewrite_in_progress:0"),
        (&["BGSAVE", "SCHEDULE"], "rdb_bgsave_in_progress:0"),
    ] {
        writeln!(said, "{}: {}", words[0], connection.ask(words)?)?;
        connection.until("persistence", running)?;
    }
    let info = connection.ask(&["INFO", "persistence"])?;
    for field in ["rdb_last_bgsave_status", "aof_last_bgrewrite_status"] {
        let line = info.lines().find(|line| line.starts_with(field));
        writeln!(said, "{}", line.unwrap_or(field))?;
    }
    Ok(())
}

/// Feeds a replica through a pipe and through a file, hands a key over, then is a replica itself.
fn replicate(client: &Client, connection: &mut Connection, said: &mut String) -> Result<()> {
    let other = client.values.second;
    let other_port = other.to_string();
    let own_port = client.values.port.to_string();
    let _other = client.beside(
        &[
            "/usr/bin/redis-server",
            "--port",
            "{second}",
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            "{dir}/public",
            "--repl-diskless-sync-delay",
            "0",
        ],
        other,
    )?;
    let mut second = Connection(BufReader::new(super::reach(other)?));
    for diskless in ["yes", "no"] {
        connection.ask(&["CONFIG", "SET", "repl-diskless-sync", diskless])?;
        second.ask(&["REPLICAOF", "127.0.0.1", &own_port])?;
        connection.until("replication", "state=online")?;
        connection.ask(&["SET", "shared", diskless])?;
        connection.ask(&["WAIT", "1", "10000"])?;
        writeln!(said, "replica: {}", second.ask(&["GET", "shared"])?)?;
        // What it writes on its own makes the next copy a full one.
        second.ask(&["REPLICAOF", "NO", "ONE"])?;
        second.ask(&["FLUSHALL"])?;
        connection.until("replication", "connected_slaves:0")?;
    }
    let moved = connection.ask(&["MIGRATE", "127.0.0.1", &other_port, "shared", "0", "5000"])?;
    writeln!(said, "MIGRATE: {moved}")?;
    for load in ["disabled", "swapdb"] {
        connection.ask(&["CONFIG", "SET", "repl-diskless-load", load])?;
        connection.ask(&["REPLICAOF", "127.0.0.1", &other_port])?;
        connection.until("replication", "master_link_status:up")?;
        writeln!(
            said,
            "as a replica: {}",
            connection.ask(&["GET", "shared"])?
        )?;
        connection.ask(&["REPLICAOF", "NO", "ONE"])?;
        connection.ask(&["SET", "key", load])?;
    }
    Ok(())
}

/// A cluster of one node, and a client that speaks TLS.
pub(crate) fn redis_cluster(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    let mut connection = connect(client)?;
    for words in [
        &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"][..],
        &["CLUSTER", "SAVECONFIG"],
        &["CLUSTER", "MEET", "127.0.0.1", "1"],
    ] {
        writeln!(said, "{}: {}", words[1], connection.ask(words)?)?;
    }
    process::until("a cluster", PATIENCE, || {
        let info = connection.ask(&["CLUSTER", "INFO"])?;
        Ok(info.contains("cluster_state:ok").then_some(()))
    })?;
    for words in [["SET", "key", "value"], ["APPEND", "key", "more"]] {
        let mut line = vec!["redis-cli", "--tls", "--insecure", "-p", "{second}"];
        line.extend(words);
        said.push_str(&client.run(&line)?);
    }
    Ok(said)
}

/// A sentinel that watches what is no Redis.
pub(crate) fn redis_sentinel(client: &mut Client) -> Result<String> {
    let mut connection = connect(client)?;
    process::until("the sentinel's verdict", PATIENCE, || {
        let state = connection.ask(&["SENTINEL", "MASTER", "main"])?;
        Ok(state.contains("s_down").then_some(()))
    })?;
    connection.ask(&["SENTINEL", "FLUSHCONFIG"])
}

/// One reply of Redis' protocol, arrays in brackets.
fn reply(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    ensure!(
        reader.read_line(&mut line)? > 0,
        "the connection was closed"
    );
    let (kind, rest) = line.trim_end().split_at(1);
    Ok(match kind {
        "$" => {
            let length: i64 = rest.parse()?;
            let Ok(length) = usize::try_from(length) else {
                return Ok("nil".to_owned());
            };
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(length);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        "*" => {
            let count: i64 = rest.parse()?;
            let items: Result<Vec<_>> = (0..count).map(|_| reply(reader)).collect();
            format!("[{}]", items?.join(", "))
        }
        _ => line.trim_end().to_owned(),
    })
}
