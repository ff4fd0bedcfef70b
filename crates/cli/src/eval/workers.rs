//! Questions answered side by side, taken in their order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Hands `take` the outcome of `work` on 0 … `count`, in that order. Up to `workers` outcomes are worked on at a time, each
/// on a thread of its own that shares no work with the others; a single worker is the calling thread with all others
/// at its service. No more work begins once `take` fails.
///
/// # Errors
/// That of `take`.
pub(super) fn in_order<T: Send, E>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    if workers.min(count) <= 1 {
        return (0..count).try_for_each(|index| take(work(index)));
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(workers);
        for _ in 0..workers.min(count) {
            let (sender, work, next) = (sender.clone(), &work, &next);
            scope.spawn(move || {
                alone(|| {
                    let mut index = next.fetch_add(1, Ordering::Relaxed);
                    while index < count && sender.send((index, work(index))).is_ok() {
                        index = next.fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
        }
        drop(sender);
        let (mut early, mut taken) = (BTreeMap::new(), 0);
        for (index, outcome) in receiver {
            early.insert(index, outcome);
            while let Some(outcome) = early.remove(&taken) {
                take(outcome)?;
                taken += 1;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_order_from_any_number_of_workers() {
        for workers in [0, 1, 2, 5] {
            for count in [0, 1, 40] {
                let mut taken = Vec::new();
                let work = |index: usize| {
                    // Later ones are faster.
                    thread::sleep(std::time::Duration::from_micros(100 * (40 - index as u64 % 40)));
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
        let begun = AtomicUsize::new(0);
        let work = |index| {
            begun.fetch_add(1, Ordering::Relaxed);
            index
        };
        let outcome = in_order(3, 10_000, work, |index| if index == 5 { Err(index) } else { Ok(()) });
        assert_eq!(outcome, Err(5));
        assert!(begun.load(Ordering::Relaxed) < 100, "{begun:?} begun after a failure at 5");
    }

    #[test]
    fn workers_do_not_share_their_loops() {
        let threads = |workers| {
            let mut threads = Vec::new();
            let work = |_| rayon::current_num_threads();
            in_order(workers, 4, work, |count| {
                threads.push(count);
                Ok::<(), ()>(())
            })
            .unwrap();
            threads
        };
        assert_eq!(threads(2), [1; 4]);
    }
}
