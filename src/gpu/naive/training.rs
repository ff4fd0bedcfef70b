//! Kernels of training. Those that form each element by itself, or in the order of its naive version, agree to the bit.

use bytemuck::cast_slice;
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference::{self, Shape},
};

use super::{Grid, Matrix, assert_near_naive, both, gpus, launch, pair};
use crate::{
    DType, Device, Tensor,
    gpu::{
        Buffer, Gpu, Kernel,
        params::{
            ActivationParams, AdamParams, AddParams, ClearParams, ColumnSumsParams, CrossEntropyParams,
            EmbeddingBackwardParams, EmbeddingEntry, HeadsParams, LinearBackwardParams, NO_TARGET,
            NormBackwardParams, Rows, SquareSumParams, WeightParams, WindowAttentionParams,
        },
        pitch,
    },
    ops::{
        attention::Heads,
        window_attention::{Gradients, Window, window_attention, window_attention_backward},
    },
};

const WIDTHS: [usize; 5] = [1, 3, 33, 515, 2100];
const ROWS: usize = 3;

fn f32s(gpu: &Gpu, width: usize, data: &[f32]) -> Matrix {
    Matrix::spoilt(gpu, DType::F32, width, data)
}

#[test]
fn sums_zeros_and_activations() {
    let mut inputs = Inputs::new(1);
    for gpu in gpus() {
        for width in WIDTHS {
            let [x, y] = [0; 2].map(|_| inputs.bell(ROWS * width));
            let (of_x, of_y) = (|| f32s(&gpu, width, &x), f32s(&gpu, width, &y));
            let (shape, grid) = ([ROWS, width], Grid::of_elements(ROWS, width));
            let (rows, words) = (ROWS as u32, width as u32);
            let context = format!("{gpu:?}, {width} channels");
            let add = |x| AddParams { x, y: of_y.rows(), rows, width: words };
            let [got, naive] = both(&gpu, pair!("add", "add"), shape, grid, of_x, add);
            assert_same_bits(&context, &got, &naive);
            let clear = |x| ClearParams { x, rows, words };
            let [got, naive] = both(&gpu, pair!("clear", "clear"), shape, grid, of_x, clear);
            assert_same_bits(&context, &got, &naive);

            let pairs = f32s(&gpu, 2 * width, &inputs.bell(ROWS * 2 * width));
            for kind in [0, 1, 2] {
                let wide = if kind == 2 { 2 * width } else { width };
                let from = if kind == 2 { pairs.rows() } else { of_y.rows() };
                let dy = of_x();
                let params = |out| ActivationParams {
                    x: from,
                    dy: dy.rows(),
                    out,
                    rows,
                    width: words,
                    kind,
                    padding: 0,
                };
                let out = |width| Matrix::poison(&gpu, DType::F32, ROWS, width);
                let [got, naive] =
                    both(&gpu, pair!("activation", "activation"), shape, grid, || out(width), params);
                assert_same_bits(&format!("{context}, kind {kind}"), &got, &naive);
                let kernels = pair!("activation", "activation_backward");
                let [got, naive] = both(&gpu, kernels, shape, grid, || out(wide), params);
                assert_same_bits(&format!("{context}, slopes of kind {kind}"), &got, &naive);
            }
        }
    }
}

#[test]
fn weights_of_tensors() {
    let mut inputs = Inputs::new(2);
    for gpu in gpus() {
        for (n, k) in [(1, 1), (3, 33), (70, 40), (33, 129)] {
            let columns = f32s(&gpu, k, &inputs.bell(n * k));
            let rows = f32s(&gpu, n, &inputs.bell(n * k));
            // As wide as its pitch: what fills it up is looked at too.
            let out = || Matrix::poison(&gpu, DType::F32, n, pitch(k));
            let params = |from: &Matrix, out: &Matrix| WeightParams {
                from: from.rows(),
                out: out.rows(),
                n: n as u32,
                k: k as u32,
            };
            for (kernels, from) in
                [(pair!("weight", "weight_of_columns"), &columns), (pair!("weight", "weight_of_rows"), &rows)]
            {
                let [ours, theirs] = [out(), out()];
                let grid = match kernels[0].name {
                    "weight_of_columns" => Grid { blocks: [n, 1, 1], threads: 32, shared: 0 },
                    _ => Grid { blocks: [k.div_ceil(32), n.div_ceil(32), 1], threads: 256, shared: 33 * 128 },
                };
                launch(&gpu, kernels[0], &params(from, &ours), grid);
                launch(&gpu, kernels[1], &params(from, &theirs), Grid::of_elements(n, pitch(k)));
                assert_same_bits(&format!("{gpu:?} [{n}, {k}]"), &ours.read(), &theirs.read());
            }
        }
    }
}

#[test]
fn split_and_joined_heads() {
    let mut inputs = Inputs::new(3);
    for gpu in gpus() {
        for (queries, keys) in [(1, 1), (66, 11), (96, 96)] {
            let (fused, positions) = (queries + 2 * keys, 5);
            let places = Buffer::holding(&gpu, cast_slice(&[4u32, 0, 2])).unwrap();
            let qkv = f32s(&gpu, fused, &inputs.bell(ROWS * fused));
            let apart = || [ROWS * queries, positions * keys, positions * keys].map(|count| vec![0.5; count]);
            let matrices = |[q, k, v]: [Vec<f32>; 3]| {
                [(queries, q), (keys, k), (keys, v)].map(|(width, data)| f32s(&gpu, width, &data))
            };
            let params = |qkv: Rows, [q, k, v]: [&Matrix; 3]| HeadsParams {
                qkv,
                q: q.rows(),
                k: k.rows(),
                v: v.rows(),
                places: places.address(),
                rows: ROWS as u32,
                queries: queries as u32,
                keys: keys as u32,
                padding: 0,
            };
            let [kernel, naive] = pair!("heads", "split_heads");
            let (ours, theirs) = (matrices(apart()), matrices(apart()));
            let grid = Grid { blocks: [ROWS, 1, 1], threads: 64, shared: 0 };
            launch(&gpu, kernel, &params(qkv.rows(), ours.each_ref()), grid);
            launch(&gpu, naive, &params(qkv.rows(), theirs.each_ref()), Grid::of_elements(ROWS, fused));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_same_bits(&format!("{gpu:?}, {queries} {keys}"), &ours.read(), &theirs.read());
            }
            let out = || Matrix::poison(&gpu, DType::F32, ROWS, fused);
            let join = |out| params(out, ours.each_ref());
            let grid = Grid::of_elements(ROWS, fused);
            let [got, naive] = both(&gpu, pair!("heads", "join_heads"), [ROWS, fused], grid, out, join);
            assert_same_bits(&format!("{gpu:?}, {queries} {keys}"), &got, &naive);
        }
    }
}

#[test]
fn gradients_of_weights_and_tables() {
    let mut inputs = Inputs::new(4);
    for gpu in gpus() {
        for (rows, k, n) in [(1, 1, 1), (35, 66, 70), (16, 64, 3), (130, 5, 129)] {
            let (x, dy) = (f32s(&gpu, k, &inputs.bell(rows * k)), f32s(&gpu, n, &inputs.bell(rows * n)));
            let start = inputs.bell(n * k);
            let [ours, theirs] = [0; 2].map(|_| f32s(&gpu, k, &start));
            let params = |dw: &Matrix| LinearBackwardParams {
                x: x.rows(),
                dy: dy.rows(),
                dw: dw.rows(),
                rows: rows as u32,
                k: k as u32,
                n: n as u32,
                padding: 0,
            };
            let [kernel, naive] = pair!("linear_backward", "linear_backward_weight");
            let grid = Grid { blocks: [k.div_ceil(64), n.div_ceil(64), 1], threads: 256, shared: 16384 };
            launch(&gpu, kernel, &params(&ours), grid);
            launch(&gpu, naive, &params(&theirs), Grid::of_elements(n, k));
            assert_same_bits(&format!("{gpu:?} [{rows}, {k}], {n}"), &ours.read(), &theirs.read());

            // All rows in turn: what `column_sums` forms in blocks is held to float64 in tests/ops.
            let start = inputs.bell(k);
            let [ours, theirs] = [0; 2].map(|_| f32s(&gpu, k, &start));
            let params = |out: &Matrix| ColumnSumsParams {
                x: x.rows(),
                out: out.rows(),
                rows: rows as u32,
                width: k as u32,
            };
            let [kernel, naive] = pair!("column_sums", "add_rows");
            launch(&gpu, kernel, &params(&ours), Grid { blocks: [1, 1, 1], threads: 128, shared: 0 });
            launch(&gpu, naive, &params(&theirs), Grid::of_elements(1, k));
            assert_same_bits(&format!("{gpu:?}, sums of [{rows}, {k}]"), &ours.read(), &theirs.read());
        }
        for width in WIDTHS {
            let dy = f32s(&gpu, width, &inputs.bell(6 * width));
            let start = inputs.bell(4 * width);
            let entry = |id, first, count| EmbeddingEntry { id, first, count };
            let entries: [EmbeddingEntry; 3] = [entry(3, 0, 1), entry(0, 1, 4), entry(1, 5, 1)];
            let entries = Buffer::holding(&gpu, cast_slice(&entries)).unwrap();
            let order = Buffer::holding(&gpu, cast_slice(&[2u32, 0, 1, 4, 5, 3])).unwrap();
            let [got, naive] = both(
                &gpu,
                pair!("embedding_backward", "embedding_backward"),
                [3, width],
                Grid::of_elements(3, width),
                || f32s(&gpu, width, &start),
                |table| EmbeddingBackwardParams {
                    dy: dy.rows(),
                    table,
                    entries: entries.address(),
                    order: order.address(),
                    count: 3,
                    width: width as u32,
                    scale: 0.3,
                    padding: 0,
                },
            );
            assert_same_bits(&format!("{gpu:?}, {width} channels"), &got, &naive);
        }
    }
}

/// The number of roundings after the sums is that of `tests/ops`; there too, dweight and dbias, in blocks of rows.
#[test]
fn gradients_of_norms() {
    const EPS: f32 = 1e-5;
    let mut inputs = Inputs::new(5);
    for gpu in gpus() {
        for width in WIDTHS {
            let [x, dy] = [0; 2].map(|_| inputs.bell(ROWS * width));
            let w = inputs.bell(width);
            let [of_x, of_dy, of_w] = [&x, &dy, &w].map(|data| f32s(&gpu, width, data));
            let sums = [0; 2].map(|_| Matrix::poison(&gpu, DType::F32, 1, width));
            let params = |dx: &Matrix| NormBackwardParams {
                x: of_x.rows(),
                dy: of_dy.rows(),
                dx: dx.rows(),
                dweight: sums[0].rows(),
                dbias: sums[1].rows(),
                weight: of_w.address(0),
                rows: ROWS as u32,
                width: width as u32,
                eps: EPS,
                padding: 0,
            };
            let [exact, exact_rms] = [
                reference::layer_norm_backward::<f64>(&x, &w, EPS, &dy)[0].clone(),
                reference::rms_norm_backward::<f64>(&x, &w, EPS, &dy)[0].clone(),
            ];
            let [plain, plain_rms] = [
                reference::layer_norm_backward::<f32>(&x, &w, EPS, &dy)[0].clone(),
                reference::rms_norm_backward::<f32>(&x, &w, EPS, &dy)[0].clone(),
            ];
            for ([kernel, naive], plain, mut exact) in [
                (pair!("norm_backward", "layer_norm_backward"), plain, exact),
                (pair!("norm_backward", "rms_norm_backward"), plain_rms, exact_rms),
            ] {
                let [ours, theirs] = [0; 2].map(|_| Matrix::poison(&gpu, DType::F32, ROWS, width));
                let shared = 8 * width.next_multiple_of(4) + 4 * crate::gpu::FOLD;
                let threads = crate::gpu::row_threads(width);
                launch(&gpu, kernel, &params(&ours), Grid { blocks: [1, 1, 1], threads, shared });
                launch(&gpu, naive, &params(&theirs), Grid::of_elements(ROWS, width));
                // Against the largest term: of one channel, or a row of them, the difference leaves nothing.
                exact.push(1.0 / f64::from(EPS).sqrt());
                let with = |x: &[f32]| [x, &[1.0 / EPS.sqrt()]].concat();
                let (got, naive, plain) = (with(&ours.read()), with(&theirs.read()), with(&plain));
                let context = format!("{gpu:?} {}, {width} channels", kernel.name);
                assert_near_naive(&context, [&got, &naive], &plain, &exact, 12);
            }
        }
    }
}

#[test]
fn losses_and_squares() {
    let mut inputs = Inputs::new(6);
    for gpu in gpus() {
        for width in WIDTHS {
            let x: Vec<f32> = inputs.bell(ROWS * width).iter().map(|x| 5.0 * x).collect();
            let targets = [width as u32 - 1, NO_TARGET, 0];
            let of_targets = Buffer::holding(&gpu, cast_slice(&targets)).unwrap();
            let losses = Matrix::poison(&gpu, DType::F32, 1, ROWS);
            let context = format!("{gpu:?}, {width} channels");
            let params = |logits| CrossEntropyParams {
                logits,
                targets: of_targets.address(),
                losses: losses.address(0),
                rows: ROWS as u32,
                width: width as u32,
                scale: 0.5,
                padding: 0,
            };
            let [ours, theirs] = [0; 2].map(|_| f32s(&gpu, width, &x));
            let [kernel, naive] = pair!("cross_entropy", "cross_entropy");
            let shared = 2 * crate::gpu::FOLD;
            let threads = crate::gpu::row_threads(width);
            launch(&gpu, kernel, &params(ours.rows()), Grid { blocks: [ROWS, 1, 1], threads, shared });
            let got = [losses.read(), ours.read()].concat();
            launch(&gpu, naive, &params(theirs.rows()), Grid::of_rows(ROWS, 64));
            let naive = [losses.read(), theirs.read()].concat();
            let (mut exact, mut plain) = (vec![0.0; ROWS], vec![0.0; ROWS]);
            for (row, (logits, target)) in x.chunks(width).zip(targets).enumerate() {
                if target == NO_TARGET {
                    exact.extend(vec![0.0; width]);
                    plain.extend(vec![0.0; width]);
                    continue;
                }
                let (loss, slopes) = reference::cross_entropy::<f64>(logits, target as usize);
                exact[row] = loss;
                exact.extend(slopes.iter().map(|x| 0.5 * x));
                let (loss, slopes) = reference::cross_entropy::<f32>(logits, target as usize);
                plain[row] = loss;
                plain.extend(slopes.iter().map(|x| 0.5 * x));
            }
            // Against the largest logit, which a loss is a difference from.
            exact.push(5.0);
            let with = |x: &[f32]| [x, &[5.0]].concat();
            assert_near_naive(&context, [&with(&got), &with(&naive)], &with(&plain), &exact, 6);

            let from = f32s(&gpu, width, &x);
            let sums = [0; 2].map(|_| Buffer::holding(&gpu, &[0xff; 8 * ROWS]).unwrap());
            let params = |partials: &Buffer| SquareSumParams {
                x: from.rows(),
                partials: partials.address(),
                out: 0,
                rows: ROWS as u32,
                width: width as u32,
            };
            let [kernel, naive] = pair!("square_sum", "square_sum");
            launch(&gpu, kernel, &params(&sums[0]), Grid { blocks: [ROWS, 1, 1], threads, shared });
            launch(&gpu, naive, &params(&sums[1]), Grid::of_rows(ROWS, 64));
            let [ours, theirs] = sums.map(|buffer| {
                let mut bytes = [0; 8 * ROWS];
                buffer.read(0, &mut bytes).unwrap();
                bytemuck::cast::<_, [f64; ROWS]>(bytes)
            });
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!(
                    (ours - theirs).abs() <= width as f64 * f64::EPSILON * theirs,
                    "{context}: {ours} {theirs}"
                );
            }
        }
    }
}

/// Fused multiply-adds round once where the naive version rounds twice, and the arc tangent is the host's there.
#[test]
fn steps_of_optimizers() {
    let mut inputs = Inputs::new(7);
    for gpu in gpus() {
        for width in WIDTHS {
            let [x, g, m] = [0; 3].map(|_| inputs.bell(ROWS * width));
            let v: Vec<f32> = inputs.bell(ROWS * width).iter().map(|x| 0.1 + x * x).collect();
            let total = Buffer::holding(&gpu, &(4.0 * (ROWS * width) as f64).to_ne_bytes()).unwrap();
            let of_g = f32s(&gpu, width, &g);
            for kernels in [pair!("adam", "adamw"), pair!("adam", "ellis_adam")] {
                let [ours, theirs] = kernels.map(|kernel| {
                    let [parameter, first, second] = [&x, &m, &v].map(|data| f32s(&gpu, width, data));
                    let params = AdamParams {
                        parameter: parameter.rows(),
                        gradient: of_g.rows(),
                        first: first.rows(),
                        second: second.rows(),
                        partials: 0,
                        total: total.address(),
                        rows: ROWS as u32,
                        width: width as u32,
                        factor: 0.5,
                        first_share: 0.1,
                        second_share: 0.05,
                        kept: 0.99,
                        step: 0.02,
                        root: 0.5,
                        eps: 1e-8,
                        padding: 0,
                    };
                    let grid = match kernel.file {
                        "adam" => {
                            Grid { blocks: [ROWS, 1, 1], threads: crate::gpu::row_threads(width), shared: 0 }
                        }
                        _ => Grid::of_elements(ROWS, width),
                    };
                    launch(&gpu, kernel, &params, grid);
                    [parameter.read(), first.read(), second.read()].concat()
                });
                let theirs_wide: Vec<f64> = theirs.iter().map(|&x| f64::from(x)).collect();
                let context = format!("{gpu:?} {}, {width} channels", kernels[0].name);
                assert_near(&context, &ours, &theirs, &theirs_wide, 6);
            }
        }
    }
}

/// The operations beside the naive kernels of all that they launch.
#[test]
fn windows() {
    let mut inputs = Inputs::new(8);
    for gpu in gpus() {
        let device = Device::Gpu(gpu.clone());
        for (query, kv, dim) in [(2, 1, 5), (3, 3, 32), (2, 2, 70)] {
            let heads = Heads { query, kv, dim };
            let window = |(first, visible)| Window { first, visible };
            let apart = [(0, 3), (0, 40), (2, 35), (2, 1), (40, 2), (7, 30)].map(window);
            let positions = 42;
            let mut of = |rows, width| Tensor::new(&device, rows, width, inputs.bell(rows * width)).unwrap();
            let [q, dout] = [0; 2].map(|_| of(apart.len(), query * dim));
            let [k, v, mut dk, mut dv] = [0; 4].map(|_| of(positions, kv * dim));
            let poison =
                |rows, width| Tensor::new(&device, rows, width, vec![f32::NAN; rows * width]).unwrap();
            let [mut out, mut dq] = [0; 2].map(|_| poison(apart.len(), query * dim));
            let start = [dk.to_vec().unwrap(), dv.to_vec().unwrap()];
            let theirs = [
                poison(apart.len(), query * dim),
                poison(apart.len(), query * dim),
                Tensor::new(&device, positions, kv * dim, start[0].clone()).unwrap(),
                Tensor::new(&device, positions, kv * dim, start[1].clone()).unwrap(),
            ];
            window_attention(&q, &k, &v, heads, &apart, &mut out).unwrap();
            let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
            window_attention_backward(&q, &k, &v, [&out, &dout], heads, &apart, gradients).unwrap();

            let [firsts, visible] = [apart.map(|window| window.first), apart.map(|window| window.visible)]
                .map(|rows| Buffer::holding(&gpu, cast_slice(&rows.map(|x| x as u32))).unwrap());
            let params = WindowAttentionParams {
                q: q.device_rows(),
                k: k.device_rows(),
                v: v.device_rows(),
                out: theirs[0].device_rows(),
                dout: dout.device_rows(),
                dq: theirs[1].device_rows(),
                dk: theirs[2].device_rows(),
                dv: theirs[3].device_rows(),
                visible: visible.address(),
                tiles: firsts.address(),
                positions: 0,
                seers: 0,
                statistics: apart.len() as u64,
                query_heads: query as u32,
                kv_heads: kv as u32,
                head_dim: dim as u32,
                scale: 1.0 / (dim as f32).sqrt(),
            };
            let naive = |file, name| Kernel { file, name };
            let of_rows = Grid::of_elements(apart.len(), query * dim);
            launch(&gpu, naive("naive/window_attention", "naive_window_attention"), &params, of_rows);
            const FILE: &str = "naive/window_attention_backward";
            launch(&gpu, naive(FILE, "naive_window_queries"), &params, of_rows);
            launch(&gpu, naive(FILE, "naive_window_keys"), &params, Grid::of_elements(positions, kv * dim));

            let shape = Shape { query, kv, dim };
            let ranges: Vec<_> =
                apart.iter().map(|window| window.first..window.first + window.visible).collect();
            let [q, k, v, dout] = [&q, &k, &v, &dout].map(|x| x.to_vec().unwrap());
            let result = reference::window_attention::<f64>(&q, &k, &v, &ranges, shape);
            let [eq, mut ek, mut ev] =
                reference::window_attention_backward::<f64>([&q, &k, &v], &dout, &ranges, shape);
            for (sums, start) in [(&mut ek, &start[0]), (&mut ev, &start[1])] {
                sums.iter_mut().zip(start).for_each(|(sum, &start)| *sum += f64::from(start));
            }
            // A score takes two roundings and its exponential two, each relative to a sum of products: ten in all.
            for (index, exact) in [result, eq, ek, ev].into_iter().enumerate() {
                let got = [&out, &dq, &dk, &dv][index].to_vec().unwrap();
                let naive = theirs[index].to_vec().unwrap();
                let context = format!("{gpu:?} {heads:?}, result {index}");
                assert_near(&context, &got, &naive, &exact, 20);
            }
        }
    }
}
