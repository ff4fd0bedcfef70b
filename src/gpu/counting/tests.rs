use fathom_emulator::Options;

use super::*;
use crate::{
    DType, Emulated, Perturb, Tensor, Tokens, Weight,
    kv::{Layout, Run, Sequence},
    ops::{
        adapter::adapter,
        arg_max::arg_max,
        attention::{Heads, Query, attention},
        embedding::{Input, embedding},
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        qkv::{self, Projection, qkv},
        rms_norm::{double_norm, rms_norm},
        scale::scale,
    },
};

/// A product of one tile on sm_80: rows, channels in and out. Its operands pass once.
const ROWS: usize = 16;
const K: usize = 64;
const N: usize = 32;
const HEADS: Heads = Heads { query: 1, kv: 1, dim: 16 };
const PROMPT: usize = 32;

fn rows(device: &Device, dtype: DType, count: usize, width: usize) -> Result<Tensor> {
    let mut rows = Tensor::operand(device, dtype);
    rows.set(count, width, &vec![0.5; count * width])?;
    Ok(rows)
}

fn weight(device: &Device, k: usize, n: usize) -> Result<Weight> {
    Weight::from_fn(device, DType::Bf16, k, n, |row, column| (row + column) as f32 / 64.0)
}

/// Forks of one prompt, with a position of their own that a pass is about to write.
fn sequences(device: &Device) -> Result<Vec<Sequence>> {
    let layout = Layout { width: HEADS.dim, dtype: DType::Bf16, slots: 1 };
    let mut prompt = Sequence::new(device, layout);
    let first = prompt.admit(PROMPT);
    let row = [0.25; HEADS.dim];
    prompt.write(0, first, vec![(&row[..], &row[..]); PROMPT])?;
    Ok(prompt.fork(ROWS))
}

fn product(device: &Device, epilogue: Epilogue<'_>, of: DType) -> Result<()> {
    let (x, w) = (rows(device, DType::Bf16, ROWS, K)?, weight(device, K, N)?);
    let bias = Tensor::vector(device, vec![1.0; N])?;
    let mut out = rows(device, of, ROWS, N)?;
    linear(&x, &w, Some(&bias), epilogue, &mut out)
}

/// Attention of the last rows of one sequence of so many positions, a tile's worth or fewer.
fn prefill(device: &Device, dtype: DType, count: usize) -> Result<()> {
    let mut sequence = Sequence::new(device, Layout { width: HEADS.dim, dtype, slots: 1 });
    let first = sequence.admit(PROMPT);
    let row = [0.25; HEADS.dim];
    sequence.write(0, first, vec![(&row[..], &row[..]); PROMPT])?;
    let visible = PROMPT + 1 - count..=PROMPT;
    let queries: Vec<_> = visible.map(|visible| Query { sequence: 0, visible }).collect();
    let q = rows(device, dtype, count, HEADS.dim)?;
    attention(&q, HEADS, &[sequence], &[0], &queries, &mut Tensor::operand(device, dtype))
}

/// Projection, then attention of each row to the prompt and itself.
fn attend(device: &Device) -> Result<()> {
    let (x, w) = (rows(device, DType::Bf16, ROWS, K)?, weight(device, K, HEADS.fused_width())?);
    let (mut q, mut out) = (Tensor::operand(device, DType::Bf16), Tensor::operand(device, DType::Bf16));
    let mut sequences = sequences(device)?;
    let mut runs: Vec<Run<'_>> = sequences.iter_mut().map(|sequence| Run::admit(sequence, 1)).collect();
    let projection = Projection { weight: &w, bias: None, heads: HEADS };
    qkv(qkv::Input::Plain(&x), projection, None, &mut runs, &[0], &mut q)?;
    let queries: Vec<_> = (0..ROWS).map(|sequence| Query { sequence, visible: PROMPT + 1 }).collect();
    attention(&q, HEADS, &runs, &[0], &queries, &mut out)
}

type Work = fn(&Device) -> Result<()>;

/// Operations of a kernel each, and the bytes that it reads beside what it has to move.
const WORKS: [(&str, Work, u64); 10] = [
    // A warp writes two rows at a time, and reads the bias for each such pair.
    ("linear", |device| product(device, Epilogue::None, DType::F32), 7 * BIAS),
    ("linear to bf16", |device| product(device, Epilogue::GeluTanh, DType::Bf16), 7 * BIAS),
    ("linear, residual", |device| product(device, Epilogue::Residual(Perturb::None), DType::F32), 7 * BIAS),
    (
        "linear, SwiGLU",
        |device| {
            let (x, w) = (rows(device, DType::Bf16, ROWS, K)?, weight(device, K, N)?);
            linear(&x, &w, None, Epilogue::SwiGlu, &mut Tensor::operand(device, DType::Bf16))
        },
        0,
    ),
    (
        "adapter",
        |device| {
            let (mut state, injected) =
                (rows(device, DType::F32, ROWS, K)?, rows(device, DType::F32, ROWS, N)?);
            adapter(&mut state, &weight(device, K, N)?, &injected, Perturb::None, &mut Tensor::empty(device))
        },
        // Eight channels of f32 are copied in two halves of a sector.
        (4 * ROWS * K) as u64,
    ),
    (
        "rms_norm",
        |device| {
            let (x, w) = (rows(device, DType::F32, 1, K)?, Tensor::vector(device, vec![1.0; K])?);
            rms_norm(&x, &w, 1e-6, &mut Tensor::operand(device, DType::Bf16))
        },
        0,
    ),
    (
        "double_norm",
        |device| {
            let (mut x, w) = (rows(device, DType::F32, 1, K)?, Tensor::vector(device, vec![1.0; K])?);
            double_norm(&mut x, [&w, &w.clone()], 1e-6, &mut Tensor::operand(device, DType::Bf16))
        },
        0,
    ),
    (
        "layer_norm",
        |device| {
            let (x, w) = (rows(device, DType::F32, 1, K)?, Tensor::vector(device, vec![1.0; K])?);
            layer_norm(&x, &w, &w.clone(), 1e-6, &mut Tensor::empty(device))
        },
        0,
    ),
    (
        "embedding",
        |device| {
            let latent = rows(device, DType::F32, 1, K)?;
            let inputs = [Input::Token(3), Input::Row(&latent, 0), Input::Token(5)];
            embedding(&weight(device, K, N)?, &inputs, 2.0, None, &mut Tensor::empty(device))
        },
        // A sector of ids and one of addresses, by each row.
        3 * 2 * 32,
    ),
    ("scale", |device| scale(&mut rows(device, DType::F32, ROWS, K)?, 2.0), 0),
];

/// Bytes of a bias.
const BIAS: u64 = 4 * N as u64;

/// A block has all rows and columns, so that operands pass once: what is stated is what the emulated kernel reads and
/// writes, but for what a comment names.
#[test]
fn stated_bytes_are_those_that_kernels_move() {
    for (name, work, besides) in WORKS {
        let counting = Counting::sm_80();
        work(&counting.device()).unwrap();
        let counts = counting.take();
        let [Launched { moved: Some(moved), .. }] = counts.launches[..] else { panic!("{name}: {counts:?}") };
        let emulated = Emulated::sm_80(Options { profile: true, ..Options::default() });
        work(&emulated.device()).unwrap();
        assert_eq!(moved.total() + besides, 32 * emulated.counters().global.units, "{name}");
    }
}

/// Keys and values of a prompt that rows share count once, those of each row's own position for each row.
#[test]
fn a_shared_prompt_is_read_once() {
    let counting = Counting::sm_80();
    attend(&counting.device()).unwrap();
    let [project, attend] = counting.take().launches[..] else { panic!("two launches") };
    assert_eq!((project.kernel, project.grid), ("qkv_bf16_skinny", [1, 2, 1]));
    let position = 2 * HEADS.dim * 2;
    let queries = ROWS * HEADS.dim * 2;
    let (weights, activations) = (2 * K * HEADS.fused_width(), 2 * ROWS * K + queries);
    let moved = |weights: usize, cache: usize, activations: usize| {
        let [weights, cache, activations] = [weights, cache, activations].map(|bytes| bytes as u64);
        Some(Moved { weights, cache, activations })
    };
    assert_eq!(project.moved, moved(weights, ROWS * position, activations));
    assert_eq!((attend.kernel, attend.grid, attend.block), ("attention_decode_bf16_16", [1, 1, 1], 256));
    assert_eq!(attend.moved, moved(0, (PROMPT + ROWS) * position, 2 * queries));
}

/// What each row of a run sees more than the one before is within what the last one sees.
#[test]
fn a_run_reads_its_sequence_once() {
    for (dtype, kernel) in [(DType::Bf16, "attention_prefill_bf16_16"), (DType::F32, "attention_f32")] {
        let counting = Counting::sm_80();
        prefill(&counting.device(), dtype, 5).unwrap();
        let [attend] = counting.take().launches[..] else { panic!("one launch") };
        let row = (HEADS.dim * dtype.bytes()) as u64;
        let moved = Moved { weights: 0, cache: PROMPT as u64 * 2 * row, activations: 5 * 2 * row };
        assert_eq!((attend.kernel, attend.moved), (kernel, Some(moved)));
    }
}

/// A weight of two terabytes is its shape, and what is read from a device that computes nothing is no value.
#[test]
fn there_are_neither_elements_nor_results() {
    let counting = Counting::sm_90a();
    let device = counting.device();
    let size = 1 << 20;
    let weight = Weight::from_fn(&device, DType::Bf16, size, size, |_, _| panic!("an element")).unwrap();
    assert_eq!(weight.bytes(), 2 * size * size);
    let mut tokens = Tokens::empty(&device);
    let x = rows(&device, DType::Bf16, 2, size).unwrap();
    arg_max(&x, &weight, &mut tokens).unwrap();
    assert_eq!(tokens.to_vec().unwrap(), [u32::MAX; 2]);
    assert!(x.to_vec().unwrap().iter().all(|x| x.is_nan()));
    let counts = counting.take();
    let kernels: Vec<&str> = counts.launches.iter().map(|launch| launch.kernel).collect();
    assert_eq!(kernels, ["arg_max_hopper_16", "arg_max_finish"]);
    assert_eq!(counts.uploads, Copies { calls: 1, bytes: 4 * size as u64 });
    assert_eq!(counts.downloads, Copies { calls: 2, bytes: 8 + 4 * size as u64 });
    assert_eq!(counting.take(), Counts::default());
}

/// Launches that come again are submitted as a graph.
#[test]
fn lists_that_come_again_are_submitted_at_once() {
    let counting = Counting::sm_80();
    let mut x = rows(&counting.device(), DType::F32, ROWS, K).unwrap();
    let submitted = [(); 3].map(|()| {
        (0..4).for_each(|_| scale(&mut x, 2.0).unwrap());
        let counts = counting.take();
        (counts.launches.len(), counts.submissions)
    });
    assert_eq!(submitted, [(4, vec![1; 4]), (4, vec![4]), (4, vec![4])]);
}
