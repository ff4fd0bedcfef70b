//! Trajectories of a toy latent reasoner, on nothing but `fathom`: one attention layer with random weights whose
//! output is fed back as the next input.
//!
//! The prompt's keys and values are computed once and shared; each trajectory perturbs its own thoughts with noise
//! that follows from (seed, prompt, trajectory) alone, so that it is the same in any company.

use std::slice;

use fathom::{
    DType, Device, Error, Perturb, Tensor, Weight,
    kv::{Layout, Sequence},
    ops::{
        arg_max::arg_max,
        attention::{Heads, Query, attention},
        embedding::embedding,
        linear::{Epilogue, linear},
        perturb::perturb,
        rms_norm::rms_norm,
    },
    random::{Coordinates, Draw, Site, Stream, fill_normals, key},
};

const WIDTH: usize = 64;
const VOCABULARY: usize = 100;
const HEADS: Heads = Heads { query: 4, kv: 2, dim: 16 };
const STEPS: usize = 4;

fn main() -> Result<(), Error> {
    let model = Model::random();
    let prompt = [17, 4, 93, 8, 51];
    let together = think(&model, &prompt, &[0, 1])?;
    for (trajectory, thought) in together.iter().enumerate() {
        println!(
            "trajectory {trajectory}: answer {:>2}, thought {:+.4?} …",
            thought.answer,
            &thought.state[..4]
        );
        assert_eq!(*thought, think(&model, &prompt, &[trajectory as u32])?[0], "the same alone");
    }
    println!("each is bit for bit the same alone");
    Ok(())
}

/// x + attention(norm(x)) in one layer, and a head that is also the embedding.
struct Model {
    norm: Vec<f32>,
    qkv: Weight,
    output: Weight,
    head: Weight,
}

/// What a pass works on; tensors keep their memory, so that the next pass allocates none.
struct Scratch {
    normed: Tensor,
    qkv: Tensor,
    mixed: Tensor,
}

impl Model {
    fn random() -> Self {
        let weight = |index: u16, k: usize, n: usize| {
            let mut values = vec![0.0; k * n];
            let at = Coordinates { draw: Draw { key: 2024, trajectory: 0 }, position: 0, iteration: 0 };
            fill_normals(&mut values, at, Site::Mlp(index));
            Weight::from_fn(&Device::Cpu, DType::F32, k, n, |row, column| {
                values[row * n + column] / (k as f32).sqrt()
            })
        };
        Self {
            norm: vec![1.0; WIDTH],
            qkv: weight(0, WIDTH, HEADS.fused_width()),
            output: weight(1, HEADS.query * HEADS.dim, WIDTH),
            head: weight(2, WIDTH, VOCABULARY),
        }
    }

    /// Feeds each sequence the next `count` rows of x, which become the layer's outputs.
    fn forward(
        &self,
        x: &mut Tensor,
        sequences: &mut [Sequence],
        count: usize,
        Scratch { normed, qkv, mixed }: &mut Scratch,
    ) -> Result<(), Error> {
        rms_norm(x, &self.norm, 1e-6, normed)?;
        linear(normed, &self.qkv, None, Epilogue::None, qkv)?;
        let (keys, values) = (HEADS.query * HEADS.dim, (HEADS.query + HEADS.kv) * HEADS.dim);
        let mut queries = Vec::new();
        for (index, sequence) in sequences.iter_mut().enumerate() {
            let (from, first) = (queries.len(), sequence.admit(count));
            let rows = (from..from + count).map(|row| (&qkv.row(row)[keys..values], &qkv.row(row)[values..]));
            sequence.write(0, first, rows)?;
            queries.extend((first..first + count).map(|at| Query { sequence: index, visible: at + 1 }));
        }
        attention(qkv, HEADS, sequences, &[0], &queries, mixed)?;
        linear(mixed, &self.output, None, Epilogue::Residual(Perturb::None), x)
    }
}

#[derive(Debug, PartialEq)]
struct Thought {
    state: Vec<f32>,
    answer: u32,
}

/// Prefills the prompt once, then thinks all `trajectories` side by side.
fn think(model: &Model, prompt: &[u32], trajectories: &[u32]) -> Result<Vec<Thought>, Error> {
    let tensor = || Tensor::empty(&Device::Cpu);
    let mut scratch = Scratch { normed: tensor(), qkv: tensor(), mixed: tensor() };
    let (mut hidden, mut state) = (tensor(), tensor());

    let mut root = Sequence::new(&Device::Cpu, Layout { width: HEADS.kv * HEADS.dim, dtype: DType::F32, slots: 1 });
    embedding(&model.head, prompt, 1.0, &mut hidden)?;
    model.forward(&mut hidden, slice::from_mut(&mut root), prompt.len(), &mut scratch)?;
    let mut sequences = root.fork(trajectories.len());
    hidden.select(&vec![prompt.len() - 1; trajectories.len()], &mut state)?;

    let key = key(42, prompt, Stream::Trajectory);
    for step in 0..STEPS {
        let position = (prompt.len() + step) as u32;
        let at = |&trajectory| Coordinates { draw: Draw { key, trajectory }, position, iteration: 0 };
        let rows: Vec<Coordinates> = trajectories.iter().map(at).collect();
        perturb(&mut state, Perturb::Noise { std: 0.6, site: Site::Latent, rows: &rows })?;
        model.forward(&mut state, &mut sequences, 1, &mut scratch)?;
    }
    let mut answers = Vec::new();
    arg_max(&state, &model.head, &mut answers)?;
    let thought = |(row, answer)| Thought { state: state.row(row).to_vec(), answer };
    Ok(answers.into_iter().enumerate().map(thought).collect())
}
