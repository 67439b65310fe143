//! Artifacts for a process that runs many jobs: each module is prepared once, whoever asks for it and how often.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use portcullis_sandbox::{LayerName, Limits as Bounds};

use crate::artifact::Artifact;
use crate::cache::{Cache, Name};
use crate::error::Error;
use crate::image::Image;
use crate::prepare::{ALLOCATED, ALLOCATIONS, Preparation};

/// How many modules are known at one time, prepared or failed.
const MOST: usize = 4096;

/// A cache, the program that fills it, and what became of each module.
///
/// Who asks for a module that is being prepared waits for that. A module that the engine refuses, or that takes more
/// allocations than it may, is refused again without a look; one whose preparation failed for another reason is tried again when some time has passed.
pub struct Preparations {
    cache: Cache,
    image: Image,
    bounds: Bounds,
    allocations: u64,
    without: Vec<LayerName>,
    known: Known,
}

impl Preparations {
    /// With `image` as the preparing program, which may use what `bounds` says. `cool_down` is how long a preparation
    /// that may go well another time is not tried again; `without` names layers that are left out.
    pub fn new(
        cache: Cache,
        image: Image,
        bounds: Bounds,
        cool_down: Duration,
        without: &[LayerName],
    ) -> Preparations {
        Preparations {
            cache,
            image,
            bounds,
            allocations: ALLOCATIONS,
            without: without.to_vec(),
            known: Known::new(cool_down),
        }
    }

    /// With another bound for what preparing may have in use ([`Preparation::allocations`]).
    #[must_use]
    pub fn allocations(mut self, most: u64) -> Preparations {
        self.allocations = most;
        self
    }

    /// The artifact of a module; with `metered` its code counts steps. The same one as long as anybody has it, so that
    /// a worker which has it too need not be given it again.
    pub fn artifact(&self, module: &[u8], metered: bool) -> Result<Arc<Artifact>, Arc<Error>> {
        let wanted = Preparation {
            module,
            metered,
            bounds: self.bounds,
            allocations: self.allocations,
        };
        let name = self.cache.name(&self.image, &wanted);
        self.known.get(name, Instant::now, || {
            let found = self.cache.artifact(&self.image, &wanted, &self.without);
            found.map(|(artifact, _)| artifact)
        })
    }
}

/// What became of modules.
struct Known {
    cool_down: Duration,
    all: Mutex<HashMap<Name, Became>>,
    changed: Condvar,
}

enum Became {
    /// Somebody prepares it.
    Begun,
    /// As long as somebody has it.
    Prepared(Weak<Artifact>),
    /// Until then, or for ever.
    Failed(Arc<Error>, Option<Instant>),
}

impl Known {
    fn new(cool_down: Duration) -> Known {
        Known {
            cool_down,
            all: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Name, Became>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(
        &self,
        name: Name,
        now: impl Fn() -> Instant,
        make: impl FnOnce() -> Result<Artifact, Error>,
    ) -> Result<Arc<Artifact>, Arc<Error>> {
        let mut all = self.all();
        loop {
            match all.get(&name) {
                Some(Became::Begun) => {
                    all = self
                        .changed
                        .wait(all)
                        .unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Some(Became::Failed(error, until)) if until.is_none_or(|until| now() < until) => {
                    return Err(Arc::clone(error));
                }
                Some(Became::Prepared(artifact)) => {
                    if let Some(artifact) = artifact.upgrade() {
                        return Ok(artifact);
                    }
                }
                Some(Became::Failed(..)) | None => {}
            }
            break;
        }
        make_room(&mut all, &now);
        all.insert(name, Became::Begun);
        drop(all);
        let turn = Turn { known: self, name };
        let made = make().map(Arc::new).map_err(Arc::new);
        turn.end(match &made {
            Ok(artifact) => Became::Prepared(Arc::downgrade(artifact)),
            Err(error) => {
                let certain = matches!(**error, Error::Refused(_) | Error::TooLarge(ALLOCATED));
                let until = (!certain).then(|| now() + self.cool_down);
                Became::Failed(Arc::clone(error), until)
            }
        });
        made
    }
}

/// Forgets what is worth the least, when there is much.
fn make_room(all: &mut HashMap<Name, Became>, now: &impl Fn() -> Instant) {
    if all.len() < MOST {
        return;
    }
    let now = now();
    all.retain(|_, became| match became {
        Became::Begun => true,
        Became::Prepared(artifact) => artifact.strong_count() > 0,
        Became::Failed(_, until) => until.is_none_or(|until| now < until),
    });
    if all.len() >= MOST {
        all.retain(|_, became| matches!(became, Became::Begun));
    }
}

/// Whoever prepares a module. Dropped before its end, the next one in line prepares it.
struct Turn<'a> {
    known: &'a Known,
    name: Name,
}

impl Turn<'_> {
    fn end(self, became: Became) {
        self.known.all().insert(self.name, became);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut all = self.known.all();
        if matches!(all.get(&self.name), Some(Became::Begun)) {
            all.remove(&self.name);
        }
        self.known.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const NAME: Name = [1; 32];

    fn artifact() -> Result<Artifact, Error> {
        Artifact::trusted(b"code")
    }

    #[test]
    fn who_asks_at_the_same_time_gets_the_same() {
        let known = Known::new(Duration::ZERO);
        let (made, together) = (AtomicUsize::new(0), Barrier::new(8));
        let kept = std::thread::scope(|scope| {
            let ask = || {
                together.wait();
                known.get(NAME, Instant::now, || {
                    made.fetch_add(1, Ordering::Relaxed);
                    artifact()
                })
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            let all = all.into_iter().map(|one| one.join().unwrap().unwrap());
            all.collect::<Vec<_>>()
        });
        assert_eq!(made.into_inner(), 1);
        assert!(kept.iter().all(|one| Arc::ptr_eq(one, &kept[0])));
        // Nobody has it any more: it is asked for again.
        drop(kept);
        let again = AtomicUsize::new(0);
        let count = || {
            again.fetch_add(1, Ordering::Relaxed);
            artifact()
        };
        assert!(known.get(NAME, Instant::now, count).is_ok());
        assert_eq!(again.into_inner(), 1);
    }

    #[test]
    fn a_failure_is_remembered_for_as_long_as_it_is_certain() {
        let known = Known::new(Duration::from_secs(60));
        let start = Instant::now();
        let at = |seconds| move || start + Duration::from_secs(seconds);
        let never = || -> Result<Artifact, Error> { panic!("it was tried again") };
        let refused = || Err(Error::Refused("no module".to_owned()));
        assert!(known.get(NAME, at(0), refused).is_err());
        let error = known.get(NAME, at(1_000_000), never).unwrap_err();
        assert!(matches!(*error, Error::Refused(_)));

        let large = [3; 32];
        let too_large = || Err(Error::TooLarge(ALLOCATED));
        assert!(known.get(large, at(0), too_large).is_err());
        assert!(known.get(large, at(1_000_000), never).is_err());

        let other = [2; 32];
        let failed = || Err(Error::TooLarge("cpu"));
        assert!(known.get(other, at(0), failed).is_err());
        assert!(known.get(other, at(59), never).is_err());
        assert!(known.get(other, at(60), artifact).is_ok());
    }

    #[test]
    fn who_does_not_finish_leaves_it_to_the_next() {
        let known = Known::new(Duration::ZERO);
        let give_up = std::panic::AssertUnwindSafe(|| {
            let _ = known.get(NAME, Instant::now, || panic!("as it was told"));
        });
        assert!(std::panic::catch_unwind(give_up).is_err());
        assert!(known.get(NAME, Instant::now, artifact).is_ok());
    }

    #[test]
    fn what_is_known_is_bounded() {
        let known = Known::new(Duration::ZERO);
        for number in 0..u64::try_from(MOST).unwrap() + 10 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            let refused = || Err(Error::Refused(String::new()));
            assert!(known.get(name, Instant::now, refused).is_err());
        }
        assert!(known.all().len() <= MOST);
    }
}
