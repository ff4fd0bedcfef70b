//! Which fiber runs next.

/// The threads that can run, and the rule that picks one.
///
/// In order (seed 0), a warp runs until all its lanes wait, so warps run as far apart as the barriers allow: that
/// exposes what a barrier is missing for. Shuffled, warps take turns at random, and threads that could go on are
/// sometimes interrupted.
pub(crate) struct Schedule {
    /// A word a warp, a bit a lane.
    ready: Vec<u32>,
    /// State of a xorshift generator; zero means in order.
    random: u64,
}

impl Schedule {
    /// All `threads` ready. `seed` 0 means in order; `block` makes each block's shuffle another.
    pub(crate) fn new(threads: usize, seed: u64, block: u64) -> Self {
        let ready = (0..threads).step_by(32).map(|first| lanes(threads - first)).collect();
        // splitmix64's step, so that neighbouring seeds and blocks share nothing; never zero unless the seed is.
        let mixed = (seed ^ block.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Schedule { ready, random: if seed == 0 { 0 } else { (mixed ^ (mixed >> 31)) | 1 } }
    }

    /// A number below `n` where shuffled, otherwise 0.
    pub(crate) fn draw(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 32) as usize * n) >> 32
    }

    fn shuffled(&self) -> bool {
        self.random != 0
    }

    /// Whether a thread that could go on should let others run now.
    pub(crate) fn interrupt(&mut self) -> bool {
        self.shuffled() && self.draw(8) == 0
    }

    /// Makes lanes of a warp ready.
    pub(crate) fn wake(&mut self, warp: usize, lanes: u32) {
        self.ready[warp] |= lanes;
    }

    /// Takes back the readiness of lanes.
    pub(crate) fn sleep(&mut self, warp: usize, lanes: u32) {
        self.ready[warp] &= !lanes;
    }

    /// The thread to run after thread `last`, no longer ready; none if no thread is. In order: the same warp's next.
    pub(crate) fn next(&mut self, last: usize) -> Option<usize> {
        let (mut warp, mut lane) = (last / 32, last % 32);
        if self.shuffled() {
            lane = self.draw(32);
            if self.draw(4) == 0 {
                warp = self.draw(self.ready.len());
            }
        }
        let warps = self.ready.len();
        for w in (warp..warps).chain(0..warp) {
            let word = self.ready[w];
            if word != 0 {
                let skipped = word.rotate_right(lane as u32 % 32).trailing_zeros() as usize;
                let lane = (lane + skipped) % 32;
                self.ready[w] &= !(1 << lane);
                return Some(w * 32 + lane);
            }
            if !self.shuffled() {
                lane = 0;
            }
        }
        None
    }
}

/// The lanes of a warp of which `threads` threads are left.
pub(crate) fn lanes(threads: usize) -> u32 {
    if threads >= 32 { u32::MAX } else { (1 << threads) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut schedule: Schedule) -> Vec<usize> {
        let mut last = 0;
        std::iter::from_fn(|| {
            last = schedule.next(last)?;
            Some(last)
        })
        .collect()
    }

    #[test]
    fn every_thread_runs_once_under_every_seed() {
        for seed in 0..50 {
            let mut threads = all(Schedule::new(77, seed, 3));
            threads.sort_unstable();
            assert_eq!(threads, (0..77).collect::<Vec<_>>(), "seed {seed}");
        }
    }

    #[test]
    fn seeds_and_blocks_differ() {
        assert_ne!(all(Schedule::new(64, 1, 0)), all(Schedule::new(64, 2, 0)));
        assert_ne!(all(Schedule::new(64, 1, 0)), all(Schedule::new(64, 1, 1)));
    }

    #[test]
    fn in_order_a_warp_goes_first() {
        let mut schedule = Schedule::new(64, 0, 0);
        assert_eq!(schedule.next(0), Some(0));
        schedule.wake(0, 1);
        assert_eq!(schedule.next(5), Some(5));
        assert_eq!((6..32).map(|last| schedule.next(last)).next_back(), Some(Some(31)));
        assert_eq!(schedule.next(31), Some(0), "before the other warp starts");
    }
}
