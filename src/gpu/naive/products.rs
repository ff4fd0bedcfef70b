//! Every tile of the products against the others and against the naive kernels, launched by name.
//!
//! The emulated tensor core adds product by product in the order of k, and products of bf16 are exact in f32: so here the
//! naive chain has the same bits, but for the norm on the way in, whose squares are summed in another order.

use bytemuck::Pod;
use fathom_testkit::{
    compare::{assert_near, assert_same_bits, largest_error},
    inputs::Inputs,
    reference::rounded_to_bf16,
    tolerance::{UNIT, UNIT_BF16},
};

use super::{DTYPES, Grid, Matrix, coordinates, launch, read, sm_80, sm_90a};
use crate::{
    DType, Perturb,
    gpu::{
        Buffer, Gpu, Kernel, adapter, hopper, linear, linear_hopper,
        params::{self, AdapterParams, KvPlace, LinearParams, QkvParams},
        qkv,
        tile::{Form, Kernels},
    },
    random::Site,
};

/// All tiles for weights of `dtype`.
fn forms(kernels: &Kernels, dtype: DType) -> Vec<Form> {
    let mut forms: Vec<Form> = [1, 17, 257].map(|rows| kernels.form(dtype, rows)).to_vec();
    forms.dedup_by_key(|form| form.kernel);
    assert!(dtype == DType::F32 || forms.len() == 2 + usize::from(kernels.tall.is_some()));
    forms
}

/// What `run` makes of a launch in each tile that a card has for weights of `dtype`, with its name.
fn each_tile(
    gpu: &Gpu,
    (kernels, wgmma): (&Kernels, hopper::Kernels),
    dtype: DType,
    run: impl Fn(&dyn Fn(&LinearParams)) -> Vec<f32>,
) -> Vec<(&'static str, Vec<f32>)> {
    if hopper::runs(gpu, dtype) {
        let launch = |params: &LinearParams| {
            // SAFETY: the callers' matrices have the extents that their parameters give.
            unsafe { linear_hopper::launch(gpu, &mut gpu.session(), wgmma, *params).unwrap() }
        };
        return vec![(wgmma.file, run(&launch))];
    }
    let tiled = |form: Form| {
        let launch = |params: &LinearParams| {
            launch_tiled(gpu, &form, params, [params.rows as usize, params.n as usize]);
        };
        (form.kernel.name, run(&launch))
    };
    forms(kernels, dtype).into_iter().map(tiled).collect()
}

fn launch_tiled<P: Pod>(gpu: &Gpu, form: &Form, params: &P, [rows, n]: [usize; 2]) {
    let Form { kernel, tile, shared } = *form;
    launch(gpu, kernel, params, Grid { blocks: tile.grid(rows, n), threads: tile.threads, shared });
}

/// The naive version for weights of `dtype`, of its names for f32 and bf16.
fn naive(file: &'static str, [f32, bf16]: [&'static str; 2], dtype: DType) -> Kernel {
    let name = if dtype == DType::F32 { f32 } else { bf16 };
    Kernel { file, name }
}

/// The cards and the types of weights for which they have tiles of their own.
fn each_card() -> [(Gpu, DType); 3] {
    [(sm_80(), DType::F32), (sm_80(), DType::Bf16), (sm_90a(), DType::Bf16)]
}

#[test]
fn linear_tiles_have_the_bits_of_the_naive_kernel() {
    let mut inputs = Inputs::new(1);
    for (rows, k, n) in [(1, 1, 2), (20, 69, 34), (70, 130, 67), (130, 64, 130)] {
        let (x, w, bias) = (inputs.bell(rows * k), inputs.bell(n * k), inputs.bell(n));
        let before = inputs.bell(rows * n);
        let at = coordinates(rows);
        let noise = Perturb::Noise { std: 0.5, site: Site::Mlp(3), rows: &at };
        for (gpu, dtype) in each_card() {
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
                let naive = naive("naive/linear", ["naive_linear_f32", "naive_linear_bf16"], dtype);
                let expected = run(&|params| launch(&gpu, naive, params, Grid::of_elements(rows, n)));
                for (name, got) in each_tile(&gpu, (&linear::LINEAR, linear_hopper::LINEAR), dtype, run) {
                    let context = format!("{name} {epilogue} [{rows}, {k}]·[{k}, {n}]");
                    assert_same_bits(&context, &got, &expected);
                }
            }
        }
    }
}

#[test]
fn swiglu_tiles_have_the_bits_of_the_naive_kernel() {
    let mut inputs = Inputs::new(2);
    for (rows, k, n) in [(1, 3, 2), (20, 69, 66), (70, 130, 130)] {
        let (x, w) = (inputs.bell(rows * k), inputs.bell(n * k));
        for (gpu, dtype) in each_card() {
            let x = Matrix::spoilt(&gpu, dtype, k, &x);
            let weight = Matrix::new(&gpu, dtype, k, &w);
            let run = |launch: &dyn Fn(&LinearParams)| {
                let out = Matrix::spoilt(&gpu, dtype, n / 2, &vec![f32::NAN; rows * n / 2]);
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
            let names = ["naive_linear_swiglu_f32", "naive_linear_swiglu_bf16"];
            let naive = naive("naive/linear", names, dtype);
            let expected = run(&|params| launch(&gpu, naive, params, Grid::of_elements(rows, n / 2)));
            for (name, got) in each_tile(&gpu, (&linear::SWIGLU, linear_hopper::SWIGLU), dtype, run) {
                assert_same_bits(&format!("{name} [{rows}, {k}]·[{k}, {n}]"), &got, &expected);
            }
        }
    }
}

#[test]
fn adapter_tiles_have_the_bits_of_the_naive_kernel() {
    let gpu = sm_80();
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
                let naive = naive("naive/adapter", ["naive_adapter_f32", "naive_adapter_bf16"], dtype);
                let expected = run(&|params| launch(&gpu, naive, params, Grid::of_elements(rows, n)));
                for form in forms(&adapter::ADAPTER, dtype) {
                    let got = run(&|params| launch_tiled(&gpu, &form, params, [rows, n]));
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
            kv_dtype: crate::gpu::dtype(dtype),
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

fn naive_qkv(dtype: DType) -> Kernel {
    naive("naive/qkv", ["naive_qkv_f32", "naive_qkv_bf16"], dtype)
}

#[test]
fn qkv_tiles_have_the_bits_of_the_naive_kernel() {
    let gpu = sm_80();
    let mut inputs = Inputs::new(4);
    let odd = [[2, 1, 3], [1, 2, 5]].map(|heads| (heads, params::ROTATE_NONE));
    let even = HEADS.into_iter().flat_map(|heads| ROTATIONS.map(|rotate| (heads, rotate)));
    for (heads, rotate) in even.chain(odd) {
        for (rows, k) in [(1, 5), (19, 70)] {
            let case = Projection::new(&mut inputs, rows, k, heads, rotate, false);
            let n = case.n();
            for dtype in DTYPES {
                let naive = naive_qkv(dtype);
                let grid = Grid::of_elements(rows, n);
                let expected = case.run(&gpu, dtype, &|params| launch(&gpu, naive, params, grid));
                for form in forms(&qkv::PLAIN, dtype) {
                    let got = case.run(&gpu, dtype, &|params| launch_tiled(&gpu, &form, params, [rows, n]));
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
    let gpu = sm_80();
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
                let grid = Grid::of_elements(rows, n);
                let naive = case.run(&gpu, dtype, &|params| launch(&gpu, naive, params, grid));
                // One that is wrong would allow anything: rounding on the way in, its sum, and rounding on the way out.
                let unit = if dtype == DType::F32 { 32.0 * UNIT } else { 2.0 * UNIT_BF16 };
                let largest = exact.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
                let error = largest_error(&naive, &exact);
                assert!(error <= unit * largest, "naive {dtype} {heads:?} [{rows}, {k}]: {error:e}");
                let mut first: Option<Vec<f32>> = None;
                for form in forms(&qkv::NORM, dtype) {
                    let got = case.run(&gpu, dtype, &|params| launch_tiled(&gpu, &form, params, [rows, n]));
                    let context = format!("{} {heads:?} {rotate} [{rows}, {k}]", form.kernel.name);
                    assert_near(&context, &got, &naive, &exact, 9);
                    assert_same_bits(&context, &got, first.get_or_insert_with(|| got.clone()));
                }
            }
        }
    }
}
