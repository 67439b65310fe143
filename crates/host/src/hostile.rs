//! The readers of what workers and jobs say, without workers and jobs: for who looks for bytes on which they fail
//! (feature `fuzz`).

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::directory::{Given, NotTaken};
use crate::frame::{Results, Said};
use crate::leash::Leash;
use crate::limits::Limits;
use crate::outcome::Limit;
use crate::output::Seen;
use crate::secret::Secret;
use crate::serve::Task;
use crate::wire::{self, Answer, Message, Order};

/// Who takes a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// A worker, what its host orders.
    Worker,
    /// The host, what its worker answers.
    Host,
}

/// A message that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// What goes before its body when it is sent again.
    pub front: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
    /// When it orders a job: what is left of the body as its input, and its files. `None` where these are not all there,
    /// and nothing is run.
    pub job: Option<Option<(Vec<u8>, Vec<Given>)>>,
}

/// Takes a message whose body has at most `most` bytes, as one side does; `None` at the end.
pub fn take(side: Side, from: &UnixStream, most: usize) -> io::Result<Option<Taken>> {
    match side {
        Side::Host => Ok(received::<Answer>(from, most)?.map(|(_, taken)| taken)),
        Side::Worker => {
            let Some((order, mut taken)) = received::<Order>(from, most)? else {
                return Ok(None);
            };
            if let Order::Run { files, .. } = order {
                let mut task = Task {
                    input: taken.body.clone(),
                    arguments: Vec::new(),
                    environment: Vec::new(),
                    secrets: Vec::new(),
                    files: Vec::new(),
                    wanted: Vec::new(),
                    output: 0,
                    memory: 0,
                    fuel: None,
                };
                let unpacked = task.unpack(files);
                taken.job = Some(unpacked.map(|()| (task.input, task.files)));
            }
            Ok(Some(taken))
        }
    }
}

fn received<T: Serialize + DeserializeOwned>(
    from: &UnixStream,
    most: usize,
) -> io::Result<Option<(T, Taken)>> {
    let Some(Message { head, body, .. }) = wire::receive::<T>(from, most)? else {
        return Ok(None);
    };
    let taken = Taken {
        front: wire::front(&head, body.len())?,
        body,
        job: None,
    };
    Ok(Some((head, taken)))
}

/// What a host has of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// What it wrote to its two outputs.
    pub written: [Vec<u8>; 2],
    /// An answer to each file that is wanted.
    pub files: Vec<Result<Vec<u8>, NotTaken>>,
    /// Its last word.
    pub said: Option<Said>,
    /// It said what is no message.
    pub malformed: bool,
    /// It is over a limit.
    pub over: Option<Limit>,
}

/// Hears the messages of a job that may write `output` bytes and is asked for `wanted` files, as long as they are taken.
pub fn hear(output: u64, wanted: usize, messages: impl IntoIterator<Item: AsRef<[u8]>>) -> Heard {
    let limits = Limits {
        output,
        ..Limits::default()
    };
    let leash = Leash::new(None);
    let mut seen = Seen::new(&limits, &leash, None).wanting(wanted);
    let mut messages = messages.into_iter();
    while messages
        .next()
        .is_some_and(|message| seen.take(message.as_ref()))
    {}
    Heard {
        written: seen.kept,
        files: seen.files.end(seen.said.is_some() && !seen.malformed),
        said: seen.said,
        malformed: seen.malformed,
        over: seen.over,
    }
}

/// Where a job's process writes; its last word does not close it.
pub fn results(to: OwnedFd, at_once: bool) -> Results {
    Results::new(to, at_once)
}

/// The secret that a message is, and the message that says it again.
pub fn secret(message: &[u8]) -> Option<(Secret, Vec<u8>)> {
    let secret = Secret::decode(message)?;
    let again = secret.encode().to_vec();
    Some((secret, again))
}
