//! The slots of one segment on a GPU: `[slots][keys, values][positions][width]`.

use super::Layout;
use crate::{
    Result,
    gpu::{Buffer, Gpu, params::KvPlace},
};

/// Positions that memory grows by at least; by half of what there is, if that is more.
const POSITIONS: usize = 16;

#[derive(Debug)]
pub(super) struct Block {
    buffer: Buffer,
    slots: usize,
    positions: usize,
}

impl Block {
    pub(super) fn new(gpu: &Gpu, layout: Layout, slots: usize, positions: usize) -> Result<Self> {
        let bytes = 2 * slots * positions * layout.row_bytes();
        Ok(Self { buffer: Buffer::new(gpu, bytes)?, slots, positions })
    }

    /// A block with room for `slots` and `positions` and with the contents of `old`; `None` where `old` has the room.
    pub(super) fn larger(
        old: Option<&Block>,
        gpu: &Gpu,
        layout: Layout,
        slots: usize,
        positions: usize,
    ) -> Result<Option<Self>> {
        let Some(old) = old else {
            return Self::new(gpu, layout, slots.max(layout.slots), positions).map(Some);
        };
        if old.slots >= slots && old.positions >= positions {
            return Ok(None);
        }
        let more_slots = if old.slots >= slots { old.slots } else { slots.max(2 * old.slots) };
        let more_positions = if old.positions >= positions {
            old.positions
        } else {
            positions.max(old.positions * 3 / 2).next_multiple_of(POSITIONS)
        };
        let mut block = Self::new(gpu, layout, more_slots, more_positions)?;
        block.take(old, layout)?;
        Ok(Some(block))
    }

    /// A block of its own with the same contents.
    pub(super) fn copy(&self, gpu: &Gpu, layout: Layout) -> Result<Self> {
        let mut block = Self::new(gpu, layout, self.slots, self.positions)?;
        block.take(self, layout)?;
        Ok(block)
    }

    fn take(&mut self, old: &Block, layout: Layout) -> Result<()> {
        let row = layout.row_bytes();
        let pitches = [old.positions * row, self.positions * row];
        self.buffer.copy_from(&old.buffer, [0; 2], pitches, old.positions * row, 2 * old.slots)
    }

    /// Where position `at` of slot 0 is, and what leads from one slot to the next.
    pub(super) fn place(&self, at: usize, layout: Layout) -> KvPlace {
        let row = layout.row_bytes();
        let keys = self.buffer.address() + (at * row) as u64;
        KvPlace {
            keys,
            values: keys + (self.positions * row) as u64,
            slot_stride: (2 * self.positions * row) as u64,
        }
    }

    /// Writes the keys and values of position `at`.
    pub(super) fn write(&mut self, slot: usize, at: usize, layout: Layout, rows: [Vec<u8>; 2]) -> Result<()> {
        let row = layout.row_bytes();
        for (which, bytes) in rows.iter().enumerate() {
            let place = ((2 * slot + which) * self.positions + at) * row;
            self.buffer.write(place, &bytes[..row])?;
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffer.bytes()
    }
}
