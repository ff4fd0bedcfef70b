//! Memory on a device.

use std::sync::Arc;

use super::{Arena, Gpu};
use crate::Result;

/// Memory on a GPU; given back when dropped, unless it is someone else's.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Not the [`Gpu`], whose tables are buffers themselves.
    arena: Arc<Arena>,
    address: u64,
    bytes: usize,
    foreign: bool,
}

impl Buffer {
    /// Memory of `bytes` bytes or somewhat more with unspecified contents; none where `bytes` is 0.
    pub(crate) fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let (address, bytes) = if bytes == 0 { (0, 0) } else { gpu.0.arena.allocate(bytes)? };
        Ok(Self { arena: Arc::clone(&gpu.0.arena), address, bytes, foreign: false })
    }

    /// Memory that holds `contents`.
    pub(crate) fn holding(gpu: &Gpu, contents: &[u8]) -> Result<Self> {
        let mut buffer = Self::new(gpu, contents.len())?;
        buffer.write(0, contents)?;
        Ok(buffer)
    }

    /// Memory of `bytes` bytes that holds what `contents` makes, which is not made on a device that computes nothing.
    pub(crate) fn of(gpu: &Gpu, bytes: usize, contents: impl FnOnce() -> Vec<u8>) -> Result<Self> {
        if gpu.executor().computes() { Self::holding(gpu, &contents()) } else { Self::new(gpu, bytes) }
    }

    /// Memory that stays its owner's.
    ///
    /// # Safety
    /// `bytes` bytes at `address` are memory of this GPU for as long as the buffer lives, and nobody else's work on them
    /// is under way when work on the buffer runs.
    pub(crate) unsafe fn foreign(gpu: &Gpu, address: u64, bytes: usize) -> Self {
        Self { arena: Arc::clone(&gpu.0.arena), address, bytes, foreign: true }
    }

    /// Whether it is someone else's.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies `contents` to byte `at` and on; panics past the end, as slices do.
    pub(crate) fn write(&mut self, at: usize, contents: &[u8]) -> Result<()> {
        assert!(at + contents.len() <= self.bytes, "{} bytes at {at} of {}", contents.len(), self.bytes);
        if contents.is_empty() {
            return Ok(());
        }
        // SAFETY: within this buffer, which is writable while it is borrowed mutably.
        unsafe { self.arena.executor().upload(self.address + at as u64, contents) }
    }

    /// As [`Buffer::write`] from the first byte on, ahead of the launches that wait to be submitted; panics past the end too.
    ///
    /// # Safety
    /// None of those reads or writes the buffer.
    pub(crate) unsafe fn write_ahead(&mut self, contents: &[u8]) -> Result<()> {
        assert!(contents.len() <= self.bytes, "{} bytes of {}", contents.len(), self.bytes);
        if contents.is_empty() {
            return Ok(());
        }
        // SAFETY: within this buffer; the caller's promise.
        unsafe { self.arena.executor().upload_ahead(self.address, contents) }
    }

    /// Copies `contents.len()` bytes from byte `at` on to the host; panics past the end, as slices do.
    pub(crate) fn read(&self, at: usize, contents: &mut [u8]) -> Result<()> {
        assert!(at + contents.len() <= self.bytes, "{} bytes at {at} of {}", contents.len(), self.bytes);
        if contents.is_empty() {
            return Ok(());
        }
        // SAFETY: within this buffer.
        unsafe { self.arena.executor().download(self.address + at as u64, contents) }
    }

    /// Copies `rows` stretches of `bytes` bytes, `pitches` apart in `from` and here, that begin at bytes `at` of both;
    /// panics past either end.
    pub(crate) fn copy_from(
        &mut self,
        from: &Buffer,
        at: [usize; 2],
        pitches: [usize; 2],
        bytes: usize,
        rows: usize,
    ) -> Result<()> {
        if rows == 0 || bytes == 0 {
            return Ok(());
        }
        let end = |side: usize| at[side] + (rows - 1) * pitches[side] + bytes;
        assert!(end(0) <= from.bytes && end(1) <= self.bytes, "a copy past the end");
        let source = (from.address + at[0] as u64, pitches[0]);
        let target = (self.address + at[1] as u64, pitches[1]);
        // SAFETY: within both buffers, of which this one is borrowed mutably.
        unsafe { self.arena.executor().copy(source, target, bytes, rows) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        match self.foreign {
            true => self.arena.executor().let_go(),
            false if self.bytes == 0 => {}
            // SAFETY: allocated with this size by `new`, and used by nobody after this.
            false => unsafe { self.arena.free(self.address, self.bytes) },
        }
    }
}
