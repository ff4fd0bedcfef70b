//! What a query reads of a sequence.

use std::ops::Range;

use half::bf16;
use smallvec::SmallVec;

use crate::{
    DType,
    cpu::{fetch::fetch, widen::widen},
    gpu::params::KvSpan,
};

#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
    /// Address of the segment's first position, and bytes from one slot to the next.
    Device(u64, u64),
}

/// Some channels of consecutive positions, as f32.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    width: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    /// Channels of position `index`.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..index * self.stride + self.width]
    }

    /// Number of positions.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Channels a position.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// From the first channel of the first position on.
    #[inline(always)]
    pub(crate) fn data(&self) -> &'a [f32] {
        self.data
    }

    /// Elements from one position to the next.
    #[inline(always)]
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }
}

/// What a query reads, in rising order of positions.
pub type Spans<'a> = SmallVec<[Span<'a>; 4]>;

/// Consecutive positions read from one slot of one segment.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    pub(super) keys: View<'a>,
    pub(super) values: View<'a>,
    pub(super) width: usize,
    /// First position, counted from the segment's.
    pub(super) offset: usize,
    /// First position, counted from the sequence's.
    pub(super) start: usize,
    pub(super) count: usize,
    /// Whether the segment is one that the sequence may share with others.
    pub(super) shared: bool,
}

impl<'a> Span<'a> {
    /// Absolute position of the first.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Number of positions.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Channels of one position's keys, and of its values.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Channels `channels` of the keys of `positions`, counted from the span's first; `buffer` holds them if they need
    /// widening, and has to have room for them.
    #[inline]
    pub fn keys<'b>(&self, positions: Range<usize>, channels: Range<usize>, buffer: &'b mut [f32]) -> Rows<'b>
    where
        'a: 'b,
    {
        self.rows(self.keys, positions, channels, buffer)
    }

    /// As [`Span::keys`], of the values.
    #[inline]
    pub fn values<'b>(
        &self,
        positions: Range<usize>,
        channels: Range<usize>,
        buffer: &'b mut [f32],
    ) -> Rows<'b>
    where
        'a: 'b,
    {
        self.rows(self.values, positions, channels, buffer)
    }

    #[inline(always)]
    fn rows<'b>(
        &self,
        view: View<'a>,
        positions: Range<usize>,
        channels: Range<usize>,
        buffer: &'b mut [f32],
    ) -> Rows<'b>
    where
        'a: 'b,
    {
        let (first, end) = (self.offset + positions.start, self.offset + positions.end);
        let (width, count) = (channels.len(), positions.len());
        match view {
            View::F32(data) => {
                let end = end * self.width;
                // Past the end only where there are no positions.
                let data = &data[(first * self.width + channels.start).min(end)..end];
                Rows { data, stride: self.width, width, count }
            }
            View::Bf16(data) => {
                widen(&data[first * self.width..end * self.width], self.width, channels, buffer);
                Rows { data: &buffer[..count * width], stride: width, width, count }
            }
            View::Device(..) => panic!("keys on a GPU, read as the host's"),
        }
    }

    /// Asks the caches for the keys of `positions`, all channels.
    pub(crate) fn fetch_keys(&self, positions: Range<usize>) {
        self.fetch(self.keys, positions);
    }

    /// As [`Span::fetch_keys`], for values.
    pub(crate) fn fetch_values(&self, positions: Range<usize>) {
        self.fetch(self.values, positions);
    }

    fn fetch(&self, view: View<'_>, Range { start, end }: Range<usize>) {
        let elements = (self.offset + start) * self.width..(self.offset + end) * self.width;
        match view {
            View::F32(data) => fetch(&data[elements]),
            View::Bf16(data) => fetch(&data[elements]),
            View::Device(..) => {}
        }
    }

    /// Whether it lies in a segment that the sequence may share with others, rather than in the one that grows.
    pub(crate) fn shared(&self) -> bool {
        self.shared
    }

    /// As kernels read it that add `slot` times the stride; of a span on a GPU.
    pub(crate) fn device(&self, slot: usize, dtype: DType) -> KvSpan {
        let skipped = (self.offset * self.width * dtype.bytes()) as u64;
        let at = |view: View<'_>| match view {
            View::Device(address, stride) => ((address + skipped).wrapping_sub(slot as u64 * stride), stride),
            View::F32(_) | View::Bf16(_) => (0, 0),
        };
        let ((keys, slot_stride), (values, _)) = (at(self.keys), at(self.values));
        KvSpan { keys, values, slot_stride, start: self.start as u32, count: self.count as u32 }
    }

    /// Whether both read the same memory.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let at = |view: View<'_>| match view {
            View::F32(data) => data.as_ptr().addr(),
            View::Bf16(data) => data.as_ptr().addr(),
            View::Device(address, _) => address as usize,
        };
        at(self.keys) == at(other.keys) && (self.offset, self.start) == (other.offset, other.start)
    }

    /// The same span, cut so that it ends before absolute position `end`.
    #[inline]
    pub(crate) fn until(self, end: usize) -> Self {
        Self { count: self.count.min(end.saturating_sub(self.start)), ..self }
    }
}
