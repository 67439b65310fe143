//! Threads, channels, TCP, UDP and Unix sockets, files and clocks through the standard library.
//! Built twice: with the C runtime linked in (`+crt-static`), and dynamically.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> std::io::Result<u64> {
        let mut lines = 0;
        for _ in 0..4 {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let mut stream = stream;
            stream.write_all(line.to_uppercase().as_bytes())?;
            lines += 1;
        }
        Ok(lines)
    });
    let (sender, receiver) = mpsc::channel();
    for number in 0..4u32 {
        let sender = sender.clone();
        thread::Builder::new()
            .name(format!("client-{number}"))
            .spawn(move || {
                let answer = (|| -> std::io::Result<String> {
                    let mut stream = TcpStream::connect(address)?;
                    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                    writeln!(stream, "hello {number}")?;
                    let mut text = String::new();
                    stream.read_to_string(&mut text)?;
                    Ok(text)
                })();
                let _ = sender.send(answer.unwrap_or_else(|error| error.to_string()));
            })?;
    }
    drop(sender);
    let mut answers: Vec<String> = receiver.iter().map(|text| text.trim().to_owned()).collect();
    answers.sort();
    let lines = server.join().map_err(|_| "the server panicked")??;

    let first = UdpSocket::bind("127.0.0.1:0")?;
    let second = UdpSocket::bind("127.0.0.1:0")?;
    first.send_to(b"datagram", second.local_addr()?)?;
    let mut buffer = [0; 32];
    let (length, _) = second.recv_from(&mut buffer)?;

    let (mut left, mut right) = UnixStream::pair()?;
    left.write_all(b"pair")?;
    let mut four = [0; 4];
    right.read_exact(&mut four)?;

    let counter = Arc::new(AtomicU64::new(0));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (counter, gate) = (counter.clone(), gate.clone());
            thread::spawn(move || {
                let mut open = gate.0.lock().unwrap();
                while !*open {
                    open = gate.1.wait(open).unwrap();
                }
                counter.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")?;
    }

    std::fs::write("sockets.out", "one\ntwo\nthree\n")?;
    let mut words: HashMap<String, usize> = HashMap::new();
    for line in std::fs::read_to_string("sockets.out")?.lines() {
        *words.entry(line.to_owned()).or_default() += line.len();
    }
    std::fs::remove_file("sockets.out")?;
    let started = Instant::now();
    thread::sleep(Duration::from_millis(1));
    let caught = std::panic::catch_unwind(|| {
        std::panic::set_hook(Box::new(|_| {}));
        panic!("caught below");
    });

    println!("{answers:?}");
    println!(
        "lines {lines}, datagram {length}, pair {}, counter {}, words {}, slept {}, caught {}",
        String::from_utf8_lossy(&four),
        counter.load(Ordering::Relaxed),
        words.values().sum::<usize>(),
        started.elapsed() >= Duration::from_millis(1),
        caught.is_err(),
    );
    Ok(())
}
