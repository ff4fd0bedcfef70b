//! y = epilogue(x·W + b).

use fathom::{
    DType, Device, Keep, Perturb,
    ops::{
        linear::{Epilogue, linear},
        perturb::perturb,
    },
    random::{Site, fill_normals, words},
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference,
    reference::{Real, rounded_to_bf16},
    shapes::{ROWS, WEIGHTS},
    tolerance::{EXACT_BF16, EXACT_F32},
};

use crate::common::{
    DTYPES, SHARED, added, assert_rows_are_independent, coordinates, on_any_pool, tensor, vector, weight,
    written,
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
            for dtype in DTYPES {
                let context = format!("{dtype} [{rows}, {k}]·[{k}, {n}]");
                let (x, w) = (tensor(&Device::Cpu, rows, k, &x), weight(&Device::Cpu, dtype, k, n, &w));
                let got = written(&Device::Cpu, |out| linear(&x, &w, None, Epilogue::None, out));
                assert_eq!((got.rows(), got.width()), (rows, n), "{context}");
                assert_eq!(got.data(), plain, "{context}");
                let got = written(&Device::Cpu, |out| {
                    linear(&x, &w, Some(&vector(&Device::Cpu, &bias)), Epilogue::None, out)
                });
                assert_eq!(got.data(), biased, "{context} + b");
                let got = added(&Device::Cpu, rows, n, &residual, |out| {
                    linear(&x, &w, Some(&vector(&Device::Cpu, &bias)), ADDED, out)
                });
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
    let (x, w) = (tensor(&Device::Cpu, rows, k, &x), weight(&Device::Cpu, DType::F32, k, n, &w));
    let epilogue = Epilogue::Residual(Perturb::Scale(&factors));
    let got = added(&Device::Cpu, rows, n, &residual, |out| {
        linear(&x, &w, Some(&vector(&Device::Cpu, &bias)), epilogue, out)
    });
    assert_eq!(got.data(), expected);
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
            for dtype in DTYPES {
                let (rx, rw) = match dtype {
                    DType::F32 => (x.clone(), w.clone()),
                    DType::Bf16 => (rounded_to_bf16(&x), rounded_to_bf16(&w)),
                };
                for form in ["none", "gelu tanh", "gelu erf", "swiglu"] {
                    let (epilogue, bias_given) = match form {
                        "gelu tanh" => (Epilogue::GeluTanh, Some(vector(&Device::Cpu, &bias))),
                        "gelu erf" => (Epilogue::GeluErf, Some(vector(&Device::Cpu, &bias))),
                        "swiglu" => (Epilogue::SwiGlu, None),
                        _ => (Epilogue::None, Some(vector(&Device::Cpu, &bias))),
                    };
                    let (x, w) = (tensor(&Device::Cpu, rows, k, &x), weight(&Device::Cpu, dtype, k, n, &w));
                    let got = written(&Device::Cpu, |out| linear(&x, &w, bias_given.as_ref(), epilogue, out));
                    let exact: Vec<f64> = activated(&rx, &rw, &bias, (k, n), form);
                    let naive: Vec<f32> = activated(&rx, &rw, &bias, (k, n), form);
                    assert_near(
                        &format!("{form} {dtype} [{rows}, {k}]·[{k}, {n}]"),
                        got.data(),
                        &naive,
                        &exact,
                        8,
                    );
                }
            }
        }
    }
}

/// Far from zero the activations are the identity, zero, or their product, without overflow on the way.
#[test]
fn activations_saturate() {
    let w = weight(&Device::Cpu, DType::F32, 1, 2, &[1.0, 1.0]);
    let x = [-1e4, -200.0, 0.0, 200.0, 1e4];
    for (name, epilogue) in [("tanh", Epilogue::GeluTanh), ("erf", Epilogue::GeluErf)] {
        let got =
            written(&Device::Cpu, |out| linear(&tensor(&Device::Cpu, 5, 1, &x), &w, None, epilogue, out));
        for (row, &x) in x.iter().enumerate() {
            assert_eq!(got.row(row), [x.max(0.0), x.max(0.0)], "GELU {name} of {x}");
        }
    }
    let got =
        written(&Device::Cpu, |out| linear(&tensor(&Device::Cpu, 5, 1, &x), &w, None, Epilogue::SwiGlu, out));
    assert_eq!(got.data(), [0.0, 0.0, 0.0, 200.0 * 200.0, 1e8]);
}

#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(4);
    // The larger products are shared among threads, in two tasks and in three; the smaller one runs on one.
    for (rows, k, n) in [(13, 33, 33), (97, 513, 161), (300, 401, 289)] {
        assert_eq!(rows * k * n >= SHARED, rows > 13);
        let (x, w, bias) = (inputs.bell(rows * k), inputs.bell(k * n), inputs.bell(n));
        // Of an even width, as pairs of columns want it.
        let paired = inputs.bell(k * (n + 1));
        for dtype in DTYPES {
            let (w, paired) =
                (weight(&Device::Cpu, dtype, k, n, &w), weight(&Device::Cpu, dtype, k, n + 1, &paired));
            let context = format!("{dtype} [{rows}, {k}]·[{k}, {n}]");
            for (form, epilogue) in [("tanh", Epilogue::GeluTanh), ("erf", Epilogue::GeluErf)] {
                assert_rows_are_independent(&format!("{context} GELU {form}"), &Device::Cpu, &x, k, |x| {
                    written(&Device::Cpu, |out| {
                        linear(&x, &w, Some(&vector(&Device::Cpu, &bias)), epilogue, out)
                    })
                    .into_data()
                    .unwrap()
                });
            }
            assert_rows_are_independent(&format!("{context} SwiGLU"), &Device::Cpu, &x, k, |x| {
                written(&Device::Cpu, |out| linear(&x, &paired, None, Epilogue::SwiGlu, out))
                    .into_data()
                    .unwrap()
            });
        }
    }
}

/// A column's sum follows from k alone, not from the columns beside it.
#[test]
fn columns_are_independent() {
    let (rows, k, n) = (7, 33, 170);
    let mut inputs = Inputs::new(5);
    let (x, w) = (tensor(&Device::Cpu, rows, k, &inputs.bell(rows * k)), inputs.bell(k * n));
    for dtype in DTYPES {
        let product = |n, w: &[f32]| {
            written(&Device::Cpu, |out| {
                linear(&x, &weight(&Device::Cpu, dtype, k, n, w), None, Epilogue::None, out)
            })
        };
        let all = product(n, &w);
        for column in [0, 31, 32, 69, 127, 128, 169] {
            let one: Vec<f32> = w.iter().skip(column).step_by(n).copied().collect();
            let expected: Vec<f32> = (0..rows).map(|row| all.row(row)[column]).collect();
            assert_same_bits(&format!("{dtype} column {column}"), product(1, &one).data(), &expected);
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
            for dtype in DTYPES {
                let w = weight(&Device::Cpu, dtype, k, n, &w);
                for rows in (1..=13).chain([ROWS]) {
                    let context = format!("{dtype} [{rows}, {k}]·[{k}, {n}]");
                    let x = tensor(&Device::Cpu, rows, k, &x[..rows * k]);
                    let got = written(&Device::Cpu, |out| linear(&x, &w, None, Epilogue::None, out));
                    assert_eq!(got.data(), &product[..rows * n], "{context}");
                    let got = added(&Device::Cpu, rows, n, &stream[..rows * n], |out| {
                        linear(&x, &w, None, ADDED, out)
                    });
                    assert_eq!(got.data(), &summed[..rows * n], "{context} + x");
                }
            }
        }
    }
}

/// The documented order of a sum: one chain of fused multiply-adds over k, rising in f32; in bf16 by pairs of channels,
/// the odd one of a pair first, a missing one as 0·0.
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
            for dtype in DTYPES {
                let expected = chain(dtype, &x, &w, k, n);
                let w = weight(&Device::Cpu, dtype, k, n, &w);
                for rows in [1, 2, 5, 6, 7, 11, 12, 13] {
                    let x = tensor(&Device::Cpu, rows, k, &x[..rows * k]);
                    let got = written(&Device::Cpu, |out| linear(&x, &w, None, Epilogue::None, out));
                    let context = format!("{dtype} [{rows}, {k}]·[{k}, {n}]");
                    assert_same_bits(&context, got.data(), &expected[..rows * n]);
                }
            }
        }
    }
}

/// Widths of one word, of less and more than four channels, a panel, a task and two, most of them no multiple of 4.
const PERTURBED: [usize; 13] = [1, 3, 4, 5, 30, 31, 33, 50, 66, 127, 130, 161, 289];

/// A perturbation in the epilogue is the perturbation of the branch on its own, and then the sum, whether the product
/// runs on one thread or, as most rows by the last widths do, is shared among several.
#[test]
fn fused_perturbation_is_the_separate_one() {
    let (most, k) = (97, 513);
    assert!(most * k * 127 >= SHARED && most * k * 66 < SHARED);
    let at = coordinates(most);
    let mut inputs = Inputs::new(8);
    for n in PERTURBED {
        let (x, w, bias) = (inputs.bell(most * k), inputs.bell(k * n), inputs.bell(n));
        let (stream, recorded) = (inputs.bell(most * n), inputs.bell(most * n));
        for rows in [1, 13, most] {
            let (x, stream, at) =
                (tensor(&Device::Cpu, rows, k, &x[..rows * k]), &stream[..rows * n], &at[..rows]);
            let forms = [
                Perturb::Dropout { keep: Keep::new(0.3), site: Site::Mlp(2), rows: at },
                Perturb::Noise { std: 0.6, site: Site::Attention(2), rows: at },
                Perturb::Scale(&recorded[..rows * n]),
                Perturb::Add(&recorded[..rows * n]),
            ];
            for dtype in DTYPES {
                let w = weight(&Device::Cpu, dtype, k, n, &w);
                let branch = written(&Device::Cpu, |out| {
                    linear(&x, &w, Some(&vector(&Device::Cpu, &bias)), Epilogue::None, out)
                });
                for form in forms {
                    let context = format!("{dtype} [{rows}, {n}] {form:?}");
                    let mut perturbed = branch.clone();
                    perturb(&mut perturbed, form).unwrap();
                    assert_ne!(perturbed.data(), branch.data(), "{context}");
                    let expected: Vec<f32> =
                        stream.iter().zip(perturbed.data()).map(|(s, y)| s + y).collect();
                    let got = on_any_pool(&context, || {
                        let epilogue = Epilogue::Residual(form);
                        added(&Device::Cpu, rows, n, stream, |out| {
                            linear(&x, &w, Some(&vector(&Device::Cpu, &bias)), epilogue, out)
                        })
                        .into_data()
                        .unwrap()
                    });
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
    let ones = tensor(&Device::Cpu, rows, 1, &[1.0; 13]);
    for n in PERTURBED {
        let w = weight(&Device::Cpu, DType::F32, 1, n, &vec![1.0; n]);
        let fused = |form| {
            let epilogue = Epilogue::Residual(form);
            added(&Device::Cpu, rows, n, &vec![0.0; rows * n], |out| linear(&ones, &w, None, epilogue, out))
        };
        for p in [0.0, 0.1, 0.5, 0.97] {
            let keep = Keep::new(p);
            let got = fused(Perturb::Dropout { keep, site, rows: &at });
            for (row, &at) in at.iter().enumerate() {
                for channel in 0..n {
                    let word = words(at, site, channel as u32 / 4)[channel % 4];
                    let expected = if u64::from(word) < keep.threshold { keep.scale } else { 0.0 };
                    assert_eq!(got.row(row)[channel], expected, "p {p} row {row} channel {channel} of {n}");
                }
            }
        }
        let got = fused(Perturb::Noise { std: 0.6, site, rows: &at });
        for (row, &at) in at.iter().enumerate() {
            let mut normals = vec![f32::NAN; n];
            fill_normals(&mut normals, at, site);
            let expected: Vec<f32> = normals.iter().map(|&normal| 0.6f32.mul_add(normal, 1.0)).collect();
            assert_same_bits(&format!("noise, row {row} of {n} channels"), got.row(row), &expected);
        }
    }
}
