//! Causal attention of rows over the positions of their sequences, segment by segment.
//!
//! Neighbouring rows go through it together, so that what they share (a prompt's keys and values, for all of its
//! trajectories) is read once for all of them.

mod dots;
mod weighted;

use std::{array, ops::Range};

use rayon::prelude::*;
use smallvec::SmallVec;

use super::{activation::exp, simd::widest, tile::Level};
use crate::{
    kv::{Sequence, Span, Spans},
    ops::attention::{Heads, MAX_DIM, Query},
};

/// Rows that go together at most.
const ROWS: usize = 4;

/// Tiles of rows a task at least, so that a task outweighs its start.
const TILES: usize = 2;

/// Elements of keys or values that were stored in bf16 and are widened at a time.
const WIDENED: usize = 4 * MAX_DIM;

/// What a task works on.
struct Bench {
    /// Scores of a tile's rows, on the stack for contexts of usual length.
    scores: SmallVec<[f32; ROWS * 1024]>,
    widened: [f32; WIDENED],
}

impl Bench {
    fn new() -> Self {
        Self { scores: SmallVec::new(), widened: [0.0; WIDENED] }
    }
}

/// out = softmax(q·kᵀ/√d)·v for each row and head; `q` holds a row's queries first, `stride` elements a row.
///
/// A score is four interleaved chains of fused multiply-adds. Maximum, weights and the weighted sum each run over
/// positions in rising order, so the result does not depend on where one segment ends and the next begins.
pub(crate) fn attention<S: AsRef<Sequence> + Sync>(
    q: &[f32],
    stride: usize,
    sequences: &[S],
    slots: &[usize],
    rows: &[Query],
    heads: Heads,
    out: &mut [f32],
) {
    let tiles = out.par_chunks_mut(ROWS * heads.query * heads.dim).zip(q.par_chunks(ROWS * stride));
    tiles.zip(rows.par_chunks(ROWS)).with_min_len(TILES).for_each_init(
        Bench::new,
        |bench, ((out, q), rows)| {
            let spans = rows.iter().map(|row| sequences[row.sequence].as_ref().spans(slots));
            let spans: SmallVec<[Spans<'_>; ROWS]> = spans.collect();
            let tile = Tile { q, stride, spans: &spans, rows, heads };
            match rows.len() {
                1 => tile.run::<1>(bench, out),
                2 => tile.run::<2>(bench, out),
                3 => tile.run::<3>(bench, out),
                _ => tile.run::<ROWS>(bench, out),
            }
        },
    );
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

impl<'s> Tile<'_, 's> {
    fn run<const R: usize>(&self, Bench { scores, widened }: &mut Bench, out: &mut [f32]) {
        let level = Level::best();
        let Heads { query, kv, dim } = self.heads;
        let pieces = self.pieces();
        let mut seen = [0; R];
        for piece in &pieces {
            seen[piece.rows.clone()].fill(piece.base + piece.positions.len());
        }
        let stride = seen.into_iter().max().unwrap_or(0);
        if scores.len() < R * stride {
            scores.resize(R * stride, 0.0);
        }
        for head in 0..query {
            let channels = head / (query / kv) * dim..(head / (query / kv) + 1) * dim;
            let q: [&[f32]; R] = array::from_fn(|row| &self.q[row * self.stride + head * dim..][..dim]);
            for (piece, positions, at) in chunks(&pieces, dim) {
                let keys = piece.span.keys(positions, channels.clone(), widened);
                let first = piece.rows.start;
                let scores = &mut scores[first * stride + at..];
                match piece.rows.len() {
                    1 => dots::dots(level, [q[first]], &keys, scores, stride),
                    _ => dots::dots(level, q, &keys, scores, stride),
                }
            }
            let mut factors = [0.0; R];
            for (row, factor) in factors.iter_mut().enumerate() {
                soften(&mut scores[row * stride..row * stride + seen[row]], dim, factor);
            }
            for row in out.chunks_mut(query * dim) {
                row[head * dim..(head + 1) * dim].fill(0.0);
            }
            for (piece, positions, at) in chunks(&pieces, dim) {
                let values = piece.span.values(positions, channels.clone(), widened);
                let first = piece.rows.start;
                let (weights, out) =
                    (&scores[first * stride + at..], &mut out[first * query * dim + head * dim..]);
                match piece.rows.len() {
                    1 => weighted::add_weighted::<1>(level, weights, stride, &values, out, query * dim),
                    _ => weighted::add_weighted::<R>(level, weights, stride, &values, out, query * dim),
                }
            }
            for (row, factor) in out.chunks_mut(query * dim).zip(factors) {
                row[head * dim..(head + 1) * dim].iter_mut().for_each(|out| *out *= factor);
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

/// The pieces' positions, as many at a time as fit the buffer of widened ones, and how many were read before them.
fn chunks<'p, 's>(
    pieces: &'p [Piece<'s>],
    dim: usize,
) -> impl Iterator<Item = (&'p Piece<'s>, Range<usize>, usize)> {
    pieces.iter().flat_map(move |piece| {
        let Range { start, end } = piece.positions;
        let starts = (start..end).step_by(WIDENED / dim);
        starts.map(move |at| (piece, at..(at + WIDENED / dim).min(end), piece.base + at - start))
    })
}

widest! {
    /// scores ← exp(scores/√d − maximum) and their inverse sum, by rising position.
    fn soften(scores: &mut [f32], dim: usize, factor: &mut f32) {
        let scale = 1.0 / (dim as f32).sqrt();
        let mut max = [f32::NEG_INFINITY; 16];
        let (whole, rest) = scores.as_chunks_mut::<16>();
        for chunk in whole {
            for (score, max) in chunk.iter_mut().zip(&mut max) {
                *score *= scale;
                *max = if *score > *max { *score } else { *max };
            }
        }
        for (score, max) in rest.iter_mut().zip(&mut max) {
            *score *= scale;
            *max = if *score > *max { *score } else { *max };
        }
        let max = max.into_iter().fold(f32::NEG_INFINITY, f32::max);
        scores.iter_mut().for_each(|score| *score = exp(*score - max));
        *factor = 1.0 / scores.iter().fold(0.0, |sum, weight| sum + weight);
    }
}
