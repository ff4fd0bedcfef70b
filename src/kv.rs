//! Keys and values of sequences, as a tree of segments.
//!
//! A [`Sequence`] is a chain of segments: frozen ones that it may share with others (a prompt and its N
//! trajectories, a beam and its children), then its own, which alone grows. Forking copies nothing.
//!
//! A segment keeps *slots*: one for each place in the network that attends. A feed-forward stack has one a layer;
//! recurrent depth has one a layer and iteration, or fewer if iterations share (spec huginn §3.1). A position may
//! lack a slot, because its token stopped iterating earlier; reading names the slots to try in turn.

mod block;
mod run;
mod slots;
mod span;

use std::{ops::Range, sync::Arc};

use half::bf16;
use smallvec::SmallVec;

use crate::{
    DType, Device, Result,
    error::check,
    gpu::{padded, params::KvPlace},
};

use block::Block;

pub use run::Run;
pub use slots::{Reads, Slots};
use span::View;
pub use span::{Rows, Span, Spans};

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Channels of one position's keys in one slot: kv heads · head dimension.
    pub width: usize,
    /// Storage type.
    pub dtype: DType,
    /// Slots that a sequence is expected to fill: memory on a GPU is taken for so many at once.
    pub slots: usize,
}

impl Layout {
    /// Bytes of one position's keys in one slot.
    fn row_bytes(&self) -> usize {
        self.width * self.dtype.bytes()
    }
}

#[derive(Debug, Clone)]
enum Store {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Store {
    fn new(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Store::F32(Vec::new()),
            DType::Bf16 => Store::Bf16(Vec::new()),
        }
    }

    /// Writes `row` at element `at`, growing to at most `capacity` elements and filling a gap with zeros.
    fn write(&mut self, at: usize, row: &[f32], capacity: usize) {
        fn put<T: Copy + Default>(
            data: &mut Vec<T>,
            at: usize,
            row: impl ExactSizeIterator<Item = T>,
            capacity: usize,
        ) {
            let end = at + row.len();
            if data.len() < end {
                if data.capacity() < end {
                    data.reserve_exact(capacity.max(end) - data.len());
                }
                data.resize(end, T::default());
            }
            data[at..end].iter_mut().zip(row).for_each(|(x, value)| *x = value);
        }
        match self {
            Store::F32(data) => put(data, at, row.iter().copied(), capacity),
            Store::Bf16(data) => put(data, at, row.iter().map(|&x| bf16::from_f32(x)), capacity),
        }
    }

    fn view(&self) -> View<'_> {
        match self {
            Store::F32(data) => View::F32(data),
            Store::Bf16(data) => View::Bf16(data),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Store::F32(data) => data.capacity() * 4,
            Store::Bf16(data) => data.capacity() * 2,
        }
    }
}

#[derive(Debug, Clone)]
struct Slot {
    /// Keys and values on the CPU; on a GPU the segment's block has them.
    stores: Option<[Store; 2]>,
    /// By position within the segment.
    present: Vec<bool>,
    /// Positions before this one are all present.
    complete: usize,
}

impl Slot {
    fn new(on_host: bool, dtype: DType) -> Self {
        let stores = on_host.then(|| [Store::new(dtype), Store::new(dtype)]);
        Self { stores, present: Vec::new(), complete: 0 }
    }

    /// Position `at` of the segment is there.
    fn mark(&mut self, at: usize) {
        if self.present.len() <= at {
            self.present.resize(at + 1, false);
        }
        self.present[at] = true;
        while self.present.get(self.complete).copied().unwrap_or(false) {
            self.complete += 1;
        }
    }
}

/// Consecutive positions of a sequence.
#[derive(Debug)]
struct Segment {
    device: Device,
    parent: Option<Arc<Segment>>,
    start: usize,
    len: usize,
    layout: Layout,
    slots: Vec<Option<Slot>>,
    /// Memory of all slots on a GPU.
    block: Option<Block>,
}

impl Segment {
    fn new(device: &Device, layout: Layout, parent: Option<Arc<Segment>>) -> Self {
        let start = parent.as_ref().map_or(0, |p| p.start + p.len);
        Self { device: device.clone(), parent, start, len: 0, layout, slots: Vec::new(), block: None }
    }

    fn slot(&mut self, slot: usize) -> &mut Slot {
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        let on_host = self.device == Device::Cpu;
        self.slots[slot].get_or_insert_with(|| Slot::new(on_host, self.layout.dtype))
    }

    fn span<'a>(&'a self, index: usize, slot: &'a Slot, positions: Range<usize>, shared: bool) -> Span<'a> {
        let (keys, values) = match (&slot.stores, &self.block) {
            (Some([keys, values]), _) => (keys.view(), values.view()),
            (None, Some(block)) => {
                let KvPlace { keys, values, slot_stride } = block.place(0, self.layout);
                let to_slot = index as u64 * slot_stride;
                (View::Device(keys + to_slot, slot_stride), View::Device(values + to_slot, slot_stride))
            }
            (None, None) => (View::F32(&[]), View::F32(&[])),
        };
        Span {
            keys,
            values,
            width: self.layout.width,
            offset: positions.start,
            start: self.start + positions.start,
            count: positions.len(),
            shared,
        }
    }

    fn bytes(&self) -> usize {
        let stores = |slot: &Slot| slot.stores.iter().flatten().map(Store::bytes).sum::<usize>();
        let slots = self.slots.iter().flatten();
        slots.map(|slot| stores(slot) + slot.present.capacity()).sum::<usize>()
            + self.block.as_ref().map_or(0, Block::bytes)
    }

    fn copy(&self) -> Result<Self> {
        let block = match (&self.block, &self.device) {
            (Some(block), Device::Gpu(gpu)) => Some(block.copy(gpu, self.layout)?),
            _ => None,
        };
        let (device, parent, slots) = (self.device.clone(), self.parent.clone(), self.slots.clone());
        Ok(Self { device, parent, start: self.start, len: self.len, layout: self.layout, slots, block })
    }
}

/// A sequence's keys and values.
#[derive(Debug)]
pub struct Sequence {
    own: Segment,
}

impl Sequence {
    /// An empty sequence.
    pub fn new(device: &Device, layout: Layout) -> Self {
        Self { own: Segment::new(device, layout, None) }
    }

    /// The device that holds it.
    pub fn device(&self) -> &Device {
        &self.own.device
    }

    /// Positions admitted so far.
    pub fn len(&self) -> usize {
        self.own.start + self.own.len
    }

    /// Whether no position was admitted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Admits `count` further positions and returns the first; their slots are written afterwards.
    pub fn admit(&mut self, count: usize) -> usize {
        let first = self.len();
        self.own.len += count;
        first
    }

    /// Forgets the positions from `len` on.
    ///
    /// # Errors
    /// Positions that it shares with others.
    pub fn truncate(&mut self, len: usize) -> Result<()> {
        let start = self.own.start;
        check("kv truncate", len >= start, || format!("{len} positions of which {start} are shared"))?;
        let kept = (len - start).min(self.own.len);
        self.own.len = kept;
        for slot in self.own.slots.iter_mut().flatten() {
            slot.present.truncate(kept);
            slot.complete = slot.complete.min(kept);
        }
        Ok(())
    }

    /// `count` sequences that continue this one, sharing all of it.
    pub fn fork(self, count: usize) -> Vec<Sequence> {
        let (device, layout) = (self.own.device.clone(), self.own.layout);
        let base = if self.own.len == 0 { self.own.parent } else { Some(Arc::new(self.own)) };
        (0..count).map(|_| Sequence { own: Segment::new(&device, layout, base.clone()) }).collect()
    }

    /// A copy that shares what this one shares and owns what this one owns: for continuations that write the newest
    /// positions again, each in its own way.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn duplicate(&self) -> Result<Sequence> {
        Ok(Sequence { own: self.own.copy()? })
    }

    /// Writes the keys and values of consecutive positions from `first` on, `[positions, width]` each; a position
    /// that already has the slot is overwritten.
    ///
    /// # Errors
    /// A position that was not admitted or belongs to a shared segment; rows of another width; no memory on the device.
    pub fn write<'a>(
        &mut self,
        slot: usize,
        first: usize,
        rows: impl IntoIterator<Item = (&'a [f32], &'a [f32])>,
    ) -> Result<()> {
        let Layout { width, dtype, .. } = self.own.layout;
        let len = self.own.len;
        for (offset, (key, value)) in rows.into_iter().enumerate() {
            let at = self.admitted(first + offset)?;
            check("kv write", key.len() == width && value.len() == width, || {
                format!("rows of {} and {} channels for a cache of {width}", key.len(), value.len())
            })?;
            if self.own.device != Device::Cpu {
                let position = first + offset..first + offset + 1;
                self.reserve(slot, position.clone())?;
                if let Some(block) = &mut self.own.block {
                    block.write(
                        slot,
                        at,
                        self.own.layout,
                        [key, value].map(|row| padded(dtype, width, row)),
                    )?;
                }
                self.mark(slot, position);
                continue;
            }
            let kept = self.own.slot(slot);
            let capacity = if kept.present.is_empty() { len } else { len.next_multiple_of(8) } * width;
            for (store, row) in kept.stores.iter_mut().flatten().zip([key, value]) {
                store.write(at * width, row, capacity);
            }
            kept.mark(at);
        }
        Ok(())
    }

    /// `position` counted from the growing segment's first.
    fn admitted(&self, position: usize) -> Result<usize> {
        let (start, len) = (self.own.start, self.own.len);
        check("kv write", (start..start + len).contains(&position), || {
            format!("position {position} outside the growing segment {start}..{}", start + len)
        })?;
        Ok(position - start)
    }

    /// Takes memory for `positions`, whose keys and values kernels are about to write on a GPU.
    ///
    /// # Errors
    /// A position that was not admitted or belongs to a shared segment; no memory on the device, and then everything is as
    /// it was.
    pub(crate) fn reserve(&mut self, slot: usize, positions: Range<usize>) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        self.admitted(positions.start)?;
        self.admitted(positions.end - 1)?;
        let own = &mut self.own;
        if let Device::Gpu(gpu) = &own.device
            && let Some(larger) = Block::larger(own.block.as_ref(), gpu, own.layout, slot + 1, own.len)?
        {
            own.block = Some(larger);
        }
        Ok(())
    }

    /// From here on positions that were reserved have the slot.
    pub(crate) fn mark(&mut self, slot: usize, positions: Range<usize>) {
        let start = self.own.start;
        let kept = self.own.slot(slot);
        positions.for_each(|position| kept.mark(position - start));
    }

    /// Where kernels write the keys and values of positions that were reserved, the slots counted from `first` on.
    pub(crate) fn places(&self, positions: Range<usize>, first: usize) -> impl Iterator<Item = KvPlace> {
        let own = &self.own;
        positions.filter_map(move |position| {
            let KvPlace { keys, values, slot_stride } =
                own.block.as_ref()?.place(position - own.start, own.layout);
            let ahead = first as u64 * slot_stride;
            Some(KvPlace { keys: keys + ahead, values: values + ahead, slot_stride })
        })
    }

    /// What a query reads: for each position the first of `slots` that it has, neighbours with the same slot joined,
    /// positions that have none left out; in rising order.
    pub fn spans(&self, slots: &[usize]) -> Spans<'_> {
        let mut chain: SmallVec<[&Segment; 4]> = SmallVec::from_slice(&[&self.own]);
        while let Some(parent) = chain[chain.len() - 1].parent.as_deref() {
            chain.push(parent);
        }
        let mut spans = Spans::new();
        for (above, segment) in chain.into_iter().enumerate().rev() {
            let shared = above > 0;
            let slot_of = |slot: usize| segment.slots.get(slot).and_then(Option::as_ref);
            let has = |slot: usize, at: usize| {
                slot_of(slot).filter(|slot| slot.present.get(at).copied().unwrap_or(false))
            };
            let first = slots.first().and_then(|&index| Some((index, slot_of(index)?)));
            if let Some((index, slot)) =
                first.filter(|(_, slot)| slot.complete == segment.len && segment.len > 0)
            {
                spans.push(segment.span(index, slot, 0..segment.len, shared));
                continue;
            }
            let mut open: Option<(usize, usize)> = None;
            for at in 0..=segment.len {
                let found = (at < segment.len)
                    .then(|| slots.iter().copied().find(|&s| has(s, at).is_some()))
                    .flatten();
                if open.map(|(slot, _)| slot) == found {
                    continue;
                }
                if let Some((index, from)) = open.take()
                    && let Some(slot) = has(index, from)
                {
                    spans.push(segment.span(index, slot, from..at, shared));
                }
                open = found.map(|slot| (slot, at));
            }
        }
        spans
    }

    /// One more than the highest slot that a position has.
    pub fn slots(&self) -> usize {
        let mut segment = Some(&self.own);
        let mut slots = 0;
        while let Some(at) = segment {
            slots = slots.max(at.slots.len());
            segment = at.parent.as_deref();
        }
        slots
    }

    /// Whether every position before `end` has `slot`.
    pub fn holds(&self, slot: usize, end: usize) -> bool {
        let spans = self.spans(&[slot]);
        spans.iter().map(|span| span.until(end).count()).sum::<usize>() >= end.min(self.len())
    }

    /// The first position that has one of `slots`.
    pub(crate) fn first(&self, slots: &[usize]) -> Option<usize> {
        self.spans(slots).first().map(Span::start)
    }

    /// How keys and values are stored.
    pub fn layout(&self) -> Layout {
        self.own.layout
    }

    /// Bytes of the segment that is this sequence's alone.
    pub fn own_bytes(&self) -> usize {
        self.own.bytes()
    }

    /// Bytes of all segments, shared ones included.
    pub fn bytes(&self) -> usize {
        let mut total = self.own.bytes();
        let mut next = self.own.parent.as_deref();
        while let Some(segment) = next {
            total += segment.bytes();
            next = segment.parent.as_deref();
        }
        total
    }
}

impl AsRef<Sequence> for Sequence {
    fn as_ref(&self) -> &Sequence {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { width: 2, dtype: DType::F32, slots: 1 };

    fn write(sequence: &mut Sequence, slot: usize, position: usize, value: f32) {
        let row = [value, -value];
        sequence.write(slot, position, [(&row[..], &row[..])]).unwrap();
    }

    fn read(sequence: &Sequence, slots: &[usize]) -> Vec<(usize, f32)> {
        let mut buffer = [0.0; 2];
        let spans = sequence.spans(slots);
        let rows = spans.iter().flat_map(|s| (0..s.count()).map(move |i| (s, i)));
        rows.map(|(s, i)| (s.start() + i, s.keys(i..i + 1, 0..2, &mut buffer).row(0)[0])).collect()
    }

    #[test]
    fn forks_share_what_came_before_and_nothing_after() {
        let mut root = Sequence::new(&Device::Cpu, LAYOUT);
        assert_eq!(root.admit(2), 0);
        write(&mut root, 0, 0, 1.0);
        write(&mut root, 0, 1, 2.0);
        let mut children = root.fork(2);
        for (i, child) in children.iter_mut().enumerate() {
            let at = child.admit(1);
            write(child, 0, at, 10.0 + i as f32);
        }
        assert_eq!(read(&children[0], &[0]), [(0, 1.0), (1, 2.0), (2, 10.0)]);
        assert_eq!(read(&children[1], &[0]), [(0, 1.0), (1, 2.0), (2, 11.0)]);
        let grandchild = children.remove(1).fork(1).remove(0);
        assert_eq!(grandchild.own_bytes(), 0);
        assert_eq!(read(&grandchild, &[0]), [(0, 1.0), (1, 2.0), (2, 11.0)]);
    }

    #[test]
    fn positions_without_a_slot_fall_back_or_drop_out() {
        let mut sequence = Sequence::new(&Device::Cpu, LAYOUT);
        sequence.admit(4);
        for position in 0..4 {
            write(&mut sequence, 0, position, position as f32);
        }
        write(&mut sequence, 3, 1, 11.0);
        write(&mut sequence, 3, 3, 13.0);
        assert_eq!(read(&sequence, &[3]), [(1, 11.0), (3, 13.0)]);
        assert_eq!(read(&sequence, &[3, 0]), [(0, 0.0), (1, 11.0), (2, 2.0), (3, 13.0)]);
        assert_eq!(read(&sequence, &[7]), []);
    }

    #[test]
    fn shared_and_foreign_positions_are_refused() {
        let mut root = Sequence::new(&Device::Cpu, LAYOUT);
        root.admit(1);
        let mut child = root.fork(1).remove(0);
        let row = [0.0, 0.0];
        assert!(child.write(0, 0, [(&row[..], &row[..])]).is_err(), "a shared position");
        assert!(child.write(0, 1, [(&row[..], &row[..])]).is_err(), "a position not admitted");
        child.admit(1);
        assert!(child.write(0, 1, [(&row[..1], &row[..])]).is_err(), "a narrow row");
    }
}
