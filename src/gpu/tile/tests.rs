//! Every tile of the products against the others and against the naive kernels, launched by name.
//!
//! The emulated tensor core adds product by product in the order of k, and products of bf16 are exact in f32: so here the
//! naive chain has the same bits, but for the norm on the way in, whose squares are summed in another order.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use bytemuck::Pod;
use fathom_emulator::Options;
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference::rounded_to_bf16,
};
use half::bf16;

use super::{Form, Kernels};
use crate::{
    DType, Device, Emulated, Perturb,
    gpu::{
        Buffer, Gpu, Kernel, adapter, linear, padded,
        params::{self, AdapterParams, KvPlace, LinearParams, QkvParams, Rows},
        pitch, qkv,
    },
    random::{Coordinates, Draw, Site},
};

fn gpu() -> Gpu {
    match Emulated::sm_80(Options::default()).device() {
        Device::Gpu(gpu) => gpu,
        other => panic!("{other}"),
    }
}

/// Rows of a matrix, what lies behind each row's end NaN.
struct Matrix {
    buffer: Buffer,
    dtype: DType,
    width: usize,
}

impl Matrix {
    fn new(gpu: &Gpu, dtype: DType, width: usize, data: &[f32]) -> Self {
        Self { buffer: Buffer::holding(gpu, &padded(dtype, width, data)).unwrap(), dtype, width }
    }

    fn spoilt(gpu: &Gpu, dtype: DType, width: usize, data: &[f32]) -> Self {
        let mut bytes = padded(dtype, width, data);
        for row in bytes.chunks_mut(pitch(width) * dtype.bytes()) {
            row[width * dtype.bytes()..].fill(0xff);
        }
        Self { buffer: Buffer::holding(gpu, &bytes).unwrap(), dtype, width }
    }

    fn rows(&self) -> Rows {
        let (pitch, dtype) = (pitch(self.width) as u32, super::super::dtype(self.dtype));
        Rows { data: self.buffer.address(), pitch, dtype }
    }

    fn read(&self) -> Vec<f32> {
        let all = read(&self.buffer, self.dtype);
        all.chunks(pitch(self.width)).flat_map(|row| &row[..self.width]).copied().collect()
    }
}

fn read(buffer: &Buffer, dtype: DType) -> Vec<f32> {
    let mut bytes = vec![0; buffer.bytes()];
    buffer.read(0, &mut bytes).unwrap();
    match dtype {
        DType::F32 => bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect(),
        DType::Bf16 => {
            let halves = bytes.chunks_exact(2).map(bytemuck::pod_read_unaligned);
            halves.map(|bits| bf16::from_bits(bits).to_f32()).collect()
        }
    }
}

/// All tiles for weights of `dtype`.
fn forms(kernels: &Kernels, dtype: DType) -> Vec<Form> {
    let mut forms: Vec<Form> = [1, 17, 257].map(|rows| kernels.form(dtype, rows)).to_vec();
    forms.dedup_by_key(|form| form.kernel);
    assert!(dtype == DType::F32 || forms.len() == 2 + usize::from(kernels.tall.is_some()));
    forms
}

fn launch<P: Pod>(gpu: &Gpu, form: &Form, params: &P, rows: usize, n: usize) {
    let Form { kernel, tile, shared } = *form;
    let grid = tile.grid(rows, n);
    // SAFETY: the callers' matrices have the extents that their parameters give.
    unsafe { gpu.session().launch(kernel, params, grid, tile.threads, shared).unwrap() }
}

fn launch_naive<P: Pod>(
    gpu: &Gpu,
    file: &'static str,
    name: &'static str,
    params: &P,
    rows: usize,
    width: usize,
) {
    let grid = [width.div_ceil(256), rows, 1];
    // SAFETY: as in `launch`.
    unsafe { gpu.session().launch(Kernel { file, name }, params, grid, 256, 0).unwrap() }
}

fn coordinates(rows: usize) -> Vec<Coordinates> {
    let at = |row: u32| Coordinates {
        draw: Draw { key: 77, trajectory: row },
        position: 3 + row,
        iteration: row % 4,
    };
    (0..rows as u32).map(at).collect()
}

const DTYPES: [DType; 2] = [DType::F32, DType::Bf16];

#[test]
fn linear_tiles_have_the_bits_of_the_naive_kernel() {
    let gpu = gpu();
    let mut inputs = Inputs::new(1);
    for (rows, k, n) in [(1, 1, 2), (20, 69, 34), (70, 130, 67), (130, 64, 130)] {
        let (x, w, bias) = (inputs.bell(rows * k), inputs.bell(n * k), inputs.bell(n));
        let before = inputs.bell(rows * n);
        let at = coordinates(rows);
        let noise = Perturb::Noise { std: 0.5, site: Site::Mlp(3), rows: &at };
        for dtype in DTYPES {
            let x = Matrix::spoilt(&gpu, dtype, k, &x);
            let weight = Matrix::new(&gpu, dtype, k, &w);
            let bias = Matrix::spoilt(&gpu, DType::F32, n, &bias);
            let kinds = [
                (params::EPILOGUE_NONE, DType::F32, Perturb::None),
                (params::EPILOGUE_GELU_TANH, DType::Bf16, Perturb::None),
                (params::EPILOGUE_GELU_ERF, DType::F32, Perturb::None),
                (params::EPILOGUE_RESIDUAL, DType::F32, noise),
            ];
            for (epilogue, out_dtype, perturbation) in kinds {
                let run = |launch: &dyn Fn(&LinearParams)| {
                    let out = Matrix::spoilt(&gpu, out_dtype, n, &before);
                    let perturbation = gpu.session().perturbation(perturbation, n).unwrap();
                    launch(&LinearParams {
                        x: x.rows(),
                        weight: weight.rows(),
                        out: out.rows(),
                        bias: bias.rows().data,
                        epilogue,
                        rows: rows as u32,
                        k: k as u32,
                        n: n as u32,
                        perturbation,
                    });
                    out.read()
                };
                let naive = match dtype {
                    DType::F32 => "naive_linear_f32",
                    DType::Bf16 => "naive_linear_bf16",
                };
                let expected = run(&|params| launch_naive(&gpu, "naive/linear", naive, params, rows, n));
                for form in forms(&linear::LINEAR, dtype) {
                    let got = run(&|params| launch(&gpu, &form, params, rows, n));
                    let context = format!("{} {epilogue} [{rows}, {k}]·[{k}, {n}]", form.kernel.name);
                    assert_same_bits(&context, &got, &expected);
                }
            }
        }
    }
}

#[test]
fn swiglu_tiles_have_the_bits_of_the_naive_kernel() {
    let gpu = gpu();
    let mut inputs = Inputs::new(2);
    for (rows, k, n) in [(1, 3, 2), (20, 69, 66), (70, 130, 130)] {
        let (x, w) = (inputs.bell(rows * k), inputs.bell(n * k));
        for (dtype, out_dtype) in [(DType::F32, DType::F32), (DType::Bf16, DType::Bf16)] {
            let x = Matrix::spoilt(&gpu, dtype, k, &x);
            let weight = Matrix::new(&gpu, dtype, k, &w);
            let run = |launch: &dyn Fn(&LinearParams)| {
                let out = Matrix::spoilt(&gpu, out_dtype, n / 2, &vec![f32::NAN; rows * n / 2]);
                launch(&LinearParams {
                    x: x.rows(),
                    weight: weight.rows(),
                    out: out.rows(),
                    rows: rows as u32,
                    k: k as u32,
                    n: n as u32,
                    ..Default::default()
                });
                out.read()
            };
            let naive = match dtype {
                DType::F32 => "naive_linear_swiglu_f32",
                DType::Bf16 => "naive_linear_swiglu_bf16",
            };
            let expected = run(&|params| launch_naive(&gpu, "naive/linear", naive, params, rows, n / 2));
            for form in forms(&linear::SWIGLU, dtype) {
                let got = run(&|params| launch(&gpu, &form, params, rows, n));
                let context = format!("{} [{rows}, {k}]·[{k}, {n}]", form.kernel.name);
                assert_same_bits(&context, &got, &expected);
            }
        }
    }
}

#[test]
fn adapter_tiles_have_the_bits_of_the_naive_kernel() {
    let gpu = gpu();
    let mut inputs = Inputs::new(3);
    for (rows, k, n) in [(1, 1, 2), (20, 133, 34), (70, 66, 67)] {
        let (state, w) = (inputs.bell(rows * k), inputs.bell(n * k));
        let (injected, recorded) = (inputs.bell(rows * n), inputs.bell(rows * k));
        let at = coordinates(rows);
        let forms_of_noise = [
            Perturb::None,
            Perturb::Noise { std: 0.5, site: Site::Latent, rows: &at },
            Perturb::Dropout { keep: crate::Keep::new(0.3), site: Site::Latent, rows: &at },
            Perturb::Add(&recorded),
        ];
        for dtype in DTYPES {
            let state = Matrix::spoilt(&gpu, DType::F32, k, &state);
            let weight = Matrix::new(&gpu, dtype, k, &w);
            let injected = Matrix::spoilt(&gpu, DType::F32, n, &injected);
            for perturbation in forms_of_noise {
                let run = |launch: &dyn Fn(&AdapterParams)| {
                    let out = Matrix::spoilt(&gpu, DType::F32, n, &vec![f32::NAN; rows * n]);
                    let perturbation = gpu.session().perturbation(perturbation, k).unwrap();
                    launch(&AdapterParams {
                        state: state.rows(),
                        weight: weight.rows(),
                        injected: injected.rows(),
                        out: out.rows(),
                        rows: rows as u32,
                        k: k as u32,
                        n: n as u32,
                        padding: 0,
                        perturbation,
                    });
                    out.read()
                };
                let naive = match dtype {
                    DType::F32 => "naive_adapter_f32",
                    DType::Bf16 => "naive_adapter_bf16",
                };
                let expected = run(&|params| launch_naive(&gpu, "naive/adapter", naive, params, rows, n));
                for form in forms(&adapter::ADAPTER, dtype) {
                    let got = run(&|params| launch(&gpu, &form, params, rows, n));
                    let context = format!("{} {perturbation:?} [{rows}, {k}]·[{k}, {n}]", form.kernel.name);
                    assert_same_bits(&context, &got, &expected);
                }
            }
        }
    }
}

/// One projection and what it is made of.
struct Projection {
    rows: usize,
    k: usize,
    heads: [usize; 3],
    rotate: u32,
    norm: bool,
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Vec<f32>,
    norm_weight: Vec<f32>,
    angles: Vec<f32>,
}

const EPS: f32 = 1e-5;
const SLOT: usize = 1;

impl Projection {
    fn new(inputs: &mut Inputs, rows: usize, k: usize, heads: [usize; 3], rotate: u32, norm: bool) -> Self {
        let [query, kv, dim] = heads;
        let n = (query + 2 * kv) * dim;
        let mut of = |count| inputs.bell(count);
        let (x, w, bias, norm_weight) = (of(rows * k), of(n * k), of(n), of(k));
        let angles = of(rows * dim).iter().map(|angle| angle.cos()).collect();
        Self { rows, k, heads, rotate, norm, x, w, bias, norm_weight, angles }
    }

    fn n(&self) -> usize {
        (self.heads[0] + 2 * self.heads[1]) * self.heads[2]
    }

    /// Queries, keys and values of each row as `launch` writes them; nothing else of the cache is touched.
    fn run(&self, gpu: &Gpu, dtype: DType, launch: &dyn Fn(&QkvParams)) -> Vec<f32> {
        let [query, kv, dim] = self.heads;
        let x = Matrix::spoilt(gpu, if self.norm { DType::F32 } else { dtype }, self.k, &self.x);
        let weight = Matrix::new(gpu, dtype, self.k, &self.w);
        let vector = |data: &[f32]| Matrix::spoilt(gpu, DType::F32, data.len(), data);
        let (bias, norm_weight) = (vector(&self.bias), vector(&self.norm_weight));
        let angles = Matrix::spoilt(gpu, DType::F32, dim, &self.angles);
        let out = Matrix::spoilt(gpu, dtype, query * dim, &vec![f32::NAN; self.rows * query * dim]);
        // Three slots of keys and of values, of all rows each, the rows in falling order.
        let row = kv * dim * dtype.bytes();
        let slot = 2 * self.rows * row;
        let cache = Buffer::holding(gpu, &vec![0xff; 3 * slot]).unwrap();
        let places: Vec<KvPlace> = (0..self.rows)
            .map(|index| {
                let keys = cache.address() + ((self.rows - 1 - index) * row) as u64;
                KvPlace { keys, values: keys + (self.rows * row) as u64, slot_stride: slot as u64 }
            })
            .collect();
        let places = Buffer::holding(gpu, bytemuck::cast_slice(&places)).unwrap();
        launch(&QkvParams {
            x: x.rows(),
            weight: weight.rows(),
            out: out.rows(),
            bias: bias.rows().data,
            norm_weight: if self.norm { norm_weight.rows().data } else { 0 },
            angles: angles.rows().data,
            places: places.address(),
            angles_pitch: angles.rows().pitch,
            rotate: self.rotate,
            rows: self.rows as u32,
            k: self.k as u32,
            query_heads: query as u32,
            kv_heads: kv as u32,
            head_dim: dim as u32,
            slot: SLOT as u32,
            kv_dtype: super::super::dtype(dtype),
            eps: EPS,
        });
        let (out, cache) = (out.read(), read(&cache, dtype));
        let slots: Vec<&[f32]> = cache.chunks(2 * self.rows * kv * dim).collect();
        assert!(slots[0].iter().chain(slots[2]).all(|x| x.is_nan()), "another slot is written");
        let (keys, values) = slots[SLOT].split_at(self.rows * kv * dim);
        let mut all = Vec::new();
        for index in 0..self.rows {
            let place = (self.rows - 1 - index) * kv * dim..(self.rows - index) * kv * dim;
            all.extend_from_slice(&out[index * query * dim..(index + 1) * query * dim]);
            all.extend_from_slice(&keys[place.clone()]);
            all.extend_from_slice(&values[place]);
        }
        all
    }

    /// In float64 of the weight as it is stored and of what is read of x.
    fn exact(&self, dtype: DType) -> Vec<f64> {
        let [query, kv, dim] = self.heads;
        let round = |data: &[f32]| if dtype == DType::Bf16 { rounded_to_bf16(data) } else { data.to_vec() };
        let (w, x) = (round(&self.w), if self.norm { self.x.clone() } else { round(&self.x) });
        let mut all = Vec::new();
        for (row, x) in x.chunks(self.k).enumerate() {
            let mut x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            if self.norm {
                let mean = x.iter().map(|x| x * x).sum::<f64>() / self.k as f64;
                let factor = 1.0 / (mean + f64::from(EPS)).sqrt();
                x.iter_mut().zip(&self.norm_weight).for_each(|(x, &w)| *x *= factor * f64::from(w));
            }
            let dot = |w: &[f32]| x.iter().zip(w).map(|(x, &w)| x * f64::from(w)).sum::<f64>();
            let mut y: Vec<f64> =
                w.chunks(self.k).zip(&self.bias).map(|(w, &bias)| dot(w) + f64::from(bias)).collect();
            let turns = &self.angles[row * dim..(row + 1) * dim];
            for head in
                y.chunks_mut(dim).take(if self.rotate == params::ROTATE_NONE { 0 } else { query + kv })
            {
                for pair in 0..dim / 2 {
                    let (i, j) = match self.rotate {
                        params::ROTATE_INTERLEAVED => (2 * pair, 2 * pair + 1),
                        _ => (pair, pair + dim / 2),
                    };
                    let (cos, sin) = (f64::from(turns[pair]), f64::from(turns[dim / 2 + pair]));
                    (head[i], head[j]) = (head[i] * cos - head[j] * sin, head[j] * cos + head[i] * sin);
                }
            }
            all.extend(y);
        }
        all
    }
}

/// Multi-head, grouped and single-kv heads, of dimensions that fit a tile and that do not.
const HEADS: [[usize; 3]; 6] = [[1, 1, 2], [2, 2, 16], [4, 2, 32], [3, 1, 10], [2, 1, 96], [1, 1, 128]];

const ROTATIONS: [u32; 3] = [params::ROTATE_NONE, params::ROTATE_INTERLEAVED, params::ROTATE_HALF_SPLIT];

fn naive_qkv(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "naive_qkv_f32",
        DType::Bf16 => "naive_qkv_bf16",
    }
}

#[test]
fn qkv_tiles_have_the_bits_of_the_naive_kernel() {
    let gpu = gpu();
    let mut inputs = Inputs::new(4);
    let odd = [[2, 1, 3], [1, 2, 5]].map(|heads| (heads, params::ROTATE_NONE));
    let even = HEADS.into_iter().flat_map(|heads| ROTATIONS.map(|rotate| (heads, rotate)));
    for (heads, rotate) in even.chain(odd) {
        for (rows, k) in [(1, 5), (19, 70)] {
            let case = Projection::new(&mut inputs, rows, k, heads, rotate, false);
            let n = case.n();
            for dtype in DTYPES {
                let naive = naive_qkv(dtype);
                let expected =
                    case.run(&gpu, dtype, &|params| launch_naive(&gpu, "naive/qkv", naive, params, rows, n));
                for form in forms(&qkv::PLAIN, dtype) {
                    let got = case.run(&gpu, dtype, &|params| launch(&gpu, &form, params, rows, n));
                    let context = format!("{} {heads:?} {rotate} [{rows}, {k}]", form.kernel.name);
                    assert_same_bits(&context, &got, &expected);
                }
            }
        }
    }
}

/// After its sums a result takes the row's factor (division, sum with ε, root, reciprocal, product), the bias and a
/// rotation's three roundings.
#[test]
fn qkv_norms_on_the_way_in() {
    let gpu = gpu();
    let mut inputs = Inputs::new(5);
    for (heads, rotate) in
        [([2, 1, 16], ROTATIONS[0]), ([4, 2, 10], ROTATIONS[1]), ([1, 1, 96], ROTATIONS[2])]
    {
        for (rows, k) in [(1, 1), (3, 48), (19, 133), (70, 515)] {
            let case = Projection::new(&mut inputs, rows, k, heads, rotate, true);
            let n = case.n();
            for dtype in DTYPES {
                let exact = case.exact(dtype);
                let naive = naive_qkv(dtype);
                let naive =
                    case.run(&gpu, dtype, &|params| launch_naive(&gpu, "naive/qkv", naive, params, rows, n));
                let mut first: Option<Vec<f32>> = None;
                for form in forms(&qkv::NORM, dtype) {
                    let got = case.run(&gpu, dtype, &|params| launch(&gpu, &form, params, rows, n));
                    let context = format!("{} {heads:?} {rotate} [{rows}, {k}]", form.kernel.name);
                    assert_near(&context, &got, &naive, &exact, 9);
                    assert_same_bits(&context, &got, first.get_or_insert_with(|| got.clone()));
                }
            }
        }
    }
}
