//! Tiles of products on sm_90a (`kernels/wgmma_gemm.h`): which kernel runs, its grid, and the maps of its operands.

use super::{Gpu, Kernel, Tiled, params::Rows};
use crate::{DType, Result};

/// The part of a product that one block has.
#[derive(Debug, Clone, Copy)]
struct Tile {
    rows: usize,
    columns: usize,
    stages: usize,
}

/// The least first. Only the largest is launched side by side.
const TILES: [Tile; 3] = [
    Tile { rows: 16, columns: 64, stages: 8 },
    Tile { rows: 64, columns: 64, stages: 5 },
    Tile { rows: 128, columns: 128, stages: 4 },
];

/// Channels of a stage.
const DEPTH: usize = 64;

impl Tile {
    /// Warpgroups that multiply, 64 columns each, and the producer's warp.
    fn threads(&self) -> usize {
        self.columns / 64 * 128 + 32
    }

    /// The ring, the sums with 8 words between rows, and two barriers a stage.
    fn shared(&self) -> usize {
        let ring = self.stages * (self.rows + self.columns) * DEPTH * DType::Bf16.bytes();
        let sums = self.rows * (self.columns + 8) * size_of::<f32>();
        ring + sums + 2 * self.stages * size_of::<u64>()
    }
}

/// The kernels of an operation, one a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels {
    pub(super) file: &'static str,
    pub(super) names: [&'static str; TILES.len()],
}

/// What a product is launched with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) kernel: Kernel,
    pub(super) grid: [usize; 3],
    pub(super) threads: u32,
    pub(super) shared: usize,
    pub(super) x_map: [u64; 16],
    pub(super) weight_map: [u64; 16],
}

impl Kernels {
    /// For x `[rows, k]` and a weight `[n][k]`, neither of them empty: forms differ in speed alone, sums have the same bits
    /// in each.
    pub(super) fn form(
        &self,
        gpu: &Gpu,
        (rows, x): (usize, Rows),
        (n, weight): (usize, Rows),
        k: usize,
    ) -> Result<Form> {
        let fits = |tile: &Tile| rows <= tile.rows;
        let index = TILES.iter().position(fits).unwrap_or(TILES.len() - 1);
        let tile = &TILES[index];
        let map = |rows: usize, of: Rows, tile_rows: usize| {
            gpu.executor().tensor_map(&Tiled {
                address: of.data,
                rows: rows as u64,
                columns: k as u64,
                pitch: u64::from(of.pitch) * DType::Bf16.bytes() as u64,
                tile_rows: tile_rows as u32,
            })
        };
        Ok(Form {
            kernel: Kernel { file: self.file, name: self.names[index] },
            grid: [rows.div_ceil(tile.rows), n.div_ceil(tile.columns), 1],
            threads: tile.threads() as u32,
            shared: tile.shared(),
            x_map: map(rows, x, tile.rows)?,
            weight_map: map(n, weight, tile.columns)?,
        })
    }
}

/// Whether a product with weights of `dtype` runs on these kernels.
pub(super) fn runs(gpu: &Gpu, dtype: DType) -> bool {
    dtype == DType::Bf16 && gpu.executor().hopper()
}
