//! Bank conflicts and coalescing: accesses of single threads, put together to requests of warps.

use crate::abi::SHARED;
use crate::counters::Traffic;
use crate::site::RawSite;
use std::collections::{BTreeMap, HashMap};

/// Bytes of a sector of global memory.
const SECTOR: usize = 32;
/// Banks of shared memory, each 4 bytes wide.
const BANKS: usize = 32;

struct Access {
    site: (usize, usize, i32),
    lane: u32,
    space: u32,
    address: usize,
    bytes: u32,
}

/// What the lanes of each warp accessed since the warp last came together.
#[derive(Default)]
pub(crate) struct Profile {
    warps: Vec<Vec<Access>>,
    pub(crate) shared: Traffic,
    pub(crate) global: Traffic,
}

impl Profile {
    pub(crate) fn reset(&mut self, warps: usize) {
        self.warps.clear();
        self.warps.resize_with(warps, Vec::new);
        (self.shared, self.global) = Default::default();
    }

    pub(crate) fn note(
        &mut self,
        warp: usize,
        lane: u32,
        space: u32,
        address: usize,
        bytes: u32,
        site: &RawSite,
    ) {
        self.warps[warp].push(Access { site: site.key(), lane, space, address, bytes });
    }

    /// Ends a stretch in which the warp's lanes ran apart: the n-th accesses of its lanes at one site were one request.
    pub(crate) fn flush(&mut self, warp: usize) {
        if self.warps[warp].is_empty() {
            return;
        }
        let mut turns: HashMap<_, u32> = HashMap::new();
        let mut requests: BTreeMap<_, Vec<(u32, usize)>> = BTreeMap::new();
        for Access { site, lane, space, address, bytes } in std::mem::take(&mut self.warps[warp]) {
            let turn = turns.entry((site, space, lane)).or_default();
            requests.entry((site, *turn, space, bytes)).or_default().push((lane, address));
            *turn += 1;
        }
        for ((_, _, space, bytes), lanes) in requests {
            self.count(space, lanes.into_iter(), bytes);
        }
    }

    /// Counts one request: each lane's address, `bytes` each.
    pub(crate) fn count(&mut self, space: u32, lanes: impl Iterator<Item = (u32, usize)>, bytes: u32) {
        let bytes = bytes as usize;
        if space == SHARED {
            self.shared += shared(lanes, bytes);
        } else {
            self.global += global(lanes.map(|(_, address)| address), bytes);
        }
    }
}

/// Shared memory serves 128 bytes a pass: wide accesses go in groups of neighbouring lanes, and within a group each
/// bank gives one word a pass, to any number of lanes.
fn shared(lanes: impl Iterator<Item = (u32, usize)>, bytes: usize) -> Traffic {
    let group_lanes = (128 / bytes.max(4)).max(1) as u32;
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (lane, address) in lanes {
        let words = groups.entry(lane / group_lanes).or_default();
        words.extend(address / 4..(address + bytes).div_ceil(4));
    }
    let mut traffic = Traffic { requests: 1, ..Traffic::default() };
    for words in groups.values_mut() {
        words.sort_unstable();
        words.dedup();
        let mut banks = [0u64; BANKS];
        words.iter().for_each(|word| banks[word % BANKS] += 1);
        traffic.units += banks.iter().max().copied().unwrap_or(0);
        traffic.least += words.len().div_ceil(BANKS) as u64;
    }
    traffic
}

fn global(addresses: impl Iterator<Item = usize>, bytes: usize) -> Traffic {
    let mut starts: Vec<usize> = addresses.collect();
    starts.sort_unstable();
    starts.dedup();
    let mut sectors: Vec<usize> =
        starts.iter().flat_map(|&start| start / SECTOR..(start + bytes).div_ceil(SECTOR)).collect();
    sectors.dedup();
    let mut covered = 0;
    let mut end = 0;
    for start in starts {
        covered += (start + bytes).saturating_sub(start.max(end));
        end = end.max(start + bytes);
    }
    Traffic { requests: 1, units: sectors.len() as u64, least: covered.div_ceil(SECTOR) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(address: impl Fn(usize) -> usize) -> impl Iterator<Item = (u32, usize)> {
        (0..32u32).map(move |lane| (lane, address(lane as usize)))
    }

    #[test]
    fn banks() {
        let units = |address: fn(usize) -> usize, bytes| shared(lanes(address), bytes).units;
        assert_eq!(units(|l| 4 * l, 4), 1, "neighbouring words");
        assert_eq!(units(|_| 64, 4), 1, "one word for all");
        assert_eq!(units(|l| 8 * l, 4), 2, "every other word");
        assert_eq!(units(|l| 128 * l, 4), 32, "a column");
        assert_eq!(units(|l| 132 * l, 4), 1, "a column of padded rows");
        assert_eq!(units(|l| 2 * l, 2), 1, "half words");
        assert_eq!(units(|l| 16 * l, 16), 4, "vectors: four passes are the least");
        assert_eq!(shared(lanes(|l| 16 * l), 16).excess(), 0);
        assert_eq!(
            shared(lanes(|l| 64 * l), 16).excess(),
            12,
            "eight lanes a group, on two banks' worth of vectors"
        );
    }

    #[test]
    fn sectors() {
        let units = |address: fn(usize) -> usize, bytes| global(lanes(address).map(|(_, a)| a), bytes).units;
        assert_eq!(units(|l| 4096 + 4 * l, 4), 4);
        assert_eq!(units(|l| 4100 + 4 * l, 4), 5, "off by a word");
        assert_eq!(units(|l| 4096 + 64 * l, 4), 32, "scattered");
        assert_eq!(units(|l| 4096 + 16 * l, 16), 16);
        let scattered = global(lanes(|l| 4096 + 64 * l).map(|(_, a)| a), 4);
        assert_eq!((scattered.least, scattered.excess()), (4, 28));
    }
}
