//! An adapter and a sandwich block with random weights, and how trajectories think with them.

use fathom::{
    DType, Device, Error, Keep, Perturb, Tensor, Weight,
    kv::{Layout, Run, Sequence},
    ops::{
        adapter::adapter,
        attention::Heads,
        linear::{Epilogue, linear},
        perturb::perturb,
        qkv::Rotation,
        rope::{self, angles, frequency},
        sandwich::{Block, Scratch, Stack, sandwich},
    },
    random::{Coordinates, Draw, Site, Stream, fill_normals, key},
};

use crate::owner::Owner;

pub const WIDTH: usize = 64;
const HIDDEN: usize = 96;
const HEADS: Heads = Heads { query: 4, kv: 4, dim: 16 };
const STEPS: usize = 2;
const EPS: f32 = 1e-6;
const SEED: u64 = 42;

pub struct Model {
    /// The halves of the adapter's matrix: for the state, and for the embedding.
    adapter: [Weight; 2],
    block: [Block; 1],
}

/// Standard normals that follow from `index` alone.
fn normals(index: u16, count: usize) -> Vec<f32> {
    let at = Coordinates { draw: Draw { key: 2024, trajectory: 0 }, position: 0, iteration: 0 };
    let mut values = vec![0.0; count];
    fill_normals(&mut values, at, Site::Mlp(index));
    values
}

impl Model {
    pub fn random(device: &Device) -> Result<Self, Error> {
        let weight = |index: u16, k: usize, n: usize| {
            let values = normals(index, k * n);
            let scale = 1.0 / (k as f32).sqrt();
            Weight::from_fn(device, DType::F32, k, n, |row, column| scale * values[row * n + column])
        };
        let norm = || Tensor::vector(device, vec![1.0; WIDTH]);
        Ok(Self {
            adapter: [weight(0, WIDTH, WIDTH)?, weight(1, WIDTH, WIDTH)?],
            block: [Block {
                norms: [norm()?, norm()?, norm()?, norm()?],
                qkv: weight(2, WIDTH, HEADS.fused_width())?,
                bias: None,
                out: weight(3, HEADS.query * HEADS.dim, WIDTH)?,
                gate_up: weight(4, WIDTH, 2 * HIDDEN)?,
                down: weight(5, HIDDEN, WIDTH)?,
            }],
        })
    }

    /// The block, for the newest positions of `runs`.
    fn core(&self, x: &mut Tensor, runs: &mut [Run<'_>], scratch: &mut Scratch) -> Result<(), Error> {
        let positions: Vec<usize> = runs.iter().flat_map(Run::positions).collect();
        let pairs = HEADS.dim / 2;
        let frequencies: Vec<f32> = (0..pairs).map(|pair| frequency(50_000.0, 2 * pair, HEADS.dim)).collect();
        let mut turns = Tensor::empty(x.device());
        angles(&positions, &frequencies, &mut turns)?;
        let rotation = Rotation { angles: &turns, layout: rope::Layout::Interleaved };
        let stack = Stack { blocks: &self.block, heads: HEADS, eps: EPS };
        sandwich(stack, x, Some(rotation), runs, |_| &[0], scratch)
    }

    /// The states of `trajectories` of the position after `prompt`, row by row.
    pub fn think(
        &self,
        owner: &mut impl Owner,
        prompt: &[u32],
        trajectories: &[u32],
    ) -> Result<Vec<f32>, Error> {
        let (device, rows) = (owner.device(), trajectories.len());
        let mut scratch = Scratch::new(&device, DType::F32);
        let cached = Layout { width: HEADS.kv * HEADS.dim, dtype: DType::F32, slots: 1 };

        // The prompt, once.
        let mut root = Sequence::new(&device, cached);
        let mut x = Tensor::new(&device, prompt.len(), WIDTH, normals(6, prompt.len() * WIDTH))?;
        self.core(&mut x, &mut [Run::admit(&mut root, prompt.len())], &mut scratch)?;
        let mut sequences = root.fork(rows);

        // The next position's embedding, and what the adapter makes of it in every recurrence.
        let embedding = owner.lend(rows, WIDTH, normals(7, WIDTH).repeat(rows))?;
        let mut injected = Tensor::empty(&device);
        linear(&embedding, &self.adapter[1], None, Epilogue::None, &mut injected)?;

        let mut state = owner.lend(rows, WIDTH, vec![0.0; rows * WIDTH])?;
        let key = key(SEED, prompt, Stream::Trajectory);
        let position = prompt.len() as u32;
        for iteration in 0..STEPS as u32 {
            let at = |&trajectory| Coordinates { draw: Draw { key, trajectory }, position, iteration };
            let coordinates: Vec<Coordinates> = trajectories.iter().map(at).collect();
            let noise = Perturb::Noise { std: 0.5, site: Site::Latent, rows: &coordinates };
            adapter(&mut state, &self.adapter[0], &injected, noise, &mut x)?;
            let mut runs: Vec<Run<'_>> = match iteration {
                0 => sequences.iter_mut().map(|sequence| Run::admit(sequence, 1)).collect(),
                _ => sequences
                    .iter_mut()
                    .map(|sequence| Run::revisit(sequence, 1))
                    .collect::<fathom::Result<_>>()?,
            };
            self.core(&mut x, &mut runs, &mut scratch)?;
            state.put(0, &x)?;
        }
        // What nothing else produces is perturbed on its own.
        let at =
            |&trajectory| Coordinates { draw: Draw { key, trajectory }, position, iteration: STEPS as u32 };
        let coordinates: Vec<Coordinates> = trajectories.iter().map(at).collect();
        let dropout = Perturb::Dropout { keep: Keep::new(0.1), site: Site::State, rows: &coordinates };
        perturb(&mut state, dropout)?;
        let states = owner.end(state)?;
        owner.end(embedding)?;
        Ok(states)
    }
}
