//! The machine's clock is set while jobs run: no limit, no deadline and no measure follows it.
//!
//! Root sets it, and only in the machines of `cargo xtask kernels`, whose clock is nobody else's.

use std::time::{Duration, Instant};

use portcullis_host::{Done, Limit, Outcome, Pool, Reply, Request};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::exec::Programs;
use crate::puppet::{ENDLESS, Puppets};

/// Says that this machine's clock may be set.
const OURS: &str = "PORTCULLIS_CLOCK_IS_OURS";
/// More than [`ENDLESS`].
const HOUR: i64 = 3600;
const WALL: Duration = Duration::from_secs(1);

fn jump(seconds: i64) {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
    let there = Timespec {
        tv_sec: tv_sec + seconds,
        tv_nsec,
    };
    clock_settime(ClockId::Realtime, there).unwrap();
}

/// What a job comes to when the clock jumps after its first word.
fn done(pool: &Pool, mut request: Request, seconds: i64) -> Done {
    request.streams = true;
    let mut pending = pool.submit(request).unwrap();
    pending.output().unwrap().recv().unwrap();
    jump(seconds);
    match pending.wait().reply {
        Reply::Done(done) => done,
        other => panic!("{seconds}: {other:?}"),
    }
}

/// `flood` says more than it may, and has time for it; `spin` ends when its time is over.
fn ends(pool: &Pool, flood: &Request, spin: &Request) {
    let hour = Duration::from_secs(HOUR.unsigned_abs());
    // As often forth as back.
    for seconds in [HOUR, -HOUR] {
        let mut flood = flood.clone();
        flood.deadline = Some(Instant::now() + ENDLESS);
        let flood = done(pool, flood, seconds);
        assert_eq!(flood.outcome, Outcome::Limit(Limit::Output), "{seconds}");
        let mut spin = spin.clone();
        spin.job.limits.wall = WALL;
        let spin = done(pool, spin, -seconds);
        assert_eq!(spin.outcome, Outcome::Limit(Limit::Wall), "{seconds}");
        for measured in [flood.wall_ns, flood.cpu_ns, spin.wall_ns, spin.cpu_ns] {
            assert!(Duration::from_nanos(measured) < hour, "{measured}");
        }
        assert!(Duration::from_nanos(spin.wall_ns) >= WALL, "{spin:?}");
    }
}

#[test]
#[ignore = "sets the clock of its machine"]
fn a_clock_that_is_set_ends_no_job_and_keeps_none() {
    assert!(
        std::env::var_os(OURS).is_some(),
        "this test sets the clock of the machine: cargo xtask kernels has machines for it"
    );
    let puppets = Puppets::start();
    let mut flood = puppets.endless("flood");
    flood.job.limits.output = 16 << 20;
    ends(&puppets.pool, &flood, &puppets.endless("speak-and-spin"));
    drop(puppets);
    let programs = Programs::new();
    let [flood, spin] = ["flood", "speak-and-spin"].map(|what| {
        let mut request = programs.request(&[what]);
        request.job.limits.cpu = ENDLESS;
        request.job.limits.wall = ENDLESS;
        request
    });
    ends(&programs.pool, &flood, &spin);
}
