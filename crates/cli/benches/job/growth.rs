//! What a job costs beside a gigabyte of other artifacts: on disk, and held by the host.

use std::error::Error;

use portcullis_host::{Artifact, Cache};
use portcullis_wasm::carried;

use crate::bars::{Aim, Bar};
use crate::pools::{Bench, pool, preparation};
use crate::{Times, least_and_middle, micro, ratio};

/// Holding all of them takes seconds.
pub(crate) const MOST_TURNS: usize = 5;
/// Other artifacts, and what each of their modules has as data.
const OTHERS: usize = 256;
const DATA: usize = 4 << 20;
const GIGABYTE: u64 = 1 << 30;
/// Jobs of a turn.
const JOBS: usize = 50;

pub(crate) fn table(bench: &Bench, turns: usize) -> Result<Vec<Bar>, Box<dyn Error>> {
    let cache = |name: &str| Cache::open(&bench.place.join(name), 4 * GIGABYTE);
    let (small, large) = (cache("small")?, cache("large")?);
    let modules: Vec<Vec<u8>> = (0..OTHERS).map(module).collect::<Result<_, _>>()?;
    let image = carried::prepare();
    let held = || -> Result<Vec<Artifact>, Box<dyn Error>> {
        let each = modules
            .iter()
            .map(|module| large.artifact(&image, &preparation(module), &[]));
        Ok(each
            .map(|one| one.map(|(artifact, _)| artifact))
            .collect::<Result<_, _>>()?)
    };
    let total: u64 = held()?.iter().map(|artifact| artifact.length()).sum();
    if total < GIGABYTE {
        return Err(format!("the artifacts have {total} bytes together").into());
    }
    let pool = pool()?;
    let mut rows = [
        "artifact at hand, nothing else",
        "artifact at hand, 1 GB of others held",
        "read from a cache that has no other",
        "read from a cache of 1 GB",
        "read from a cache of 1 GB, and all others held",
    ]
    .map(|name| (name, Times::new()));
    for _ in 0..turns {
        rows[0].1.extend(bench.one_by_one(&pool, JOBS)?);
        for _ in 0..JOBS {
            rows[2].1.push(bench.looked_up(&pool, &small)?);
            rows[3].1.push(bench.looked_up(&pool, &large)?);
        }
        let all = held()?;
        rows[1].1.extend(bench.one_by_one(&pool, JOBS)?);
        for _ in 0..JOBS {
            rows[4].1.push(bench.looked_up(&pool, &large)?);
        }
        drop(all);
    }
    println!(
        "| one job beside {OTHERS} other artifacts of {} MB | min | median |",
        DATA >> 20
    );
    println!("|---|---|---|");
    let found = rows.each_mut().map(|(name, times)| {
        let (min, median) = least_and_middle(times);
        println!("| {name} | {} | {} |", micro(min), micro(median));
        (min, median)
    });
    println!();
    let bar = |what, with: usize, without: usize| Bar {
        what,
        aim: Aim::Most(1.2),
        best: ratio(found[with].0, found[without].0),
        median: ratio(found[with].1, found[without].1),
    };
    Ok(vec![
        bar(
            "one job beside 1 GB of artifacts held, of one without",
            1,
            0,
        ),
        bar(
            "one job read from a cache of 1 GB, of one that has no other",
            3,
            2,
        ),
    ])
}

/// Much data and little code, so that it is soon prepared.
fn module(number: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let data = format!("{number:08}").repeat(DATA / 8);
    let pages = DATA.div_ceil(64 << 10);
    let text = format!(
        r#"(module (memory (export "memory") {pages}) (data (i32.const 0) "{data}") (func (export "_start")))"#
    );
    Ok(wat::parse_str(text)?)
}
