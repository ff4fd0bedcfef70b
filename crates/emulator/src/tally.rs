//! Counters while they are counted: sites by address, named once a launch.

use crate::Counters;
use crate::site::RawSite;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) counters: Counters,
    /// Few enough that a scan beats a map.
    sites: Vec<(RawSite, bool, u64)>,
}

impl Tally {
    /// Counts an ordering instruction.
    pub(crate) fn site(&mut self, site: &RawSite, modelled: bool) {
        self.add(site, modelled, 1);
    }

    fn add(&mut self, site: &RawSite, modelled: bool, count: u64) {
        match self.sites.iter_mut().find(|(known, ..)| known.key() == site.key()) {
            Some((_, _, n)) => *n += count,
            None => self.sites.push((*site, modelled, count)),
        }
    }

    pub(crate) fn merge(mut self, other: Tally) -> Tally {
        self.counters += other.counters;
        for (site, modelled, count) in other.sites {
            self.add(&site, modelled, count);
        }
        self
    }

    pub(crate) fn finish(self) -> Counters {
        let mut counters = self.counters;
        for (site, modelled, count) in self.sites {
            let map = if modelled { &mut counters.sites } else { &mut counters.unmodelled };
            *map.entry(site.name()).or_default() += count;
        }
        counters
    }
}
