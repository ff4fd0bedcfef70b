//! The state of one block, and how its threads' instructions change it.

use crate::abi::{Head, Thread};
use crate::barrier::Barriers;
use crate::mbarrier::Mbarrier;
use crate::profile::Profile;
use crate::queue::{Kind, Queue};
use crate::schedule::Schedule;
use crate::site::RawSite;
use crate::tally::Tally;
use crate::warp::Warp;
use crate::{Copies, Place, Report, Site, Wait, Waiting};
use corosensei::Yielder;
use std::collections::HashMap;

/// What a fiber does after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Goes on.
    Go,
    /// Lets others run; it is ready when something wakes it, which may have happened already.
    Switch,
}

/// A report on its way out; boxed, since every instruction returns the chance of one.
pub(crate) type Fault = Box<Report>;

/// What a thread stands still for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum On {
    Lanes { mask: u32 },
    Barrier { id: u32 },
    Phase { address: usize, parity: u32 },
}

pub(crate) struct Lane {
    pub(crate) thread: Thread,
    yielder: *const Yielder<(), ()>,
    /// What it stands still for if it is neither ready nor gone, and where: a site on the fiber's own stack.
    waits: (On, *const RawSite),
}

/// A block while it runs. Kernels see its head; the rest is the emulator's.
#[repr(C)]
pub(crate) struct Block {
    pub(crate) head: Head,
    pub(crate) lanes: Vec<Lane>,
    /// cp.async under way, by thread; apart from the lanes, which every switch touches.
    copying: Vec<Queue>,
    pub(crate) warps: Vec<Warp>,
    pub(crate) barriers: Barriers,
    pub(crate) mbarriers: HashMap<usize, Mbarrier>,
    pub(crate) schedule: Schedule,
    pub(crate) profile: Profile,
    pub(crate) tally: Tally,
    pub(crate) copies: Copies,
    /// Threads that have not returned.
    pub(crate) alive: u32,
    /// The thread whose fiber runs, or ran last.
    pub(crate) running: usize,
    bulk: Queue,
    skip: Option<Site>,
    steps: u64,
    step_limit: u64,
    failed: Option<Fault>,
}

impl Block {
    pub(crate) fn new(head: Head) -> Self {
        Block {
            head,
            lanes: Vec::new(),
            copying: Vec::new(),
            warps: Vec::new(),
            barriers: Barriers::default(),
            mbarriers: HashMap::new(),
            schedule: Schedule::new(0, 0, 0),
            profile: Profile::default(),
            tally: Tally::default(),
            copies: Copies::Lazy,
            alive: 0,
            running: 0,
            bulk: Queue::default(),
            skip: None,
            steps: 0,
            step_limit: 0,
            failed: None,
        }
    }

    /// Makes ready the state of the block at `index` of the head's grid; `number` is its place among the blocks.
    pub(crate) fn reset(&mut self, index: [u32; 3], number: u64, options: &crate::Options) {
        let [x, y, z] = <[u32; 3]>::from(self.head.block);
        let threads = (x * y * z) as usize;
        self.head.index = index.into();
        self.lanes.clear();
        self.lanes.extend((0..threads as u32).map(|t| Lane {
            thread: Thread { index: [t % x, t / x % y, t / x / y].into(), lane: t % 32, warp: t / 32 },
            yielder: std::ptr::null(),
            waits: (On::Lanes { mask: 0 }, std::ptr::null()),
        }));
        self.copying.iter_mut().for_each(Queue::clear);
        self.copying.resize_with(threads, Queue::default);
        self.warps.clear();
        self.warps.extend((0..threads).step_by(32).map(|first| Warp::new(threads - first)));
        self.barriers.reset();
        self.mbarriers.clear();
        self.schedule = Schedule::new(threads, options.seed, number);
        self.profile.reset(self.warps.len());
        self.tally = Tally::default();
        self.copies = options.copies;
        self.alive = threads as u32;
        self.running = 0;
        self.bulk.clear();
        self.skip.clone_from(&options.skip);
        self.steps = 0;
        self.step_limit = options.step_limit;
        self.failed = None;
    }

    /// The next fiber to resume, marked as running.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let thread = self.schedule.next(self.running)?;
        self.running = thread;
        self.head.current = &raw mut self.lanes[thread].thread;
        Some(thread)
    }

    /// The running thread's fiber begins.
    pub(crate) fn enter(&mut self, yielder: *const Yielder<(), ()>) {
        self.lanes[self.running].yielder = yielder;
    }

    pub(crate) fn running_yielder(&self) -> *const Yielder<(), ()> {
        self.lanes[self.running].yielder
    }

    /// The running thread's warp and lane.
    pub(crate) fn here(&self) -> (usize, u32) {
        (self.running / 32, self.running as u32 % 32)
    }

    /// Marks the running thread as waiting.
    pub(crate) fn stand(&mut self, on: On, site: &RawSite) -> Flow {
        self.lanes[self.running].waits = (on, site);
        Flow::Switch
    }

    /// Goes on, or where the schedule interrupts, lets others run first.
    pub(crate) fn pause(&mut self) -> Flow {
        if self.head.current.is_null() || !self.schedule.interrupt() {
            return Flow::Go;
        }
        let (warp, lane) = self.here();
        self.schedule.wake(warp, 1 << lane);
        Flow::Switch
    }

    pub(crate) fn step(&mut self) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps > self.step_limit {
            let block = self.head.index.into();
            return Err(Report::Runaway { block, steps: self.step_limit }.into());
        }
        Ok(())
    }

    /// Counts an ordering instruction; true where the launch leaves it out.
    pub(crate) fn ordering(&mut self, site: &RawSite, modelled: bool) -> bool {
        self.tally.site(site, modelled);
        self.skip.as_ref().is_some_and(|skip| site.is_named(skip))
    }

    pub(crate) fn queue(&mut self, kind: Kind) -> &mut Queue {
        match kind {
            Kind::Copy => &mut self.copying[self.running],
            Kind::Matrix => &mut self.warps[self.running / 32].products,
            Kind::Bulk => &mut self.bulk,
        }
    }

    pub(crate) fn access(&mut self, space: u32, address: usize, bytes: u32, site: &RawSite) {
        let (warp, lane) = self.here();
        self.profile.note(warp, lane, space, address, bytes, site);
    }

    pub(crate) fn place(&self, site: &RawSite) -> Place {
        Place {
            block: self.head.index.into(),
            thread: self.lanes[self.running].thread.index.into(),
            site: site.name(),
        }
    }

    pub(crate) fn misuse(&self, site: &RawSite, why: impl Into<String>) -> Fault {
        Report::Misuse { place: self.place(site), why: why.into() }.into()
    }

    /// Ends the block with `report`, unless it failed before.
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.failed.get_or_insert(fault);
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The running thread returned.
    pub(crate) fn leave(&mut self) {
        if let Err(fault) = self.leave_warp() {
            self.fail(fault);
        }
        self.alive -= 1;
        self.leave_barrier();
    }

    /// Lets a tensor-map copy that is under way take place, now that every thread waits; none if there is none.
    pub(crate) fn next_bulk(&mut self) -> Option<(crate::abi::Deferred, *const std::ffi::c_void)> {
        let n = self.schedule.draw(self.bulk.len());
        self.bulk.take(n)
    }

    /// What the block came to when nothing in it can go on.
    pub(crate) fn conclude(&mut self) -> Result<Tally, Report> {
        if let Some(fault) = self.failed.take() {
            return Err(*fault);
        }
        let block = self.head.index.into();
        if self.alive > 0 {
            let returned = self.lanes.len() as u32 - self.alive;
            return Err(Report::Deadlock { block, waiting: self.waiting(), returned });
        }
        if let Some(site) = self.bulk.oldest() {
            return Err(Report::Unfinished { block, site: site.name() });
        }
        self.whole_groups().map_err(|fault| *fault)?;
        for warp in 0..self.warps.len() {
            self.profile.flush(warp);
        }
        let mut tally = std::mem::take(&mut self.tally);
        tally.counters.blocks = 1;
        tally.counters.shared = self.profile.shared;
        tally.counters.global = self.profile.global;
        Ok(tally)
    }

    fn waiting(&self) -> Vec<Waiting> {
        let mut groups: Vec<(On, RawSite, Vec<u32>)> = Vec::new();
        for (t, lane) in (0u32..).zip(&self.lanes) {
            if !self.warps[t as usize / 32].has(t % 32) {
                continue;
            }
            let (on, site) = lane.waits;
            // SAFETY: in a deadlock every thread that has not returned stands in a call of `stand`, where its site is.
            let site = unsafe { *site };
            // The lanes of two warps wait for each other, not together.
            let same = |(o, s, threads): &&mut (On, RawSite, Vec<u32>)| {
                let apart =
                    matches!(on, On::Lanes { .. }) && threads.last().is_some_and(|last| last / 32 != t / 32);
                *o == on && s.is(&site) && !apart
            };
            match groups.iter_mut().find(same) {
                Some((_, _, threads)) => threads.push(t),
                None => groups.push((on, site, vec![t])),
            }
        }
        let describe = |(on, site, threads): (On, RawSite, Vec<u32>)| {
            let on = self.describe(on, threads[0] as usize / 32);
            Waiting { threads, site: site.name(), on }
        };
        groups.into_iter().map(describe).collect()
    }

    fn describe(&self, on: On, warp: usize) -> Wait {
        match on {
            On::Lanes { mask } => Wait::Lanes { mask, arrived: self.warps[warp].arrived(mask) },
            On::Barrier { id } => {
                let (arrived, expected) = self.barriers.progress(id, self.alive);
                Wait::Barrier { id, arrived, expected }
            }
            On::Phase { address, parity } => {
                let (arrivals, bytes) = self.mbarriers.get(&address).map_or((0, 0), Mbarrier::lacks);
                Wait::Phase { offset: address - self.head.shared as usize, parity, arrivals, bytes }
            }
        }
    }
}
