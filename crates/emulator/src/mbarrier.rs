//! Barriers in shared memory that count arrivals and bytes, in phases.

use crate::block::{Block, Fault, Flow, On};
use crate::site::RawSite;

/// An mbarrier. Its state is kept here, by address; the eight bytes in shared memory stay poison.
pub(crate) struct Mbarrier {
    /// Arrivals a phase takes.
    count: u32,
    /// Arrivals the current phase lacks.
    pending: u32,
    /// Bytes announced less bytes that came.
    bytes: i64,
    parity: u32,
    /// The thread that initialised it, until it fences.
    unfenced: Option<usize>,
    waiting: Vec<usize>,
}

impl Mbarrier {
    /// Arrivals and bytes that the current phase lacks.
    pub(crate) fn lacks(&self) -> (u32, i64) {
        (self.pending, self.bytes)
    }
}

impl Block {
    pub(crate) fn mbarrier_init(&mut self, at: usize, count: u32, site: &RawSite) -> Result<Flow, Fault> {
        if count == 0 || count >= 1 << 20 {
            return Err(self.misuse(site, format!("a phase cannot take {count} arrivals")));
        }
        let unfenced = Some(self.running);
        let fresh = Mbarrier { count, pending: count, bytes: 0, parity: 0, unfenced, waiting: Vec::new() };
        match self.mbarriers.insert(at, fresh) {
            Some(old) if !old.waiting.is_empty() => {
                Err(self.misuse(site, "threads wait for the barrier's old phase"))
            }
            _ => Ok(self.pause()),
        }
    }

    /// The running thread shows the mbarriers that it initialised to asynchronous copies.
    pub(crate) fn fence_mbarriers(&mut self) {
        let running = Some(self.running);
        for mbarrier in self.mbarriers.values_mut().filter(|mbarrier| mbarrier.unfenced == running) {
            mbarrier.unfenced = None;
        }
    }

    /// One arrival, which announces `bytes`.
    pub(crate) fn mbarrier_arrive(&mut self, at: usize, bytes: u32, site: &RawSite) -> Result<Flow, Fault> {
        if self.ordering(site, true) {
            return Ok(Flow::Go);
        }
        let Some(mbarrier) = self.mbarriers.get_mut(&at) else {
            return Err(self.misuse(site, "the mbarrier is not initialised"));
        };
        if mbarrier.pending == 0 {
            return Err(self.misuse(site, "more arrivals than the phase takes"));
        }
        if bytes > 0 && mbarrier.unfenced.is_some() {
            return Err(
                self.misuse(site, "the mbarrier's initialisation was not fenced before a copy uses it")
            );
        }
        mbarrier.pending -= 1;
        mbarrier.bytes += i64::from(bytes);
        self.end_phase(at);
        Ok(self.pause())
    }

    /// `bytes` of an asynchronous copy came in.
    pub(crate) fn mbarrier_complete(&mut self, at: usize, bytes: u32, site: &RawSite) -> Result<Flow, Fault> {
        let Some(mbarrier) = self.mbarriers.get_mut(&at) else {
            return Err(self.misuse(site, "the mbarrier is not initialised"));
        };
        mbarrier.bytes -= i64::from(bytes);
        self.end_phase(at);
        Ok(Flow::Go)
    }

    fn end_phase(&mut self, at: usize) {
        let Some(mbarrier) = self.mbarriers.get_mut(&at) else { return };
        if mbarrier.lacks() == (0, 0) {
            mbarrier.parity ^= 1;
            mbarrier.pending = mbarrier.count;
            for thread in mbarrier.waiting.drain(..) {
                self.schedule.wake(thread / 32, 1 << (thread % 32));
            }
            self.tally.counters.phases += 1;
        }
    }

    /// Whether the phase of `parity` has ended; otherwise the running thread waits for the end of a phase.
    pub(crate) fn mbarrier_test(&mut self, at: usize, parity: u32, site: &RawSite) -> Result<bool, Fault> {
        let running = self.running;
        let Some(mbarrier) = self.mbarriers.get_mut(&at) else {
            return Err(self.misuse(site, "the mbarrier is not initialised"));
        };
        if mbarrier.parity != parity & 1 {
            return Ok(true);
        }
        mbarrier.waiting.push(running);
        self.stand(On::Phase { address: at, parity }, site);
        Ok(false)
    }
}
