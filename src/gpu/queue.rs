//! Launches that wait to be submitted together, and graphs of those that come again.
//!
//! A step of a chain is submitted anew for every thought: the same kernels on the same memory, since what differs stands in
//! tables of fixed addresses. Such a list costs the host one launch of a graph in place of one for each kernel.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{Graphs, Kernel, Launch};
use crate::Result;

/// Lists of fewer launches are not worth a graph.
const SHORTEST: usize = 3;

/// A list of so many launches is submitted, so that the device does not wait for the host.
const LONGEST: usize = 256;

/// Graphs that are kept.
const GRAPHS: usize = 64;

/// Lists that are remembered, of which one that comes again becomes a graph.
const SEEN: usize = 1024;

/// What runs launches, in the order in which it gets them.
pub(crate) trait Submit {
    /// A list of launches that can be submitted again at once.
    type Graph;

    /// Submits one launch.
    fn submit(&mut self, launch: &Launch<'_>) -> Result<()>;

    /// Makes a graph of a list, and submits nothing, also where there is no graph of it.
    fn capture(&mut self, list: &List) -> Result<Self::Graph>;

    /// Submits the launches of a graph.
    fn replay(&mut self, graph: &Self::Graph) -> Result<()>;
}

/// Launches that follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct List {
    launches: Vec<Waiting>,
    /// The parameters of all of them.
    params: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Waiting {
    kernel: Kernel,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    /// Where its parameters begin and end.
    params: [usize; 2],
}

impl List {
    fn push(&mut self, launch: &Launch<'_>) {
        let Launch { kernel, params, grid, block, shared } = *launch;
        let start = self.params.len();
        self.params.extend_from_slice(params);
        self.launches.push(Waiting { kernel, grid, block, shared, params: [start, self.params.len()] });
    }

    fn clear(&mut self) {
        self.launches.clear();
        self.params.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Launch<'_>> {
        self.launches.iter().map(|&Waiting { kernel, grid, block, shared, params: [start, end] }| Launch {
            kernel,
            params: &self.params[start..end],
            grid,
            block,
            shared,
        })
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// A list that was submitted one by one, known by its fingerprint. Two lists of one fingerprint do no harm: the other one
/// becomes a graph at first sight, or none.
struct Seen {
    fingerprint: u64,
    /// Whether no graph could be made of it.
    refused: bool,
}

/// Launches in the order of their coming, submitted when asked to.
pub(crate) struct Queue<G> {
    waiting: List,
    /// The latest at the end.
    seen: VecDeque<Seen>,
    /// The latest used at the end.
    graphs: VecDeque<(u64, List, G)>,
    report: Graphs,
    /// Lists that were submitted.
    flushes: u64,
}

impl<G> Default for Queue<G> {
    fn default() -> Self {
        Self {
            waiting: List::default(),
            seen: VecDeque::new(),
            graphs: VecDeque::new(),
            report: Graphs::default(),
            flushes: 0,
        }
    }
}

impl<G> fmt::Debug for Queue<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.waiting)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<G> Queue<G> {
    /// Adds a launch, which is submitted at the next flush at the latest.
    pub(crate) fn push<S: Submit<Graph = G>>(&mut self, launch: &Launch<'_>, to: &mut S) -> Result<()> {
        self.waiting.push(launch);
        if self.waiting.launches.len() == LONGEST { self.flush(to) } else { Ok(()) }
    }

    /// Submits what waits. After an error nothing waits any longer.
    pub(crate) fn flush<S: Submit<Graph = G>>(&mut self, to: &mut S) -> Result<()> {
        if self.waiting.launches.is_empty() {
            return Ok(());
        }
        let submitted = self.submit(to);
        self.waiting.clear();
        self.flushes += 1;
        submitted
    }

    /// Lists submitted so far.
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes
    }

    /// What became of graphs so far.
    pub(crate) fn report(&self) -> Graphs {
        self.report.clone()
    }

    fn submit<S: Submit<Graph = G>>(&mut self, to: &mut S) -> Result<()> {
        if self.waiting.launches.len() < SHORTEST {
            return self.one_by_one(to);
        }
        let fingerprint = self.waiting.fingerprint();
        let again = |(of, list, _): &(u64, List, G)| *of == fingerprint && *list == self.waiting;
        if let Some(kept) = self.graphs.iter().position(again).and_then(|at| self.graphs.remove(at)) {
            let replayed = to.replay(&kept.2);
            self.graphs.push_back(kept);
            self.report.replayed += 1;
            return replayed;
        }
        let Some(seen) = self.seen.iter_mut().find(|seen| seen.fingerprint == fingerprint) else {
            if self.seen.len() == SEEN {
                self.seen.pop_front();
            }
            self.seen.push_back(Seen { fingerprint, refused: false });
            return self.one_by_one(to);
        };
        if seen.refused {
            return self.one_by_one(to);
        }
        match to.capture(&self.waiting) {
            Ok(graph) => {
                if self.graphs.len() == GRAPHS {
                    self.graphs.pop_front();
                }
                let replayed = to.replay(&graph);
                self.graphs.push_back((fingerprint, self.waiting.clone(), graph));
                self.report.captured += 1;
                self.report.replayed += 1;
                replayed
            }
            Err(failure) => {
                // This list is not tried again while it is remembered; others are.
                seen.refused = true;
                self.report.failure = Some(failure);
                self.one_by_one(to)
            }
        }
    }

    fn one_by_one<S: Submit<Graph = G>>(&self, to: &mut S) -> Result<()> {
        self.waiting.iter().try_for_each(|launch| to.submit(&launch))
    }
}

#[cfg(test)]
#[path = "queue/tests.rs"]
mod tests;
