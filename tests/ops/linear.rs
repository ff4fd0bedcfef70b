//! y = epilogue(x·W + b).

use fathom::{
    DType, Device, Emulated, Keep, Perturb, Tensor,
    ops::{
        linear::{Epilogue, linear},
        perturb::perturb,
    },
    random::{Site, fill_normals, words},
};
use fathom_emulator::Options;
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference,
    reference::{Real, rounded_to_bf16},
    shapes::{ROWS, WEIGHTS},
    tolerance::{EXACT_BF16, EXACT_F32},
};

use crate::common::{
    DTYPES, SHARED, added, assert_rows_are_independent, coordinates, devices, everywhere, on_any_pool,
    tensor, vector, weight, written,
};

const ADDED: Epilogue<'_> = Epilogue::Residual(Perturb::None);

/// Even products and odd biases: no result is 0, so that an element that is never written shows.
#[test]
fn exact_on_integers() {
    let mut inputs = Inputs::new(1);
    for (k, n) in WEIGHTS {
        // Operands of at most 14 and 7, bias and residual of at most 100 each.
        assert!(14 <= EXACT_BF16 && k as i64 * 14 * 7 + 200 < EXACT_F32);
        let w = inputs.integers(k * n, 7);
        let bias = inputs.odd_integers(n, 50);
        for rows in ROWS {
            let x: Vec<f32> = inputs.integers(rows * k, 7).iter().map(|x| 2.0 * x).collect();
            let residual = inputs.integers(rows * n, 50).iter().map(|x| 2.0 * x).collect::<Vec<_>>();
            let plain: Vec<f32> = reference::linear(&x, &w, None, k, n);
            let biased: Vec<f32> = reference::linear(&x, &w, Some(&bias), k, n);
            let summed: Vec<f32> = biased.iter().zip(&residual).map(|(y, r)| y + r).collect();
            for (device, dtype) in everywhere() {
                let context = format!("{device} {dtype} [{rows}, {k}]·[{k}, {n}]");
                let (x, w) = (tensor(&device, rows, k, &x), weight(&device, dtype, k, n, &w));
                let bias = vector(&device, &bias);
                let got = written(&device, |out| linear(&x, &w, None, Epilogue::None, out));
                assert_eq!((got.rows(), got.width()), (rows, n), "{context}");
                assert_eq!(got.data(), plain, "{context}");
                let got = written(&device, |out| linear(&x, &w, Some(&bias), Epilogue::None, out));
                assert_eq!(got.data(), biased, "{context} + b");
                let got = added(&device, rows, n, &residual, |out| linear(&x, &w, Some(&bias), ADDED, out));
                assert_eq!(got.data(), summed, "{context} + b + x");
            }
        }
    }
}

/// The branch is perturbed, the stream is not: residual + m·(x·W + b) with recorded factors of 0 and 2.
#[test]
fn residual_adds_the_perturbed_branch() {
    let (rows, k, n) = (13, 5, 33);
    let mut inputs = Inputs::new(2);
    let (x, w) = (inputs.integers(rows * k, 7), inputs.integers(k * n, 7));
    let (bias, residual) = (inputs.integers(n, 50), inputs.integers(rows * n, 50));
    let factors: Vec<f32> = (0..rows * n).map(|_| 2.0 * inputs.below(2) as f32).collect();
    let branch: Vec<f32> = reference::linear(&x, &w, Some(&bias), k, n);
    let expected: Vec<f32> =
        residual.iter().zip(&branch).zip(&factors).map(|((r, y), m)| r + m * y).collect();
    for (device, dtype) in everywhere() {
        let (x, w) = (tensor(&device, rows, k, &x), weight(&device, dtype, k, n, &w));
        let (bias, epilogue) = (vector(&device, &bias), Epilogue::Residual(Perturb::Scale(&factors)));
        let got = added(&device, rows, n, &residual, |out| linear(&x, &w, Some(&bias), epilogue, out));
        assert_eq!(got.data(), expected, "{device} {dtype}");
    }
}

fn activated<R: Real>(x: &[f32], w: &[f32], bias: &[f32], (k, n): (usize, usize), form: &str) -> Vec<R> {
    match form {
        "gelu tanh" => {
            reference::linear(x, w, Some(bias), k, n).into_iter().map(reference::gelu_tanh::<R>).collect()
        }
        "gelu erf" => {
            reference::linear(x, w, Some(bias), k, n).into_iter().map(reference::gelu_erf::<R>).collect()
        }
        "swiglu" => reference::swiglu(&reference::linear::<R>(x, w, None, k, n)),
        _ => reference::linear(x, w, Some(bias), k, n),
    }
}

/// Operands are rounded to bf16 first, as the format asks; what follows is held to f32's tolerance. After its sum a
/// result takes the bias and at most seven steps of an activation, functions within 2 ulp counted twice.
#[test]
fn near_float64() {
    let mut inputs = Inputs::new(3);
    for (k, n) in [(1, 2), (17, 64), (33, 34), (129, 162), (513, 130), (768, 96)] {
        for rows in [1, 2, 13, 97] {
            let x = inputs.bell(rows * k);
            let w: Vec<f32> = inputs.bell(k * n).iter().map(|w| w / (k as f32).sqrt()).collect();
            let bias = inputs.bell(n);
            for (device, dtype) in everywhere() {
                let (rx, rw) = match dtype {
                    DType::F32 => (x.clone(), w.clone()),
                    DType::Bf16 => (rounded_to_bf16(&x), rounded_to_bf16(&w)),
                };
                let (x, w) = (tensor(&device, rows, k, &x), weight(&device, dtype, k, n, &w));
                for form in ["none", "gelu tanh", "gelu erf", "swiglu"] {
                    let (epilogue, given) = match form {
                        "gelu tanh" => (Epilogue::GeluTanh, Some(vector(&device, &bias))),
                        "gelu erf" => (Epilogue::GeluErf, Some(vector(&device, &bias))),
                        "swiglu" => (Epilogue::SwiGlu, None),
                        _ => (Epilogue::None, Some(vector(&device, &bias))),
                    };
                    let got = written(&device, |out| linear(&x, &w, given.as_ref(), epilogue, out));
                    let exact: Vec<f64> = activated(&rx, &rw, &bias, (k, n), form);
                    let naive: Vec<f32> = activated(&rx, &rw, &bias, (k, n), form);
                    let context = format!("{device} {form} {dtype} [{rows}, {k}]·[{k}, {n}]");
                    assert_near(&context, got.data(), &naive, &exact, 8);
                }
            }
        }
    }
}

/// What the next product reads is written rounded, from the same sums.
#[test]
fn operands_are_rounded_results() {
    let (rows, k, n) = (20, 70, 66);
    let mut inputs = Inputs::new(9);
    let (x, w, bias) = (inputs.bell(rows * k), inputs.bell(k * n), inputs.bell(n));
    for (device, dtype) in everywhere() {
        let (x, w) = (tensor(&device, rows, k, &x), weight(&device, dtype, k, n, &w));
        let bias = vector(&device, &bias);
        for epilogue in [Epilogue::None, Epilogue::GeluTanh, Epilogue::GeluErf, Epilogue::SwiGlu] {
            let bias = if let Epilogue::SwiGlu = epilogue { None } else { Some(&bias) };
            let plain = written(&device, |out| linear(&x, &w, bias, epilogue, out));
            let mut operand = Tensor::operand(&device, DType::Bf16);
            linear(&x, &w, bias, epilogue, &mut operand).unwrap();
            let expected = match device {
                Device::Cpu => plain.data().to_vec(),
                _ => rounded_to_bf16(plain.data()),
            };
            let context = format!("{device} {dtype} {epilogue:?}");
            assert_same_bits(&context, &operand.to_vec().unwrap(), &expected);
            // And so it is read: another product sees no difference between the two.
            let again = weight(&device, DType::Bf16, plain.width(), 3, &inputs.bell(plain.width() * 3));
            let rounded = tensor(&device, rows, plain.width(), plain.data());
            let from_rounded = written(&device, |out| linear(&rounded, &again, None, Epilogue::None, out));
            let from_operand = written(&device, |out| linear(&operand, &again, None, Epilogue::None, out));
            assert_same_bits(&context, from_operand.data(), from_rounded.data());
        }
    }
}

/// Far from zero the activations are the identity, zero, or their product, without overflow on the way.
#[test]
fn activations_saturate() {
    let x = [-1e4, -200.0, 0.0, 200.0, 1e4];
    for device in devices() {
        let w = weight(&device, DType::F32, 1, 2, &[1.0, 1.0]);
        let rows = tensor(&device, 5, 1, &x);
        for (name, epilogue) in [("tanh", Epilogue::GeluTanh), ("erf", Epilogue::GeluErf)] {
            let got = written(&device, |out| linear(&rows, &w, None, epilogue, out));
            for (row, &x) in x.iter().enumerate() {
                assert_eq!(got.row(row), [x.max(0.0), x.max(0.0)], "{device} GELU {name} of {x}");
            }
        }
        let got = written(&device, |out| linear(&rows, &w, None, Epilogue::SwiGlu, out));
        assert_eq!(got.data(), [0.0, 0.0, 0.0, 200.0 * 200.0, 1e8], "{device}");
    }
}

/// Alone, among few and among many: on a GPU other tiles, on the CPU one thread or several.
#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(4);
    // On the CPU the larger products are shared among threads, in two tasks and in three; the smaller one runs on one.
    let large = [(97, 513, 161), (300, 401, 289)];
    assert!(large.iter().all(|(rows, k, n)| rows * k * n >= SHARED));
    for (device, dtype) in everywhere() {
        let shapes = match device {
            Device::Cpu => [(13, 33, 33), large[0], large[1]],
            _ => [(13, 33, 33), (97, 131, 65), (300, 70, 33)],
        };
        for (rows, k, n) in shapes {
            let (x, w, bias) = (inputs.bell(rows * k), inputs.bell(k * n), inputs.bell(n));
            // Of an even width, as pairs of columns want it.
            let paired = inputs.bell(k * (n + 1));
            let (w, paired) = (weight(&device, dtype, k, n, &w), weight(&device, dtype, k, n + 1, &paired));
            let bias = vector(&device, &bias);
            let context = format!("{device} {dtype} [{rows}, {k}]·[{k}, {n}]");
            for (form, epilogue) in [("tanh", Epilogue::GeluTanh), ("erf", Epilogue::GeluErf)] {
                assert_rows_are_independent(&format!("{context} GELU {form}"), &device, &x, k, |x| {
                    let run = |out: &mut _| linear(&x, &w, Some(&bias), epilogue, out);
                    written(&device, run).into_data().unwrap()
                });
            }
            assert_rows_are_independent(&format!("{context} SwiGLU"), &device, &x, k, |x| {
                let run = |out: &mut _| linear(&x, &paired, None, Epilogue::SwiGlu, out);
                written(&device, run).into_data().unwrap()
            });
        }
    }
}

/// Schedules of a GPU's threads and the moments of its copies change no bit; nor does the card, whose kernels add in the
/// same order, where that alone rounds: on the emulator.
#[test]
fn schedules_do_not_matter() {
    let mut inputs = Inputs::new(10);
    for (rows, k, n) in [(3, 700, 40), (70, 330, 66), (260, 260, 130)] {
        let (x, w) = (inputs.bell(rows * k), inputs.bell(k * n));
        for dtype in DTYPES {
            let run = |card: fn(Options) -> Emulated, options| {
                let device = card(options).device();
                let (x, w) = (tensor(&device, rows, k, &x), weight(&device, dtype, k, n, &w));
                let mut out = Tensor::empty(&device);
                linear(&x, &w, None, Epilogue::GeluTanh, &mut out).unwrap();
                out.to_vec().unwrap()
            };
            let expected = run(Emulated::sm_80, Options::default());
            for options in Options::suite(2) {
                let context = format!("{dtype} [{rows}, {k}]·[{k}, {n}], {options:?}");
                assert_same_bits(&context, &run(Emulated::sm_80, options.clone()), &expected);
                assert_same_bits(&context, &run(Emulated::sm_90a, options), &expected);
            }
        }
    }
}

/// A column's sum follows from k alone, not from the columns beside it.
#[test]
fn columns_are_independent() {
    let (rows, k, n) = (7, 33, 170);
    let mut inputs = Inputs::new(5);
    let (x, w) = (inputs.bell(rows * k), inputs.bell(k * n));
    for (device, dtype) in everywhere() {
        let x = tensor(&device, rows, k, &x);
        let product = |n, w: &[f32]| {
            let w = weight(&device, dtype, k, n, w);
            written(&device, |out| linear(&x, &w, None, Epilogue::None, out))
        };
        let all = product(n, &w);
        for column in [0, 31, 32, 69, 127, 128, 169] {
            let one: Vec<f32> = w.iter().skip(column).step_by(n).copied().collect();
            let expected: Vec<f32> = (0..rows).map(|row| all.row(row)[column]).collect();
            let context = format!("{device} {dtype} column {column}");
            assert_same_bits(&context, product(1, &one).data(), &expected);
        }
    }
}

/// Sums that go on over several blocks of steps, panels that fill several tasks or end within one, and all numbers of rows
/// of a tile and past it.
#[test]
fn exact_past_blocks_tasks_and_tiles() {
    const ROWS: usize = 64;
    let mut inputs = Inputs::new(6);
    for k in [255, 256, 257, 511, 513, 600] {
        // Operands of at most 14 and 7, and a stream of at most 100.
        assert!(k * 14 * 7 + 100 < EXACT_F32 as usize);
        for n in (127..=160).step_by(2).chain([128, 160]) {
            let x: Vec<f32> = inputs.integers(ROWS * k, 7).iter().map(|x| 2.0 * x).collect();
            let (w, stream) = (inputs.integers(k * n, 7), inputs.odd_integers(ROWS * n, 50));
            let product: Vec<f32> = reference::linear(&x, &w, None, k, n);
            let summed: Vec<f32> = product.iter().zip(&stream).map(|(y, s)| y + s).collect();
            for (device, dtype) in everywhere() {
                // Tiles of a GPU end elsewhere: a few of these are enough.
                let on_host = device == Device::Cpu;
                if !on_host && (n % 32 != 0 || k % 2 == 0) {
                    continue;
                }
                let w = weight(&device, dtype, k, n, &w);
                for rows in (1..=13).chain([ROWS]).filter(|rows| on_host || [1, 13, ROWS].contains(rows)) {
                    let context = format!("{device} {dtype} [{rows}, {k}]·[{k}, {n}]");
                    let x = tensor(&device, rows, k, &x[..rows * k]);
                    let got = written(&device, |out| linear(&x, &w, None, Epilogue::None, out));
                    assert_eq!(got.data(), &product[..rows * n], "{context}");
                    let got =
                        added(&device, rows, n, &stream[..rows * n], |out| linear(&x, &w, None, ADDED, out));
                    assert_eq!(got.data(), &summed[..rows * n], "{context} + x");
                }
            }
        }
    }
}

/// The documented order of a sum: one chain of fused multiply-adds over k, rising in f32; in bf16 on the CPU by pairs of
/// channels, the odd one of a pair first, a missing one as 0·0.
fn chain(dtype: DType, x: &[f32], w: &[f32], k: usize, n: usize) -> Vec<f32> {
    let (x, w, order) = match dtype {
        DType::F32 => (x.to_vec(), w.to_vec(), (0..k).collect::<Vec<_>>()),
        DType::Bf16 => {
            let pairs = (0..k.next_multiple_of(2)).map(|i| i ^ 1).filter(|&i| i < k);
            (rounded_to_bf16(x), rounded_to_bf16(w), pairs.collect())
        }
    };
    let row = |x: &[f32]| {
        let mut sums = vec![0.0f32; n];
        for &i in &order {
            sums.iter_mut().zip(&w[i * n..]).for_each(|(sum, &w)| *sum = x[i].mul_add(w, *sum));
        }
        sums
    };
    x.chunks(k).flat_map(row).collect()
}

#[test]
fn sums_are_one_chain() {
    let mut inputs = Inputs::new(7);
    for k in [1, 2, 3, 255, 256, 257, 511, 512, 513, 600, 1025] {
        for n in [1, 33, 129, 159] {
            let (x, w) = (inputs.bell(13 * k), inputs.bell(k * n));
            // How a tensor core adds is its own.
            let documented =
                |(device, dtype): &(Device, DType)| *device == Device::Cpu || *dtype == DType::F32;
            for (device, dtype) in everywhere().into_iter().filter(documented) {
                let expected = chain(dtype, &x, &w, k, n);
                let w = weight(&device, dtype, k, n, &w);
                let rows = if device == Device::Cpu { &[1, 2, 5, 6, 7, 11, 12, 13][..] } else { &[1, 13] };
                for &rows in rows {
                    let x = tensor(&device, rows, k, &x[..rows * k]);
                    let got = written(&device, |out| linear(&x, &w, None, Epilogue::None, out));
                    let context = format!("{device} {dtype} [{rows}, {k}]·[{k}, {n}]");
                    assert_same_bits(&context, got.data(), &expected[..rows * n]);
                }
            }
        }
    }
}

/// Widths of one word, of less and more than four channels, a panel, a task and two, most of them no multiple of 4.
const PERTURBED: [usize; 13] = [1, 3, 4, 5, 30, 31, 33, 50, 66, 127, 130, 161, 289];

/// A perturbation in the epilogue is the perturbation of the branch on its own, and then the sum, whether the product
/// runs on one thread or, as most rows by the last widths do on the CPU, is shared among several.
#[test]
fn fused_perturbation_is_the_separate_one() {
    let most = 97;
    let at = coordinates(most);
    let mut inputs = Inputs::new(8);
    for (device, dtype) in everywhere() {
        let (k, rows) = match device {
            Device::Cpu => (513, [1, 13, most]),
            _ => (33, [1, 13, 30]),
        };
        assert!(device != Device::Cpu || (most * k * 127 >= SHARED && most * k * 66 < SHARED));
        for n in PERTURBED {
            let (x, w, bias) = (inputs.bell(most * k), inputs.bell(k * n), inputs.bell(n));
            let (stream, recorded) = (inputs.bell(most * n), inputs.bell(most * n));
            let (w, bias) = (weight(&device, dtype, k, n, &w), vector(&device, &bias));
            for rows in rows {
                let x = tensor(&device, rows, k, &x[..rows * k]);
                let (stream, at) = (&stream[..rows * n], &at[..rows]);
                let forms = [
                    Perturb::Dropout { keep: Keep::new(0.3), site: Site::Mlp(2), rows: at },
                    Perturb::Noise { std: 0.6, site: Site::Attention(2), rows: at },
                    Perturb::Scale(&recorded[..rows * n]),
                    Perturb::Add(&recorded[..rows * n]),
                ];
                let branch = written(&device, |out| linear(&x, &w, Some(&bias), Epilogue::None, out));
                for form in forms {
                    let context = format!("{device} {dtype} [{rows}, {n}] {form:?}");
                    // The draws are the CPU's, to the bit.
                    let mut perturbed = branch.clone();
                    perturb(&mut perturbed, form).unwrap();
                    assert_ne!(perturbed.data(), branch.data(), "{context}");
                    let expected: Vec<f32> =
                        stream.iter().zip(perturbed.data()).map(|(s, y)| s + y).collect();
                    let run = || {
                        let epilogue = Epilogue::Residual(form);
                        added(&device, rows, n, stream, |out| linear(&x, &w, Some(&bias), epilogue, out))
                            .into_data()
                            .unwrap()
                    };
                    let got = if device == Device::Cpu { on_any_pool(&context, run) } else { run() };
                    assert_same_bits(&context, &got, &expected);
                }
            }
        }
    }
}

/// The fused forms draw what [`words`] and [`fill_normals`] say of each element by itself.
#[test]
fn fused_draws_one_by_one() {
    let (rows, site) = (13, Site::Mlp(7));
    let at = coordinates(rows);
    for (device, n) in devices().into_iter().flat_map(|device| PERTURBED.map(|n| (device.clone(), n))) {
        let ones = tensor(&device, rows, 1, &[1.0; 13]);
        let w = weight(&device, DType::F32, 1, n, &vec![1.0; n]);
        let fused = |form| {
            let epilogue = Epilogue::Residual(form);
            added(&device, rows, n, &vec![0.0; rows * n], |out| linear(&ones, &w, None, epilogue, out))
        };
        for p in [0.0, 0.1, 0.5, 0.97] {
            let keep = Keep::new(p);
            let got = fused(Perturb::Dropout { keep, site, rows: &at });
            for (row, &at) in at.iter().enumerate() {
                for channel in 0..n {
                    let word = words(at, site, channel as u32 / 4)[channel % 4];
                    let expected = if u64::from(word) < keep.threshold { keep.scale } else { 0.0 };
                    let context = format!("{device} p {p} row {row} channel {channel} of {n}");
                    assert_eq!(got.row(row)[channel], expected, "{context}");
                }
            }
        }
        let got = fused(Perturb::Noise { std: 0.6, site, rows: &at });
        for (row, &at) in at.iter().enumerate() {
            let mut normals = vec![f32::NAN; n];
            fill_normals(&mut normals, at, site);
            let expected: Vec<f32> = normals.iter().map(|&normal| 0.6f32.mul_add(normal, 1.0)).collect();
            assert_same_bits(&format!("{device} noise, row {row} of {n}"), got.row(row), &expected);
        }
    }
}
