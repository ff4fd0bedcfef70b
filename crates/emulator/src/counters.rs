//! What a launch did, counted.

use crate::Site;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Requests of a memory, and how many units it took to serve them against the fewest possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Instructions of a warp (a matrix of `ldmatrix` counts as one).
    pub requests: u64,
    /// Shared memory: passes over the 32 banks. Global memory: 32-byte sectors.
    pub units: u64,
    /// The units that the same bytes would need at best.
    pub least: u64,
}

impl Traffic {
    /// Units beyond the fewest: bank conflicts, or sectors fetched for a part of their bytes.
    pub fn excess(&self) -> u64 {
        self.units - self.least
    }

    /// Sectors (or passes) a request.
    pub fn per_request(&self) -> f64 {
        self.units as f64 / self.requests.max(1) as f64
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.units += other.units;
        self.least += other.least;
    }
}

/// What all blocks of a launch did. Sums over launches by `+=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Blocks run.
    pub blocks: u64,
    /// Barriers of a block completed (`__syncthreads` and named ones).
    pub barriers: u64,
    /// Warp collectives completed: shuffles, votes, `ldmatrix`, `mma`, `wgmma` and its fences.
    pub collectives: u64,
    /// Phases of mbarriers completed.
    pub phases: u64,
    /// Bytes brought into shared memory by asynchronous copies.
    pub copied_bytes: u64,
    /// Shared memory through typed pointers and `ldmatrix`; zero unless profiled.
    pub shared: Traffic,
    /// Global memory through typed pointers and `cp.async`; zero unless profiled.
    pub global: Traffic,
    /// How often each barrier, arrival and wait was executed, by a thread each: what can be removed.
    pub sites: BTreeMap<Site, u64>,
    /// Ordering instructions whose absence the emulator cannot notice.
    pub unmodelled: BTreeMap<Site, u64>,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.barriers += other.barriers;
        self.collectives += other.collectives;
        self.phases += other.phases;
        self.copied_bytes += other.copied_bytes;
        self.shared += other.shared;
        self.global += other.global;
        for (site, count) in other.sites {
            *self.sites.entry(site).or_default() += count;
        }
        for (site, count) in other.unmodelled {
            *self.unmodelled.entry(site).or_default() += count;
        }
    }
}
