//! Where a scan's time and its imprecision come from: for whoever makes the analysis better.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_abi::{Location, Sysno};

use super::witness::Witness;
use super::{MOST_NUMBERS, location};
use crate::graph::CallGraph;
use crate::image::{Addr, Image};
use crate::solve::{Entered, InstanceId, SiteCall, Solution};

/// Entries of each list.
const MOST: usize = 12;

/// What a scan spent, and on what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// To find, read and link the files.
    pub linking: Duration,
    /// To solve the program.
    pub solving: Duration,
    /// How often it was solved, each time with more told apart.
    pub rounds: usize,
    /// Functions that were summarised, and their blocks.
    pub functions: usize,
    /// Basic blocks of all of them.
    pub blocks: usize,
    /// Functions under the contexts that were told apart.
    pub instances: usize,
    /// Functions with most contexts, and how many.
    pub contexts: Vec<(Location, usize)>,
    /// Calls whose target is not known: each can enter any function whose address is taken.
    pub open: usize,
    /// Functions whose address is taken.
    pub taken: usize,
    /// Calls whose targets are known that can enter most functions, and how many.
    pub wide: Vec<(Location, usize)>,
    /// Calls of the set that are reached only through a function whose address is taken.
    pub indirect: usize,
    /// What takes such addresses, by how many functions of the program run only for that.
    pub holders: Vec<Holder>,
}

/// A data object, or a place in code, that hands out addresses of functions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Where it begins.
    pub at: Location,
    /// Functions that it hands out first.
    pub hands_out: usize,
    /// Functions that are reached through these first, themselves included.
    pub reaches: usize,
    /// Calls that are reached through these first.
    pub calls: Vec<Sysno>,
}

/// What one holder hands out, while it is counted.
#[derive(Default)]
struct Counted {
    handed: BTreeSet<u64>,
    reached: BTreeSet<u64>,
    calls: BTreeSet<Sysno>,
}

/// Looks at a solution, of which `calls` are the calls of the set; it took so long to link and solve.
pub(crate) fn stats(
    image: &Image,
    solution: &Solution,
    calls: impl Iterator<Item = Sysno>,
    [linking, solving]: [Duration; 2],
) -> Stats {
    let looked = Looked {
        image,
        solution,
        witness: Witness::new(image, &CallGraph::new(image, solution)),
    };
    let mut contexts: BTreeMap<u64, usize> = BTreeMap::new();
    let mut callees: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let mut holders: BTreeMap<u64, Counted> = BTreeMap::new();
    for id in looked.instances() {
        *contexts.entry(looked.entry(id)).or_default() += 1;
        if let Some((root, holder)) = looked.holder(id) {
            let counted = holders.entry(holder).or_default();
            counted.handed.insert(root);
            counted.reached.insert(looked.entry(id));
        }
    }
    for &(id, entered) in &solution.entries {
        if let Entered::From(_, at) = entered {
            callees.entry(at).or_default().insert(looked.entry(id));
        }
    }
    let mut indirect = 0;
    for number in calls {
        if let Some((_, holder)) = looked.maker(number).and_then(|id| looked.holder(id)) {
            indirect += 1;
            holders.entry(holder).or_default().calls.insert(number);
        }
    }
    let callees = callees.into_iter().map(|(at, all)| (at, all.len()));
    Stats {
        linking,
        solving,
        rounds: solution.rounds,
        functions: solution.functions.len(),
        blocks: solution
            .functions
            .iter()
            .map(|f| f.summary.blocks.len())
            .sum(),
        instances: solution.instances.len(),
        contexts: looked.largest(contexts),
        open: solution.open.len(),
        taken: solution.taken.len(),
        wide: looked.largest(callees),
        indirect,
        holders: looked.told(holders),
    }
}

struct Looked<'a> {
    image: &'a Image,
    solution: &'a Solution,
    witness: Witness<'a>,
}

impl Looked<'_> {
    fn instances(&self) -> impl Iterator<Item = InstanceId> {
        (0..self.solution.instances.len() as u32).map(InstanceId)
    }

    /// Where the function of an instance begins.
    fn entry(&self, id: InstanceId) -> u64 {
        let function = self.solution.instances[id.0 as usize].function;
        self.solution.functions[function.0 as usize].summary.entry
    }

    /// Of an instance that is reached only because an address is taken: the function there, and who
    /// hands the address out.
    fn holder(&self, id: InstanceId) -> Option<(u64, u64)> {
        let root = self.entry(self.witness.taken_root(id)?);
        let by = self.solution.taken.get(&root);
        Some((root, by.map_or(root, |&by| begin(self.image, by))))
    }

    /// The instance that is nearest to make a call.
    fn maker(&self, number: Sysno) -> Option<InstanceId> {
        let makes = |site: &SiteCall| {
            let all = site.number.values(MOST_NUMBERS);
            all.is_some_and(|all| all.contains(&u64::from(number.0)))
        };
        let makes = |id: &InstanceId| {
            let sites = &self.solution.instances[id.0 as usize].sites;
            self.witness.reached(*id) && sites.values().any(makes)
        };
        let making = self.instances().filter(makes);
        making.min_by_key(|id| self.witness.rank(*id))
    }

    fn largest(&self, counted: impl IntoIterator<Item = (u64, usize)>) -> Vec<(Location, usize)> {
        let several = counted.into_iter().filter(|(_, count)| *count > 1);
        let mut all: Vec<(u64, usize)> = several.collect();
        all.sort_by_key(|&(at, count)| (Reverse(count), at));
        let most = all.into_iter().take(MOST);
        most.map(|(at, count)| (location(self.image, at), count))
            .collect()
    }

    fn told(&self, counted: BTreeMap<u64, Counted>) -> Vec<Holder> {
        let holder = |(at, counted): (u64, Counted)| Holder {
            at: location(self.image, at),
            hands_out: counted.handed.len(),
            reaches: counted.reached.len(),
            calls: counted.calls.into_iter().collect(),
        };
        let mut all: Vec<Holder> = counted.into_iter().map(holder).collect();
        all.sort_by_key(|h| (Reverse(h.calls.len()), Reverse(h.reaches)));
        all.truncate(MOST);
        all
    }
}

/// Where the object begins that `at` is in: by its symbol, else by what refers to constant data;
/// else its section. A place in code is in a function.
fn begin(image: &Image, at: u64) -> u64 {
    if image.is_code(Addr(at)) {
        return image.function_around(Addr(at)).map_or(at, |start| start.0);
    }
    let symbol = image.data_extent(Addr(at)).map(|range| range.start);
    let constants = || image.constants_around(Addr(at)).map(|range| range.start);
    let section = || image.region(Addr(at)).map(|region| region.range.start);
    symbol.or_else(constants).or_else(section).unwrap_or(at)
}
