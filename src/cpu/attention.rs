//! Causal attention of rows over the positions of their sequences, segment by segment.
//!
//! Neighbouring rows go through it together, so that what they share (a prompt's keys and values, for all of its
//! trajectories) is read once for all of them.

mod dots;
mod weighted;

use std::{array, cell::RefCell, ops::Range};

use rayon::prelude::*;
use smallvec::SmallVec;

use super::{
    activation::exp,
    simd::{halved, widest},
    tile::Level,
};
use crate::{
    kv::{Sequence, Slots, Span, Spans},
    ops::attention::{Heads, MAX_DIM, Query},
};

/// Rows that go together at most.
const ROWS: usize = 4;

/// Tiles of rows a task at least, so that a task outweighs its start.
const TILES: usize = 2;

/// Scores of a tile at a time: as many heads go together as fit, at least one, so that memory is read along the positions'
/// rows.
const SCORES: usize = ROWS * 1024;

/// Positions at a time: few enough that their rows are still near when the next head reads on in them.
const POSITIONS: usize = 16;

/// What a tile works on.
struct Bench {
    /// By head, row and position.
    scores: Vec<f32>,
    /// Keys or values of one head that were stored in bf16.
    widened: [f32; POSITIONS * MAX_DIM],
    /// What turns sums into means, by head and row.
    factors: [f32; SCORES],
}

thread_local! {
    // Memory alone: nothing that is in it outlives a tile.
    static BENCH: RefCell<Box<Bench>> = RefCell::new(Box::new(Bench {
        scores: vec![0.0; SCORES],
        widened: [0.0; POSITIONS * MAX_DIM],
        factors: [0.0; SCORES],
    }));
}

/// out = softmax(q·kᵀ/√d)·v for each row and head; `q` holds a row's queries first, `stride` elements a row.
///
/// A score is four interleaved chains of fused multiply-adds. Maximum, weights and the weighted sum each run over
/// positions in rising order, so the result does not depend on where one segment ends and the next begins.
pub(crate) fn attention<S: AsRef<Sequence> + Sync>(
    q: &[f32],
    stride: usize,
    sequences: &[S],
    slots: Slots<'_>,
    rows: &[Query],
    heads: Heads,
    out: &mut [f32],
) {
    let tiles = out.par_chunks_mut(ROWS * heads.query * heads.dim).zip(q.par_chunks(ROWS * stride));
    tiles.zip(rows.par_chunks(ROWS)).with_min_len(TILES).for_each(|((out, q), rows)| {
        let spans = rows.iter().map(|row| sequences[row.sequence].as_ref().spans(slots.of(row.sequence)));
        let spans: SmallVec<[Spans<'_>; ROWS]> = spans.collect();
        let tile = Tile { q, stride, spans: &spans, rows, heads };
        BENCH.with_borrow_mut(|bench| match rows.len() {
            1 => tile.run::<1>(bench, out),
            2 => tile.run::<2>(bench, out),
            3 => tile.run::<3>(bench, out),
            _ => tile.run::<ROWS>(bench, out),
        });
    });
}

/// Up to [`ROWS`] neighbouring rows.
struct Tile<'t, 's> {
    q: &'t [f32],
    stride: usize,
    spans: &'t [Spans<'s>],
    rows: &'t [Query],
    heads: Heads,
}

/// Positions that some of a tile's rows read together.
struct Piece<'a> {
    /// All rows of the tile, or one.
    rows: Range<usize>,
    span: Span<'a>,
    /// Counted from the span's first.
    positions: Range<usize>,
    /// How many positions the rows read before these.
    base: usize,
}

impl<'s> Piece<'s> {
    /// Asks for positions that are read soon. What several rows share stays in a cache by itself.
    fn fetch(&self, positions: Range<usize>, fetch: impl Fn(&Span<'s>, Range<usize>)) {
        if self.rows.len() == 1 {
            fetch(&self.span, positions);
        }
    }
}

impl<'s> Tile<'_, 's> {
    fn run<const R: usize>(&self, Bench { scores, widened, factors }: &mut Bench, out: &mut [f32]) {
        let level = Level::best();
        let Heads { query, kv, dim } = self.heads;
        let pieces = self.pieces();
        let mut seen = [0; R];
        for piece in &pieces {
            seen[piece.rows.clone()].fill(piece.base + piece.positions.len());
        }
        let stride = seen.into_iter().max().unwrap_or(0);
        let together = (SCORES / (R * stride.max(1))).clamp(1, query);
        if scores.len() < together * R * stride {
            scores.resize(together * R * stride, 0.0);
        }
        let width = query * dim;
        for first in (0..query).step_by(together) {
            let heads = first..(first + together).min(query);
            let channels = |head: usize| head / (query / kv) * dim..(head / (query / kv) + 1) * dim;
            let mut next = chunks(&pieces).skip(1);
            for (piece, positions, at) in chunks(&pieces) {
                match next.next() {
                    Some((piece, positions, _)) => piece.fetch(positions, Span::fetch_keys),
                    None => chunks(&pieces)
                        .take(1)
                        .for_each(|(piece, positions, _)| piece.fetch(positions, Span::fetch_values)),
                }
                for head in heads.clone() {
                    let keys = piece.span.keys(positions.clone(), channels(head), widened);
                    let row = piece.rows.start;
                    let scores = &mut scores[((head - first) * R + row) * stride + at..];
                    let q = |row: usize| &self.q[row * self.stride + head * dim..][..dim];
                    match piece.rows.len() {
                        1 => dots::dots(level, [q(row)], &keys, scores, stride),
                        _ => dots::dots::<R>(level, array::from_fn(q), &keys, scores, stride),
                    }
                }
            }
            let of_heads = scores.chunks_mut((R * stride).max(1)).zip(factors.as_chunks_mut::<R>().0);
            of_heads
                .take(heads.len())
                .for_each(|(scores, factors)| soften(scores, stride, &seen, dim, factors));
            for row in out.chunks_mut(width) {
                row[heads.start * dim..heads.end * dim].fill(0.0);
            }
            let mut next = chunks(&pieces).skip(1);
            for (piece, positions, at) in chunks(&pieces) {
                if let Some((piece, positions, _)) = next.next() {
                    piece.fetch(positions, Span::fetch_values);
                }
                for head in heads.clone() {
                    let values = piece.span.values(positions.clone(), channels(head), widened);
                    let row = piece.rows.start;
                    let weights = &scores[((head - first) * R + row) * stride + at..];
                    let out = &mut out[row * width + head * dim..];
                    match piece.rows.len() {
                        1 => weighted::add_weighted::<1>(level, weights, stride, &values, out, width),
                        _ => weighted::add_weighted::<R>(level, weights, stride, &values, out, width),
                    }
                }
            }
            for (index, factor) in factors[..heads.len() * R].iter().enumerate() {
                let at = index % R * width + (heads.start + index / R) * dim;
                out[at..at + dim].iter_mut().for_each(|out| *out *= factor);
            }
        }
    }

    /// What the rows read, in an order that is rising for each of them.
    fn pieces(&self) -> SmallVec<[Piece<'s>; 8]> {
        let views: SmallVec<[Spans<'s>; ROWS]> = self.rows.iter().zip(self.spans).map(visible).collect();
        let mut bases = [0; ROWS];
        let mut pieces = SmallVec::new();
        let longest = views.iter().map(|view| view.len()).max().unwrap_or(0);
        let mut together = true;
        for index in 0..longest {
            let first = views[0].get(index).copied();
            together &= views.iter().all(|view| view.get(index).zip(first).is_some_and(|(a, b)| a.same(&b)));
            let counts = views.iter().map(|view| view.get(index).map_or(0, Span::count));
            let common = if together { counts.clone().min().unwrap_or(0) } else { 0 };
            if let Some(span) = first.filter(|_| common > 0) {
                pieces.push(Piece { rows: 0..views.len(), span, positions: 0..common, base: bases[0] });
            }
            for (row, (view, count)) in views.iter().zip(counts).enumerate() {
                if let Some(&span) = view.get(index).filter(|_| count > common) {
                    let base = bases[row] + common;
                    pieces.push(Piece { rows: row..row + 1, span, positions: common..count, base });
                }
                bases[row] += count;
            }
        }
        pieces
    }
}

/// The spans' positions that `query` sees.
fn visible<'s>((query, spans): (&Query, &Spans<'s>)) -> Spans<'s> {
    let seen = spans.iter().take_while(|span| span.start() < query.visible);
    seen.map(|span| span.until(query.visible)).collect()
}

/// The pieces' positions, [`POSITIONS`] at a time, and how many were read before them.
fn chunks<'p, 's>(pieces: &'p [Piece<'s>]) -> impl Iterator<Item = (&'p Piece<'s>, Range<usize>, usize)> {
    pieces.iter().flat_map(move |piece| {
        let Range { start, end } = piece.positions;
        let starts = (start..end).step_by(POSITIONS);
        starts.map(move |at| (piece, at..(at + POSITIONS).min(end), piece.base + at - start))
    })
}

/// Lanes of maximum and sum.
pub(crate) const LANES: usize = 16;

widest! {
    /// Of each row, `stride` scores from one to the next, the first `seen` become exp(score/√d − maximum), and its factor the
    /// inverse of their sum: positions by rank mod 16, then halves onto halves. All maxima come first: no row waits for another.
    pub(crate) fn soften(scores: &mut [f32], stride: usize, seen: &[usize], dim: usize, factors: &mut [f32]) {
        let scale = 1.0 / (dim as f32).sqrt();
        for ((scores, &seen), factor) in scores.chunks_mut(stride.max(1)).zip(seen).zip(&mut *factors) {
            let mut max = [f32::NEG_INFINITY; LANES];
            let mut raise = |scores: &mut [f32]| {
                for (score, max) in scores.iter_mut().zip(&mut max) {
                    *score *= scale;
                    *max = if *score > *max { *score } else { *max };
                }
            };
            // Whole chunks apart, so that they become whole vectors.
            let (whole, rest) = scores[..seen].as_chunks_mut::<LANES>();
            whole.iter_mut().for_each(|scores| raise(scores));
            raise(rest);
            *factor = halved(max, |a, b| if a > b { a } else { b });
        }
        for ((scores, &seen), factor) in scores.chunks_mut(stride.max(1)).zip(seen).zip(factors) {
            let (max, mut sums) = (*factor, [0.0; LANES]);
            let mut add = |scores: &mut [f32]| {
                for (score, sum) in scores.iter_mut().zip(&mut sums) {
                    *score = exp(*score - max);
                    *sum += *score;
                }
            };
            let (whole, rest) = scores[..seen].as_chunks_mut::<LANES>();
            whole.iter_mut().for_each(|scores| add(scores));
            add(rest);
            *factor = 1.0 / halved(sums, |a, b| a + b);
        }
    }
}

#[cfg(test)]
mod testing {
    use crate::{
        DType, Device,
        kv::{Layout, Sequence},
    };

    /// Numbers from −1 to 1 without a pattern.
    pub(super) fn value(i: usize) -> f32 {
        ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0
    }

    /// `count` positions in slot 0, keys and values the same.
    pub(super) fn sequence(count: usize, width: usize) -> Sequence {
        let mut sequence = Sequence::new(&Device::Cpu, Layout { width, dtype: DType::F32, slots: 1 });
        let rows: Vec<f32> = (0..count * width).map(|i| value(i + 77)).collect();
        let first = sequence.admit(count);
        sequence.write(0, first, rows.chunks(width).map(|row| (row, row))).unwrap();
        sequence
    }
}
