//! Warp collectives and warpgroup products.

use crate::block::{Block, Fault, Flow, On};
use crate::queue::Queue;
use crate::schedule::lanes;
use crate::site::RawSite;
use crate::{Place, Report};
use std::ffi::c_void;

/// A collective that some of its lanes have reached.
struct Pending {
    mask: u32,
    arrived: u32,
    site: RawSite,
    operands: [*mut c_void; 32],
}

/// What a warp's lanes share.
pub(crate) struct Warp {
    /// Lanes that have not returned.
    alive: u32,
    pending: Vec<Pending>,
    /// wgmma under way.
    pub(crate) products: Queue,
    /// Whether a wgmma.fence stands since the last wait.
    fenced: bool,
    /// wgmma issued, and the last one's place.
    issued: u64,
    last: Option<RawSite>,
}

impl Warp {
    /// The warp of a block in which `threads` threads are left for it and those after it.
    pub(crate) fn new(threads: usize) -> Self {
        Warp {
            alive: lanes(threads),
            pending: Vec::new(),
            products: Queue::default(),
            fenced: false,
            issued: 0,
            last: None,
        }
    }

    /// Whether a lane has not returned.
    pub(crate) fn has(&self, lane: u32) -> bool {
        self.alive >> lane & 1 == 1
    }

    /// The lanes that came to the collective of `mask`.
    pub(crate) fn arrived(&self, mask: u32) -> u32 {
        self.pending.iter().find(|pending| pending.mask == mask).map_or(0, |pending| pending.arrived)
    }
}

impl Block {
    /// The running lane posts its operand; the last lane gets everyone's, valid until `release`.
    pub(crate) fn collective(
        &mut self,
        mask: u32,
        site: &RawSite,
        operand: *mut c_void,
    ) -> Result<Option<*const *mut c_void>, Fault> {
        let (w, lane) = self.here();
        if mask >> lane & 1 == 0 {
            return Err(Report::Mask { place: self.place(site), mask }.into());
        }
        let warp = &mut self.warps[w];
        if mask & !warp.alive != 0 {
            let lanes = mask & !warp.alive;
            return Err(Report::ReturnedLane { place: self.place(site), lanes }.into());
        }
        let at = match warp.pending.iter().position(|pending| pending.mask == mask) {
            Some(at) => at,
            None => {
                let operands = [std::ptr::null_mut(); 32];
                warp.pending.push(Pending { mask, arrived: 0, site: *site, operands });
                warp.pending.len() - 1
            }
        };
        let pending = &mut warp.pending[at];
        if !pending.site.is(site) {
            return Err(Report::Divergence {
                block: self.head.index.into(),
                warp: w as u32,
                waiting: pending.arrived,
                first: pending.site.name(),
                lane,
                second: site.name(),
            }
            .into());
        }
        pending.arrived |= 1 << lane;
        pending.operands[lane as usize] = operand;
        if pending.arrived != mask {
            self.stand(On::Lanes { mask }, site);
            return Ok(None);
        }
        Ok(Some(pending.operands.as_ptr()))
    }

    /// After a collective: the other lanes of `mask` can go on.
    pub(crate) fn release(&mut self, mask: u32) -> Flow {
        let (warp, lane) = self.here();
        self.warps[warp].pending.retain(|pending| pending.mask != mask);
        self.schedule.wake(warp, mask & !(1 << lane));
        self.tally.counters.collectives += 1;
        if mask == self.warps[warp].alive {
            self.profile.flush(warp);
        }
        self.pause()
    }

    /// The running lane returns, unless its warp needs it.
    pub(crate) fn leave_warp(&mut self) -> Result<(), Fault> {
        let (w, lane) = self.here();
        let block = self.head.index.into();
        let warp = &mut self.warps[w];
        warp.alive &= !(1 << lane);
        if let Some(pending) = warp.pending.iter().find(|pending| pending.mask >> lane & 1 == 1) {
            let waiting = w * 32 + pending.arrived.trailing_zeros() as usize;
            let thread = self.lanes[waiting].thread.index.into();
            let place = Place { block, thread, site: pending.site.name() };
            return Err(Report::ReturnedLane { place, lanes: 1 << lane }.into());
        }
        if let Some(site) = warp.products.oldest() {
            return Err(Report::Unfinished { block, site: site.name() }.into());
        }
        Ok(())
    }

    /// wgmma.fence by the running warp.
    pub(crate) fn matrix_fence(&mut self, site: &RawSite) {
        if !self.ordering(site, true) {
            self.warps[self.running / 32].fenced = true;
        }
    }

    /// After wgmma.wait_group the accumulators may be touched, so the next product needs a fence again.
    pub(crate) fn matrix_waited(&mut self) {
        self.warps[self.running / 32].fenced = false;
    }

    /// The running warp issues its part of a wgmma.
    pub(crate) fn matrix_issue(&mut self, site: &RawSite) -> Result<Flow, Fault> {
        let warp = &mut self.warps[self.running / 32];
        warp.issued += 1;
        warp.last = Some(*site);
        if !warp.fenced {
            return Err(self.misuse(site, "no wgmma.fence since the start or the last wait"));
        }
        Ok(Flow::Go)
    }

    /// Holds the four warps of each warpgroup to the same number of products.
    pub(crate) fn whole_groups(&mut self) -> Result<(), Fault> {
        for (first, group) in self.warps.chunks(4).enumerate().map(|(g, group)| (g * 4, group)) {
            let most = group.iter().map(|warp| warp.issued).max().unwrap_or(0);
            let short = (0..4).find(|&w| group.get(w).map_or(0, |warp| warp.issued) != most);
            let site = group.iter().find(|warp| warp.issued == most).and_then(|warp| warp.last);
            if let (Some(short), Some(site)) = (short, site) {
                let why =
                    format!("warp {} of the warpgroup did not issue all {most} products", first + short);
                self.running = first * 32;
                return Err(self.misuse(&site, why));
            }
        }
        Ok(())
    }
}
