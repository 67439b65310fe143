//! What comes from workers, from jobs and from the disk, damaged in every way: it is read or refused, in bounded memory,
//! and never ends the host.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;

use crate::artifact::{Artifact, Key};
use crate::frame::Said;
use crate::leash::Leash;
use crate::limits::{Limits, Wanted};
use crate::outcome::Limit;
use crate::output::Seen;
use crate::wire::{self, Answer, Order, Placed};

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
            at().prop_map(Damage::Remove),
            (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
            at().prop_map(Damage::Cut),
        ]
    }

    fn to(&self, bytes: &mut Vec<u8>) {
        match self {
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
            _ if bytes.is_empty() => {}
            Damage::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    prop::collection::vec(Damage::any(), 0..6)
}

fn order() -> impl Strategy<Value = Order> {
    let words = || prop::collection::vec(".{0,12}", 0..4);
    prop_oneof![
        prop::collection::vec(any::<wire::Instruction>(), 0..20)
            .prop_map(|filter| Order::Load { filter }),
        (
            prop::array::uniform3(words()),
            prop::collection::vec((".{0,12}", any::<u64>(), any::<bool>()), 0..4),
            any::<[u64; 2]>(),
            any::<Option<u64>>(),
            any::<bool>(),
            any::<u8>()
        )
            .prop_map(|(words, files, [memory, output], fuel, at_once, secrets)| {
                let [arguments, environment, wanted] = words;
                let files = files.into_iter().map(|(name, length, executable)| Placed {
                    name,
                    length,
                    executable,
                });
                Order::Run {
                    arguments,
                    environment,
                    files: files.collect(),
                    wanted,
                    memory,
                    output,
                    fuel,
                    at_once,
                    secrets,
                }
            }),
        Just(()).prop_map(|()| Order::Reap),
        any::<(bool, u64)>().prop_map(|(metered, allocations)| Order::Prepare {
            metered,
            allocations
        }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(()).prop_map(|()| Answer::Loaded),
        ".{0,40}".prop_map(Answer::Refused),
        any::<bool>().prop_map(|apart| Answer::Started { apart }),
        any::<i32>().prop_map(Answer::NotStarted),
        any::<u64>().prop_map(|peak_memory| Answer::Reaped { peak_memory }),
        Just(()).prop_map(|()| Answer::Prepared),
        Just(()).prop_map(|()| Answer::TooLarge),
    ]
}

/// What is sent for a message, as bytes.
fn sent(head: &impl serde::Serialize, body: &[u8]) -> Vec<u8> {
    let (here, mut there) = UnixStream::pair().unwrap();
    wire::send(&here, head, body, None).unwrap();
    drop(here);
    let mut bytes = Vec::new();
    there.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Takes whatever messages these bytes are, by who expects `T`.
fn taken<T: serde::de::DeserializeOwned>(bytes: &[u8], most: usize) -> usize {
    let (mut here, there) = UnixStream::pair().unwrap();
    here.write_all(bytes).unwrap();
    drop(here);
    let mut count = 0;
    while let Ok(Some(message)) = wire::receive::<T>(&there, most) {
        assert!(message.body.len() <= most && message.descriptor.is_none());
        count += 1;
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_damaged_message_is_taken_or_refused(
        (order, answer) in (order(), answer()),
        body in prop::collection::vec(any::<u8>(), 0..200),
        damages in damages(),
    ) {
        let mut both = [sent(&order, &body), sent(&answer, &body)];
        prop_assert_eq!(taken::<Order>(&both[0], 200), 1);
        prop_assert_eq!(taken::<Answer>(&both[1], 200), 1);
        for bytes in &mut both {
            damages.iter().for_each(|damage| damage.to(bytes));
            // Each of them may come to either side.
            taken::<Order>(bytes, 200);
            taken::<Answer>(bytes, 200);
        }
    }

    #[test]
    fn whatever_a_job_says_is_within_its_limit(
        messages in prop::collection::vec(
            (0..11_u8, prop::collection::vec(any::<u8>(), 0..60)), 0..40),
        output in 0..200_u64,
        wanted in 0..4_usize,
    ) {
        let limits = Limits { output, ..Limits::default() };
        let leash = Leash::new(None);
        let mut seen = Seen::new(&limits, &leash, None).wanting(wanted);
        let mut first: Option<Said> = None;
        for (kind, rest) in messages {
            let message = [&[kind][..], &rest].concat();
            let more = seen.take(&message);
            // What was said first stays, and is the last that counts.
            if first.is_some() {
                prop_assert!(!more && seen.malformed);
                prop_assert_eq!(&seen.said, &first);
            }
            prop_assert_eq!(more, !seen.malformed && seen.over.is_none());
            if !more {
                break;
            }
            first.clone_from(&seen.said);
        }
        prop_assert!(seen.over.is_none_or(|limit| limit == Limit::Output));
        for kept in &seen.kept {
            prop_assert!(u64::try_from(kept.len()).unwrap() <= output);
        }
        let files = seen.files.end(true);
        prop_assert_eq!(files.len(), wanted);
        let all: usize = files.iter().flatten().map(Vec::len).sum();
        prop_assert!(u64::try_from(all).unwrap() <= output);
    }

    #[test]
    fn a_damaged_artifact_is_none(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        damages in damages(),
    ) {
        let (key, name) = (Key::new([5; 32]), [6; 32]);
        let (_, tag) = Artifact::made(&bytes, &name, &key).unwrap();
        let mut file = [tag.as_slice(), &bytes].concat();
        let whole = file.clone();
        damages.iter().for_each(|damage| damage.to(&mut file));
        let tag = file.first_chunk().copied().unwrap_or_default();
        let kept = Artifact::kept(file.get(32..).unwrap_or_default(), &tag, &name, &key).unwrap();
        prop_assert_eq!(kept.is_some(), file == whole);
    }

    #[test]
    fn a_text_of_limits_is_some_or_none(
        text in "(cpu|wall|memory|output|fuel|=|,|[0-9]{1,25}|ms|s|m|h|K|M|G|.){0,12}",
    ) {
        if let Ok(wanted) = text.parse::<Wanted>() {
            let limits = Limits::of(&[wanted]);
            prop_assert!(limits.cpu > Duration::ZERO);
        }
    }
}
