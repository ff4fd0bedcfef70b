//! The way to the device: through pinned memory, from where copies run while the host goes on.

use cudarc::driver::{
    DriverError,
    result::{self, event},
    sys,
};

use super::context::Context;

type Result<T = ()> = std::result::Result<T, DriverError>;

/// Bytes of a segment, and at most of one copy.
const SEGMENT: usize = 2 << 20;
const SEGMENTS: usize = 4;

/// Where copies begin, for speed.
const ALIGNMENT: usize = 64;

/// A ring of segments; an event in each tells when the copies out of it have run.
#[derive(Default)]
pub(super) struct Staging {
    memory: Option<Memory>,
    place: Place,
}

struct Memory {
    start: *mut u8,
    events: [Event; SEGMENTS],
}

struct Event(sys::CUevent);

/// The first free byte of the ring.
#[derive(Default)]
struct Place {
    segment: usize,
    used: usize,
}

impl Place {
    /// Takes `bytes` bytes of one segment: where they begin in the ring, and the segment that is left for it, if any.
    fn take(&mut self, bytes: usize) -> (usize, Option<usize>) {
        let left = (self.used + bytes > SEGMENT).then_some(self.segment);
        if left.is_some() {
            *self = Self { segment: (self.segment + 1) % SEGMENTS, used: 0 };
        }
        let at = self.segment * SEGMENT + self.used;
        self.used += bytes.next_multiple_of(ALIGNMENT);
        (at, left)
    }
}

impl Staging {
    /// Copies `bytes`, which may change afterwards, to the device; waits only where the ring is full of copies that have not
    /// run. The context is bound.
    ///
    /// # Safety
    /// There is so much memory at `to`.
    pub(super) unsafe fn upload(&mut self, context: &Context, to: u64, bytes: &[u8]) -> Result {
        let stream = context.stream;
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(Memory::new()?),
        };
        let mut to = to;
        for piece in bytes.chunks(SEGMENT) {
            let (at, left) = self.place.take(piece.len());
            // SAFETY: events of this context. `at` is followed by so many bytes of the ring, which no copy reads any more:
            // its segment's last ones have run.
            unsafe {
                if let Some(left) = left {
                    event::record(memory.events[left].0, stream)?;
                    event::synchronize(memory.events[at / SEGMENT].0)?;
                }
                let staged = memory.start.add(at);
                staged.copy_from_nonoverlapping(piece.as_ptr(), piece.len());
                let staged = std::slice::from_raw_parts(staged, piece.len());
                result::memcpy_htod_async(to, staged, stream)?;
            }
            to += piece.len() as u64;
        }
        Ok(())
    }
}

impl Memory {
    fn new() -> Result<Self> {
        let event = || event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING).map(Event);
        let events = [event()?, event()?, event()?, event()?];
        // The host only writes it.
        // SAFETY: nobody else has it.
        let start = unsafe { result::malloc_host(SEGMENTS * SEGMENT, sys::CU_MEMHOSTALLOC_WRITECOMBINED)? };
        Ok(Self { start: start.cast(), events })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by `new`; no copy is under way. There is nobody to hear an error.
        let _ = unsafe { result::free_host(self.start.cast()) };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `Memory::new`. There is nobody to hear an error.
        let _ = unsafe { event::destroy(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_left_when_it_is_full_and_never_crossed() {
        let mut place = Place::default();
        assert_eq!(place.take(100), (0, None));
        assert_eq!(place.take(SEGMENT - 128), (128, None));
        assert_eq!(place.take(1), (SEGMENT, Some(0)));
        assert_eq!(place.take(SEGMENT), (2 * SEGMENT, Some(1)));
        assert_eq!(place.take(SEGMENT), (3 * SEGMENT, Some(2)));
        assert_eq!(place.take(64), (0, Some(3)));
        assert_eq!(place.take(64), (64, None));
    }
}
