//! Questions answered side by side, taken in their order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Hands `take` the outcome of `work` on 0 … `count`, in that order. Up to `workers` outcomes are worked on at a time,
/// each on a thread of its own that shares no work with the others; a single worker is the calling thread with all
/// others at its service. Index i begins once fewer than 2·`workers` before it are not taken yet, so that what is
/// finished but waits for a slow one stays little. No more work begins once `take` fails.
///
/// # Errors
/// That of `take`.
///
/// # Panics
/// Where `work` does, once all before it is taken; no more work begins meanwhile.
pub(crate) fn in_order<T: Send, E>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let workers = workers.min(count);
    if workers <= 1 {
        return (0..count).try_for_each(|index| take(work(index)));
    }
    let queue = Queue::new(count, 2 * workers);
    thread::scope(|scope| {
        // Whatever ends this closure: the scope waits for its threads.
        let _stop = StopOnDrop(&queue);
        for _ in 0..workers {
            scope.spawn(|| {
                alone(|| {
                    while let Some(index) = queue.begin() {
                        queue.finish(index, catch_unwind(AssertUnwindSafe(|| work(index))));
                    }
                });
            });
        }
        for index in 0..count {
            take(queue.outcome(index).unwrap_or_else(|panic| resume_unwind(panic)))?;
            queue.taken(index);
        }
        Ok(())
    })
}

/// Runs `work` where parallel loops have this thread alone.
fn alone(work: impl FnOnce() + Send) {
    match rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// Which indices are begun, and the outcomes that nobody took yet. Indices begin in their order, so all before one that
/// began have an outcome in the end, whatever stops the rest.
struct Queue<T> {
    count: usize,
    /// How many indices may be begun and not taken.
    ahead: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    next: usize,
    taken: usize,
    stopped: bool,
    finished: BTreeMap<usize, thread::Result<T>>,
}

impl<T> Queue<T> {
    fn new(count: usize, ahead: usize) -> Self {
        let state = State { next: 0, taken: 0, stopped: false, finished: BTreeMap::new() };
        Self { count, ahead, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next index, once it may begin; `None` at the end, or after a stop.
    fn begin(&self) -> Option<usize> {
        let mut state = self.wait_while(|state| {
            !state.stopped && state.next < self.count && state.next >= state.taken + self.ahead
        });
        let index = state.next;
        (!state.stopped && index < self.count).then(|| {
            state.next += 1;
            index
        })
    }

    /// Keeps the outcome of `index`; a panic stops the queue.
    fn finish(&self, index: usize, outcome: thread::Result<T>) {
        let mut state = self.lock();
        state.stopped |= outcome.is_err();
        state.finished.insert(index, outcome);
        self.changed.notify_all();
    }

    /// Waits for the outcome of `index`, of which none before was a panic.
    fn outcome(&self, index: usize) -> thread::Result<T> {
        loop {
            let mut state = self.wait_while(|state| !state.finished.contains_key(&index));
            if let Some(outcome) = state.finished.remove(&index) {
                return outcome;
            }
        }
    }

    /// Lets as many begin as may once `index` is taken.
    fn taken(&self, index: usize) {
        self.lock().taken = index + 1;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, waiting: impl FnMut(&mut State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops a queue at the end of a scope.
struct StopOnDrop<'a, T>(&'a Queue<T>);

impl<T> Drop for StopOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits for `condition`, which another thread brings about.
    fn until(condition: impl Fn() -> bool) {
        let since = Instant::now();
        while !condition() {
            assert!(since.elapsed() < Duration::from_secs(60), "waited in vain");
            thread::yield_now();
        }
    }

    #[test]
    fn outcomes_come_in_order_from_any_number_of_workers() {
        for workers in [0, 1, 2, 5, 60] {
            for count in [0, 1, 3, 40] {
                let mut taken = Vec::new();
                let work = |index: usize| {
                    // Later ones are faster.
                    thread::sleep(Duration::from_micros(100 * (40 - index as u64 % 40)));
                    index * index
                };
                let outcome = in_order(workers, count, work, |square| {
                    taken.push(square);
                    Ok::<(), ()>(())
                });
                assert_eq!(
                    (outcome, taken),
                    (Ok(()), (0..count).map(|i| i * i).collect()),
                    "{workers} workers"
                );
            }
        }
    }

    #[test]
    fn a_failure_ends_the_work() {
        for workers in [1, 3] {
            let begun = AtomicUsize::new(0);
            let work = |index| {
                begun.fetch_add(1, Ordering::Relaxed);
                index
            };
            let outcome =
                in_order(workers, 10_000, work, |index| if index == 5 { Err(index) } else { Ok(()) });
            assert_eq!(outcome, Err(5));
            let most = if workers == 1 { 6 } else { 5 + 2 * workers };
            assert!(begun.load(Ordering::Relaxed) <= most, "{begun:?} begun with five taken");
        }
    }

    #[test]
    fn no_work_runs_far_ahead_of_a_slow_one() {
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |index| {
            begun.fetch_add(1, Ordering::SeqCst);
            // `take` counts before the queue does, so a worker sees at least what let it begin.
            let far = taken.load(Ordering::SeqCst) + 4;
            if index == 0 {
                until(|| begun.load(Ordering::SeqCst) >= 4);
                // Time for a worker to go too far in.
                thread::sleep(Duration::from_millis(50));
            }
            (index, far)
        };
        in_order(2, 40, work, |(index, far)| {
            taken.fetch_add(1, Ordering::SeqCst);
            if index < far { Ok(()) } else { Err(format!("{index} begun before {far}")) }
        })
        .unwrap();
        assert_eq!((begun.into_inner(), taken.into_inner()), (40, 40));
    }

    #[test]
    fn a_panic_is_raised_after_all_before_it() {
        for workers in [1, 3] {
            let (begun, mut taken) = (AtomicUsize::new(0), Vec::new());
            let work = |index| {
                begun.fetch_add(1, Ordering::Relaxed);
                match index {
                    5 => resume_unwind(Box::new("the fifth")),
                    // Still at work when the other panics.
                    4 if workers > 1 => until(|| begun.load(Ordering::Relaxed) > 5),
                    _ => {}
                }
                index
            };
            let raised = catch_unwind(AssertUnwindSafe(|| {
                in_order(workers, 10_000, work, |index| {
                    taken.push(index);
                    Ok::<(), ()>(())
                })
            }));
            assert_eq!(*raised.unwrap_err().downcast::<&str>().unwrap(), "the fifth");
            assert_eq!(taken, [0, 1, 2, 3, 4], "{workers} workers");
            assert!(begun.load(Ordering::Relaxed) <= 5 + 2 * workers);
        }
    }

    #[test]
    fn nothing_begins_after_a_panic_or_a_stop() {
        let queue = Queue::new(10, 4);
        assert_eq!([queue.begin(), queue.begin()], [Some(0), Some(1)]);
        queue.finish(1, Err(Box::new("panic")));
        assert_eq!(queue.begin(), None);
        queue.finish(0, Ok(()));
        assert!(queue.outcome(0).is_ok() && queue.outcome(1).is_err(), "what had begun is kept");

        let queue = Queue::<()>::new(10, 4);
        assert_eq!(queue.begin(), Some(0));
        drop(StopOnDrop(&queue));
        assert_eq!(queue.begin(), None);
    }

    #[test]
    fn a_taker_that_panics_leaves_no_worker_waiting() {
        let raised = catch_unwind(|| {
            in_order(2, 40, |index| index, |_| -> Result<(), ()> { resume_unwind(Box::new("taker")) })
        });
        assert_eq!(*raised.unwrap_err().downcast::<&str>().unwrap(), "taker");
    }

    /// Whether a parallel task of each of four outcomes ran on the worker's own thread, and on how many it could.
    fn loops_of(workers: usize) -> Vec<(bool, usize)> {
        let mut seen = Vec::new();
        let work = |_| {
            let worker = thread::current().id();
            rayon::scope(|_| (thread::current().id() == worker, rayon::current_num_threads()))
        };
        in_order(workers, 4, work, |loops| {
            seen.push(loops);
            Ok::<(), ()>(())
        })
        .unwrap();
        seen
    }

    #[test]
    fn workers_do_not_share_their_loops() {
        assert_eq!(loops_of(2), [(true, 1); 4]);
        let outer = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(outer.install(|| loops_of(2)), [(true, 1); 4]);
        assert_eq!(outer.install(|| loops_of(1)), [(true, 3); 4], "a single worker has all threads");
    }
}
