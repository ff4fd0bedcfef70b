//! Tiles of products (`kernels/gemm.h`, `kernels/gemm_f32.h`): which kernel runs, and its grid.

use super::Kernel;
use crate::DType;

/// The part of a product that one block has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    rows: usize,
    columns: usize,
    pub(super) threads: u32,
    /// Bytes of the ring of rows in bf16.
    ring: usize,
    /// Bytes more where rows come in f32: as much again in the ring, and two tiles of bf16.
    transformed: usize,
}

/// Bytes of 64 channels of a row in bf16.
const ROW: usize = 64 * 2;

impl Tile {
    const fn new(rows: usize, columns: usize, threads: u32, stages: usize) -> Self {
        let ring = stages * (rows + columns) * ROW;
        Self { rows, columns, threads, ring, transformed: (stages + 2) * rows * ROW }
    }

    pub(super) fn grid(&self, rows: usize, n: usize) -> [usize; 3] {
        [rows.div_ceil(self.rows), n.div_ceil(self.columns), 1]
    }
}

const F32: Tile = Tile { rows: 32, columns: 64, threads: 128, ring: (32 + 64) * 68 * 4, transformed: 0 };
const SKINNY: Tile = Tile::new(16, 32, 128, 8);
const MEDIUM: Tile = Tile::new(64, 64, 128, 4);
const TALL: Tile = Tile::new(128, 128, 256, 3);

/// Rows up to which the next smaller tile is the faster one.
const SKINNY_ROWS: usize = 16;
const MEDIUM_ROWS: usize = 256;

/// How rows of x come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// In the weight's type.
    Plain,
    /// In f32, and something is made of them on the way in.
    Transformed,
}

/// The kernels of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels {
    pub(super) file: &'static str,
    pub(super) input: Input,
    pub(super) f32: &'static str,
    pub(super) skinny: &'static str,
    pub(super) medium: &'static str,
    /// Only where the input is plain.
    pub(super) tall: Option<&'static str>,
}

/// What a product is launched with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) kernel: Kernel,
    pub(super) tile: Tile,
    pub(super) shared: usize,
}

impl Kernels {
    /// For weights of `dtype`: forms differ in speed alone, sums have the same bits in each.
    pub(super) fn form(&self, dtype: DType, rows: usize) -> Form {
        let (name, tile) = match (dtype, self.tall) {
            (DType::F32, _) => (self.f32, F32),
            (DType::Bf16, _) if rows <= SKINNY_ROWS => (self.skinny, SKINNY),
            (DType::Bf16, Some(tall)) if rows > MEDIUM_ROWS => (tall, TALL),
            (DType::Bf16, _) => (self.medium, MEDIUM),
        };
        let transformed = if self.input == Input::Transformed { tile.transformed } else { 0 };
        Form { kernel: Kernel { file: self.file, name }, tile, shared: tile.ring + transformed }
    }
}
