//! Norms, distances, entropies and cosines.

use fathom_testkit::{
    inputs::Inputs,
    reference::{self, rounded_to_bf16},
};

use super::{DTYPES, Grid, Matrix, assert_near_naive, both, gpus, launch, pair};
use crate::{
    DType,
    gpu::{
        Gpu, Kernel,
        params::{CosineParams, DistanceParams, EntropyParams, NormParams, Rows},
    },
};

/// Below, at and past a vector of four channels, a warp's and several warps' share.
const WIDTHS: [usize; 7] = [1, 3, 32, 97, 515, 768, 1111];
const ROWS: usize = 3;
const EPS: f32 = 1e-5;

/// The number of roundings after the sums is that of `tests/ops`.
#[test]
fn layer_norms() {
    let mut inputs = Inputs::new(1);
    for gpu in gpus() {
        for width in WIDTHS {
            let x: Vec<f32> = inputs.bell(ROWS * width).iter().map(|x| 3.0 * x + 1.0).collect();
            let (w, b) = (inputs.bell(width), inputs.bell(width));
            let exact = reference::layer_norm::<f64>(&x, &w, &b, EPS);
            let plain = reference::layer_norm::<f32>(&x, &w, &b, EPS);
            let [x, w, b] = [&x, &w, &b].map(|data| Matrix::spoilt(&gpu, DType::F32, width, data));
            for dtype in DTYPES {
                let params = |out: Rows| NormParams {
                    x: x.rows(),
                    out,
                    weight: w.address(0),
                    bias: b.address(0),
                    rows: ROWS as u32,
                    width: width as u32,
                    eps: EPS,
                    ..Default::default()
                };
                let [got, naive] = norms(&gpu, pair!("layer_norm", "layer_norm"), width, dtype, params);
                let context = format!("{gpu:?} {dtype}, {width} channels");
                assert_near_naive(&context, [&got, &naive], &stored(dtype, &plain), &exact, 7);
            }
        }
    }
}

/// As results are stored in `dtype`.
fn stored(dtype: DType, data: &[f32]) -> Vec<f32> {
    if dtype == DType::Bf16 { rounded_to_bf16(data) } else { data.to_vec() }
}

/// A column of rows of `width`.
fn column<T: Copy>(data: &[T], width: usize, column: usize) -> Vec<T> {
    data.iter().skip(column).step_by(width).copied().collect()
}

fn norms(
    gpu: &Gpu,
    kernels: [Kernel; 2],
    width: usize,
    dtype: DType,
    params: impl Fn(Rows) -> NormParams,
) -> [Vec<f32>; 2] {
    let out = || Matrix::poison(gpu, dtype, ROWS, width);
    both(gpu, kernels, [ROWS, width], Grid::of_elements(ROWS, width), out, params)
}

/// One norm, and two in one pass: the naive version takes a launch for each, the second on what the first kernel wrote.
#[test]
fn rms_norms() {
    let mut inputs = Inputs::new(2);
    let kernels = pair!("rms_norm", "rms_norm");
    for gpu in gpus() {
        for width in WIDTHS {
            let x: Vec<f32> = inputs.bell(ROWS * width).iter().map(|x| 3.0 * x + 1.0).collect();
            let weights = [inputs.bell(width), inputs.bell(width)];
            let matrix = |data: &[f32]| Matrix::spoilt(&gpu, DType::F32, width, data);
            let [first, second] = [&weights[0], &weights[1]].map(|weight| matrix(weight));
            let once = |x: &Matrix, weight: &Matrix, out: Rows| NormParams {
                x: x.rows(),
                out,
                weight: weight.address(0),
                rows: ROWS as u32,
                width: width as u32,
                eps: EPS,
                ..Default::default()
            };
            for dtype in DTYPES {
                let context = format!("{gpu:?} {dtype}, {width} channels");
                let exact = reference::rms_norm::<f64>(&x, &weights[0], EPS);
                let stream = matrix(&x);
                let [got, naive] = norms(&gpu, kernels, width, dtype, |out| once(&stream, &first, out));
                let plain = reference::rms_norm::<f32>(&x, &weights[0], EPS);
                assert_near_naive(&context, [&got, &naive], &stored(dtype, &plain), &exact, 6);

                let out = Matrix::poison(&gpu, dtype, ROWS, width);
                let [_, before] = norms(&gpu, kernels, width, DType::F32, |out| once(&stream, &first, out));
                let both_norms = NormParams {
                    first: stream.rows(),
                    first_weight: first.address(0),
                    ..once(&stream, &second, out.rows())
                };
                crate::gpu::rms_norm::launch(&gpu, kernels[0], both_norms).unwrap();
                let normed = stream.read();
                let context = format!("two in one, {context}");
                assert_near_naive(&context, [&normed, &before], &plain, &exact, 6);
                let exact = reference::rms_norm::<f64>(&normed, &weights[1], EPS);
                let [_, naive] = norms(&gpu, kernels, width, dtype, |out| once(&stream, &second, out));
                let plain = stored(dtype, &reference::rms_norm::<f32>(&normed, &weights[1], EPS));
                assert_near_naive(&context, [&out.read(), &naive], &plain, &exact, 6);
            }
        }
    }
}

/// States far apart and close together.
#[test]
fn distances() {
    let mut inputs = Inputs::new(3);
    for gpu in gpus() {
        for width in WIDTHS {
            for apart in [1.0, 1e-3] {
                let x = inputs.bell(ROWS * width);
                let y: Vec<f32> = x.iter().zip(inputs.bell(x.len())).map(|(x, d)| x + apart * d).collect();
                let exact = reference::distance::<f64>(&x, &y, width).concat();
                let plain = reference::distance::<f32>(&x, &y, width).concat();
                let [x, y] = [&x, &y].map(|data| Matrix::spoilt(&gpu, DType::F32, width, data));
                let [got, naive] = both(
                    &gpu,
                    pair!("distance", "distance"),
                    [ROWS, width],
                    Grid::of_rows(ROWS, 32),
                    || Matrix::poison(&gpu, DType::F32, ROWS, 4),
                    |out| DistanceParams {
                        x: x.rows(),
                        y: y.rows(),
                        out,
                        rows: ROWS as u32,
                        width: width as u32,
                    },
                );
                for at in 0..4 {
                    let [got, naive, plain] = [&got, &naive, &plain].map(|data| column(data, 4, at));
                    let context = format!("{gpu:?}, {width} channels {apart} apart, column {at}");
                    assert_near_naive(&context, [&got, &naive], &plain, &column(&exact, 4, at), 1);
                }
            }
        }
    }
}

/// Of rows far apart and close together, and of none before. Both results take as many roundings after their sums as the
/// entropy in `tests/ops`.
#[test]
fn entropies() {
    const ROWS: usize = 8;
    let mut inputs = Inputs::new(4);
    for gpu in gpus() {
        for width in [5, 97, 1000] {
            for (spread, apart) in [(1.0, 1.0), (5.0, 1e-2), (20.0, 1e-2)] {
                let logits: Vec<f32> = inputs.bell(ROWS * width).iter().map(|x| spread * x).collect();
                let moved = inputs.bell(logits.len());
                let before: Vec<f32> = logits.iter().zip(moved).map(|(x, d)| x + apart * d).collect();
                let [now, was] = [&logits, &before].map(|data| Matrix::spoilt(&gpu, DType::F32, width, data));
                for (min_p, after) in [(0.0, true), (0.1, true), (0.0, false), (0.1, false)] {
                    let rows = || logits.chunks(width).zip(before.chunks(width));
                    let before = |was| after.then_some(was);
                    let exact: Vec<f64> = rows()
                        .flat_map(|(now, was)| reference::entropy::<f64>(now, before(was), min_p))
                        .collect();
                    let plain: Vec<f32> = rows()
                        .flat_map(|(now, was)| reference::entropy::<f32>(now, before(was), min_p))
                        .collect();
                    let [got, naive] = both(
                        &gpu,
                        pair!("entropy", "entropy"),
                        [ROWS, width],
                        Grid::of_rows(ROWS, 32),
                        || Matrix::poison(&gpu, DType::F32, ROWS, 2),
                        |out| EntropyParams {
                            logits: now.rows(),
                            before: if after { was.rows() } else { Rows::default() },
                            out,
                            rows: ROWS as u32,
                            width: width as u32,
                            min_p,
                            padding: 0,
                        },
                    );
                    for at in 0..2 {
                        let [got, naive, plain] = [&got, &naive, &plain].map(|data| column(data, 2, at));
                        let context = format!(
                            "{gpu:?}, {width} logits of {spread} {apart} apart, {min_p} {after}, column {at}"
                        );
                        assert_near_naive(&context, [&got, &naive], &plain, &column(&exact, 2, at), 6);
                    }
                }
            }
        }
    }
}

/// Below, at and past a tile of 16 rows and 64 channels; one row is zero.
#[test]
fn cosines() {
    let mut inputs = Inputs::new(5);
    for gpu in gpus() {
        for (rows, width) in [(1, 1), (5, 33), (16, 64), (17, 65), (33, 130)] {
            let mut x = inputs.bell(rows * width);
            x[..width].fill(if rows > 1 { 0.0 } else { 2.0 });
            let (exact, plain) = (reference::cosine::<f64>(&x, width), reference::cosine::<f32>(&x, width));
            let x = Matrix::spoilt(&gpu, DType::F32, width, &x);
            let [kernel, naive] = pair!("cosine", "cosine");
            let run = |kernel: Kernel, grid: Grid| {
                let out = Matrix::poison(&gpu, DType::F32, rows, rows);
                let params =
                    CosineParams { x: x.rows(), out: out.rows(), rows: rows as u32, width: width as u32 };
                launch(&gpu, kernel, &params, grid);
                out.read()
            };
            // Two tiles of 16 rows, 68 words each (cosine.cu).
            let tiles = rows.div_ceil(16);
            let got = run(kernel, Grid { blocks: [tiles, tiles, 1], threads: 256, shared: 2 * 16 * 68 * 4 });
            let naive = run(naive, Grid::of_elements(rows, rows));
            assert_near_naive(&format!("{gpu:?} [{rows}, {width}]"), [&got, &naive], &plain, &exact, 4);
        }
    }
}
