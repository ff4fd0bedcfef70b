use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    Error,
    gpu::{Launch, Tiled},
};

/// Counts what it has given, at rising addresses, and gives no more than so many bytes.
#[derive(Debug, Default)]
struct Driver {
    limit: usize,
    given: AtomicUsize,
    calls: AtomicUsize,
}

impl Executor for Driver {
    fn allocate(&self, bytes: usize) -> Result<u64> {
        if self.given.load(Ordering::Relaxed) + bytes > self.limit {
            return Err(Error::Device { device: "driver".into(), what: "no memory".into() });
        }
        self.given.fetch_add(bytes, Ordering::Relaxed);
        Ok((1 + self.calls.fetch_add(1, Ordering::Relaxed) as u64) << 40)
    }

    unsafe fn free(&self, _: u64, bytes: usize) {
        self.given.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn pools(&self) -> bool {
        true
    }

    unsafe fn upload(&self, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }

    unsafe fn download(&self, _: u64, _: &mut [u8]) -> Result<()> {
        Ok(())
    }

    unsafe fn copy(&self, _: (u64, usize), _: (u64, usize), _: usize, _: usize) -> Result<()> {
        Ok(())
    }

    unsafe fn launch(&self, _: &Launch<'_>) -> Result<()> {
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn tensor_map(&self, _: &Tiled) -> Result<[u64; 16]> {
        Ok([0; 16])
    }

    fn hopper(&self) -> bool {
        false
    }
}

fn arena(limit: usize) -> (Arena, Arc<Driver>) {
    let driver = Arc::new(Driver { limit, ..Driver::default() });
    (Arena::new(driver.clone()), driver)
}

#[test]
fn classes_hold_what_is_asked_for_and_waste_a_quarter_at_most() {
    for bytes in (1..5000).chain([CLASSES_TO - 1, CLASSES_TO, CLASSES_TO + 1, 1 << 30]) {
        let class = class(bytes);
        assert!(class >= bytes && class.is_multiple_of(256), "{bytes}: {class}");
        assert!(class - bytes < (bytes / 4).max(256).max(GRANULE * usize::from(bytes > CLASSES_TO)));
        assert_eq!(super::class(class), class, "{bytes}");
    }
    assert_eq!(class(usize::MAX), usize::MAX);
}

#[test]
fn the_lowest_address_goes_first() {
    let (arena, driver) = arena(1 << 20);
    let given: Vec<_> = (0..4).map(|_| arena.allocate(1000).expect("memory")).collect();
    for at in [2, 0, 3] {
        // SAFETY: nobody uses it.
        unsafe { arena.free(given[at].0, given[at].1) };
    }
    let again: Vec<_> = (0..3).map(|_| arena.allocate(900).expect("memory")).collect();
    assert_eq!(again, [given[0], given[2], given[3]]);
    assert_eq!(driver.calls.load(Ordering::Relaxed), 4);
}

#[test]
fn large_memory_serves_for_somewhat_less() {
    let (arena, _) = arena(1 << 30);
    let large = arena.allocate(100 << 20).expect("memory");
    // SAFETY: nobody uses it.
    unsafe { arena.free(large.0, large.1) };
    assert_eq!(arena.allocate(90 << 20).expect("memory"), large);
    // SAFETY: as above.
    unsafe { arena.free(large.0, large.1) };
    assert_ne!(arena.allocate(60 << 20).expect("memory"), large);
}

#[test]
fn what_is_idle_goes_before_memory_runs_out_and_with_the_arena() {
    let (arena, driver) = arena(5000);
    let (address, bytes) = arena.allocate(3000).expect("memory");
    arena.allocate(4000).expect_err("nothing idle");
    // SAFETY: nobody uses it.
    unsafe { arena.free(address, bytes) };
    let (address, bytes) = arena.allocate(4000).expect("what was idle");
    // SAFETY: as above.
    unsafe { arena.free(address, bytes) };
    assert!(driver.given.load(Ordering::Relaxed) > 0);
    drop(arena);
    assert_eq!(driver.given.load(Ordering::Relaxed), 0);
}
