//! A device that runs nothing and counts what it is asked for: whole steps at their real shapes, without a GPU and without
//! the memory.

mod moved;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytemuck::Pod;

use super::{
    Executor, Gpu, Graphs, Launch, Tiled,
    queue::{List, Queue, Submit},
};
use crate::{Device, Result};

pub use moved::Moved;

/// A card whose launches are counted and not run. Its addresses stand for no memory, and a [`Weight`](crate::Weight) on it
/// is declared by its shape: elements are not asked for. Launches are held back, and memory is kept, as on a card.
///
/// There are no results. What is downloaded has all bits set, which nothing computed has: NaN in f32 and bf16, a token id
/// beyond every vocabulary. So a decoding goes on to its limit, and a CoLaR thought to its cap.
#[derive(Debug, Clone)]
pub struct Counting(Arc<Counter>);

/// What a [`Counting`] device was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// In the order in which they came.
    pub launches: Vec<Launched>,
    /// How many of them each call hands to the stream: all of a graph, where a list came again, or one.
    pub submissions: Vec<usize>,
    /// From the host; weights aside.
    pub uploads: Copies,
    /// To the host.
    pub downloads: Copies,
    /// Within the device.
    pub copies: Copies,
}

/// A launch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launched {
    /// The kernel's name.
    pub kernel: &'static str,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads a block.
    pub block: u32,
    /// Bytes of dynamic shared memory a block.
    pub shared: u32,
    /// Bytes that it has to move; `None` of kernels that only training runs.
    pub moved: Option<Moved>,
}

/// Copies of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copies {
    /// Their number.
    pub calls: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Counting {
    /// As a card of sm_90a: products run on the kernels with wgmma where there are such.
    pub fn sm_90a() -> Self {
        Self::new(true)
    }

    /// As a card of sm_80.
    pub fn sm_80() -> Self {
        Self::new(false)
    }

    fn new(hopper: bool) -> Self {
        Self(Arc::new(Counter { hopper, next: AtomicU64::new(FIRST), state: Mutex::default() }))
    }

    /// It as a device: each call makes one, and all are counted together.
    pub fn device(&self) -> Device {
        Device::Gpu(Gpu::new("counting".into(), self.0.clone()))
    }

    /// What was asked for since it was last taken.
    pub fn take(&self) -> Counts {
        let mut state = self.0.state();
        // Counting refuses nothing.
        drop(state.flush());
        std::mem::take(&mut state.counts)
    }
}

/// Where the made-up addresses begin.
const FIRST: u64 = 1 << 40;

/// Bytes of an upload whose contents are kept: a table's, which a launch's bytes may depend on. Larger ones are rows.
const TABLE: usize = 1 << 20;

#[derive(Debug)]
struct Counter {
    hopper: bool,
    /// The next address.
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A graph is its number of launches.
    queue: Queue<usize>,
    counts: Counts,
    tables: Tables,
}

/// Contents of small uploads, by address.
#[derive(Debug, Default)]
struct Tables(BTreeMap<u64, Vec<u8>>);

impl Tables {
    /// The first `count` entries of the table at `address`, if it was uploaded and has so many.
    fn read<T: Pod>(&self, address: u64, count: usize) -> Option<Vec<T>> {
        let entries = self.0.get(&address)?.chunks_exact(size_of::<T>()).take(count);
        let entries: Vec<T> = entries.map(bytemuck::pod_read_unaligned).collect();
        (entries.len() == count).then_some(entries)
    }
}

impl Copies {
    fn add(&mut self, bytes: usize) {
        self.calls += 1;
        self.bytes += bytes as u64;
    }
}

impl State {
    fn flush(&mut self) -> Result<()> {
        self.queue.flush(&mut self.counts)
    }

    fn upload(&mut self, to: u64, bytes: &[u8]) {
        self.counts.uploads.add(bytes.len());
        self.tables.0.remove(&to);
        if bytes.len() <= TABLE {
            self.tables.0.insert(to, bytes.to_vec());
        }
    }
}

impl Counter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Submit for Counts {
    type Graph = usize;

    fn submit(&mut self, _: &Launch<'_>) -> Result<()> {
        self.submissions.push(1);
        Ok(())
    }

    fn capture(&mut self, list: &List) -> Result<usize> {
        Ok(list.iter().count())
    }

    fn replay(&mut self, launches: &usize) -> Result<()> {
        self.submissions.push(*launches);
        Ok(())
    }
}

// The functions that are unsafe to call elsewhere touch no memory of the device here: there is none.
impl Executor for Counter {
    fn allocate(&self, bytes: usize) -> Result<u64> {
        Ok(self.next.fetch_add(bytes.next_multiple_of(256) as u64, Ordering::Relaxed))
    }

    unsafe fn free(&self, address: u64, _: usize) {
        self.state().tables.0.remove(&address);
    }

    unsafe fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        state.flush()?;
        state.upload(to, bytes);
        Ok(())
    }

    unsafe fn upload_ahead(&self, to: u64, bytes: &[u8]) -> Result<()> {
        self.state().upload(to, bytes);
        Ok(())
    }

    fn flushes(&self) -> u64 {
        self.state().queue.flushes()
    }

    fn pools(&self) -> bool {
        true
    }

    unsafe fn download(&self, _: u64, bytes: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        state.flush()?;
        state.counts.downloads.add(bytes.len());
        bytes.fill(0xFF);
        Ok(())
    }

    unsafe fn copy(&self, _: (u64, usize), _: (u64, usize), bytes: usize, rows: usize) -> Result<()> {
        let mut state = self.state();
        state.flush()?;
        state.counts.copies.add(bytes * rows);
        Ok(())
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        let Launch { kernel, grid, block, shared, .. } = *launch;
        let State { queue, counts, tables } = &mut *self.state();
        let moved = moved::by(launch, tables);
        counts.launches.push(Launched { kernel: kernel.name, grid, block, shared, moved });
        queue.push(launch, counts)
    }

    fn flush(&self) -> Result<()> {
        self.state().flush()
    }

    fn graphs(&self) -> Graphs {
        self.state().queue.report()
    }

    fn synchronize(&self) -> Result<()> {
        self.flush()
    }

    fn tensor_map(&self, tiled: &Tiled) -> Result<[u64; 16]> {
        // What tells one map from another.
        let Tiled { address, rows, columns, pitch, tile_rows } = *tiled;
        let mut map = [0; 16];
        map[..5].copy_from_slice(&[address, rows, columns, pitch, tile_rows.into()]);
        Ok(map)
    }

    fn hopper(&self) -> bool {
        self.hopper
    }

    fn computes(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[path = "counting/tests.rs"]
mod tests;
