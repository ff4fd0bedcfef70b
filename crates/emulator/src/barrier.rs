//! The block's sixteen barriers: `__syncthreads` is barrier 0 among all threads that have not returned.

use crate::Report;
use crate::block::{Block, Fault, Flow, On};
use crate::site::RawSite;

#[derive(Default, Clone)]
struct Barrier {
    arrived: u32,
    /// Threads it takes; 0 for all that have not returned. Of meaning while `arrived` is not 0.
    count: u32,
    /// For each warp, the lanes that wait here, and where the first of them does.
    waiting: Vec<(u32, Option<RawSite>)>,
}

#[derive(Default)]
pub(crate) struct Barriers([Barrier; 16]);

impl Barriers {
    pub(crate) fn reset(&mut self) {
        self.0.iter_mut().for_each(|barrier| {
            barrier.arrived = 0;
            barrier.waiting.clear();
        });
    }

    /// Threads that came to barrier `id`, and threads it takes.
    pub(crate) fn progress(&self, id: u32, alive: u32) -> (u32, u32) {
        let barrier = &self.0[id as usize];
        (barrier.arrived, if barrier.count == 0 { alive } else { barrier.count })
    }
}

impl Block {
    pub(crate) fn bar_sync(&mut self, id: u32, count: u32, site: &RawSite) -> Result<Flow, Fault> {
        if self.ordering(site, true) {
            return Ok(Flow::Go);
        }
        self.count_arrival(id, count, site)?;
        let (w, lane) = self.here();
        let warps = self.warps.len();
        let waiting = &mut self.barriers.0[id as usize].waiting;
        waiting.resize(warps, (0, None));
        let (lanes, first) = &mut waiting[w];
        // bar.sync is aligned: the lanes of a warp execute it together.
        if let Some(first) = first.as_ref().filter(|first| *lanes != 0 && !first.is(site)) {
            let (waiting, first) = (*lanes, first.name());
            let block = self.head.index.into();
            return Err(Report::Divergence {
                block,
                warp: w as u32,
                waiting,
                first,
                lane,
                second: site.name(),
            }
            .into());
        }
        *lanes |= 1 << lane;
        first.get_or_insert(*site);
        if self.complete(id) {
            // This thread was woken with the others, but it need not switch.
            self.schedule.sleep(w, 1 << lane);
            return Ok(self.pause());
        }
        Ok(self.stand(On::Barrier { id }, site))
    }

    pub(crate) fn bar_arrive(&mut self, id: u32, count: u32, site: &RawSite) -> Result<Flow, Fault> {
        if self.ordering(site, true) {
            return Ok(Flow::Go);
        }
        self.count_arrival(id, count, site)?;
        self.complete(id);
        Ok(self.pause())
    }

    fn count_arrival(&mut self, id: u32, count: u32, site: &RawSite) -> Result<(), Fault> {
        if id >= 16 {
            return Err(self.misuse(site, format!("there is no barrier {id}")));
        }
        if !count.is_multiple_of(32) || count as usize > self.lanes.len().next_multiple_of(32) {
            let threads = self.lanes.len();
            return Err(self.misuse(site, format!("barrier {id} cannot take {count} of {threads} threads")));
        }
        let barrier = &mut self.barriers.0[id as usize];
        if barrier.arrived > 0 && barrier.count != count {
            let (was, come) = (barrier.count, barrier.arrived);
            return Err(
                self.misuse(site, format!("barrier {id} takes {was} threads ({come} came), not {count}"))
            );
        }
        barrier.count = count;
        barrier.arrived += 1;
        Ok(())
    }

    /// Opens barrier `id` if all came.
    fn complete(&mut self, id: u32) -> bool {
        let (arrived, expected) = self.barriers.progress(id, self.alive);
        if arrived == 0 || arrived < expected {
            return false;
        }
        let barrier = &mut self.barriers.0[id as usize];
        barrier.arrived = 0;
        for (w, (lanes, first)) in barrier.waiting.iter_mut().enumerate() {
            self.schedule.wake(w, std::mem::take(lanes));
            *first = None;
            self.profile.flush(w);
        }
        self.tally.counters.barriers += 1;
        true
    }

    /// A thread that returned is no longer waited for by `__syncthreads`.
    pub(crate) fn leave_barrier(&mut self) {
        if self.barriers.0[0].count == 0 {
            self.complete(0);
        }
    }
}
