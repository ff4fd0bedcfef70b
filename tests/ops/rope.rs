//! Rotary position embedding.

use fathom::{
    Device, Tensor,
    ops::rope::{self, Layout, rope, rope_backward},
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    poison::{is_poison, poisoned},
    reference,
};

use crate::common::{added, chosen, devices, on_any_pool, tensor, written};

const LAYOUTS: [Layout; 2] = [Layout::Interleaved, Layout::HalfSplit];

fn frequencies(dim: usize) -> Vec<f32> {
    (0..dim / 2).map(|i| 10_000f32.powf(-2.0 * i as f32 / dim as f32)).collect()
}

/// On the CPU.
fn angles(positions: &[usize], frequencies: &[f32]) -> Tensor {
    written(&Device::Cpu, |out| rope::angles(positions, frequencies, out))
}

/// `x`, which is on the CPU, on `device`.
fn on(device: &Device, x: &Tensor) -> Tensor {
    tensor(device, x.rows(), x.width(), x.data())
}

fn pair(layout: Layout, dim: usize) -> impl Fn(usize) -> (usize, usize) {
    move |i| match layout {
        Layout::Interleaved => (2 * i, 2 * i + 1),
        Layout::HalfSplit => (i, i + dim / 2),
    }
}

/// Angles are f32 products, as published: the reference takes the same product and goes on in float64. One step of at
/// most an ulp (two roundings) follows.
#[test]
fn angles_near_float64() {
    let positions = [0, 1, 2, 17, 255, 1000, 4095, 131_071];
    for dim in [2, 16, 64, 96, 128] {
        let frequencies = frequencies(dim);
        let got = angles(&positions, &frequencies);
        assert_eq!((got.rows(), got.width()), (positions.len(), dim));
        for (row, &position) in positions.iter().enumerate() {
            let products: Vec<f32> = frequencies.iter().map(|f| position as f32 * f).collect();
            let exact: Vec<f64> = reference::angles(1, &products);
            let naive: Vec<f32> = reference::angles(1, &products);
            assert_near(&format!("position {position}, {dim} channels"), got.row(row), &naive, &exact, 2);
        }
    }
    assert_eq!(angles(&[0], &frequencies(8)).data(), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

/// A rotated channel takes three roundings: two products and a sum. Heads past the rotated ones, and what is left of
/// the row, keep their bits.
#[test]
fn near_float64_and_nothing_else_touched() {
    let mut inputs = Inputs::new(1);
    for layout in LAYOUTS {
        for dim in [2, 6, 16, 32, 64, 96, 128] {
            for (heads, rest) in [(1, 0), (3, dim), (4, 5), (0, 7)] {
                for rows in [1, 2, 13, 97] {
                    let width = heads * dim + rest;
                    let positions: Vec<usize> = (0..rows).map(|_| inputs.below(2000)).collect();
                    let angles = angles(&positions, &frequencies(dim));
                    let mut data = poisoned(rows * width);
                    let (mut exact, mut naive) = (Vec::new(), Vec::new());
                    for (row, data) in data.chunks_mut(width).enumerate() {
                        let values = inputs.bell(heads * dim);
                        data[..heads * dim].copy_from_slice(&values);
                        for head in values.chunks(dim) {
                            exact.extend(reference::rope::<f64>(head, angles.row(row), pair(layout, dim)));
                            naive.extend(reference::rope::<f32>(head, angles.row(row), pair(layout, dim)));
                        }
                    }
                    for device in &devices() {
                        let x = added(device, rows, width, &data, |x| {
                            rope(x, heads, &on(device, &angles), layout)
                        });
                        let (rotated, kept): (Vec<_>, Vec<_>) =
                            x.data().chunks(width).map(|row| row.split_at(heads * dim)).unzip();
                        let context = format!("{device} {layout:?} {rows} rows of {heads} heads of {dim}");
                        assert!(
                            kept.concat().into_iter().all(is_poison),
                            "{context}: channels past the heads"
                        );
                        assert_near(&context, &rotated.concat(), &naive, &exact, 3);
                    }
                }
            }
        }
    }
}

/// A quarter turn is exact: (a, b) becomes (−b, a).
#[test]
fn quarter_turn_on_integers() {
    let turn = [0.0, 0.0, 1.0, 1.0];
    for device in &devices() {
        let turn = tensor(device, 1, 4, &turn);
        let rotate = |layout| added(device, 1, 4, &[1.0, 2.0, 3.0, 4.0], |x| rope(x, 1, &turn, layout));
        assert_eq!(rotate(Layout::Interleaved).data(), [-2.0, 1.0, -4.0, 3.0], "{device}");
        assert_eq!(rotate(Layout::HalfSplit).data(), [-3.0, -4.0, 1.0, 2.0], "{device}");
    }
}

/// The layouts differ by the order of channels alone.
#[test]
fn layouts_are_permutations_of_each_other() {
    let (rows, dim) = (13, 96);
    let data = Inputs::new(2).bell(rows * dim);
    let order: Vec<usize> = (0..dim / 2).map(|i| 2 * i).chain((0..dim / 2).map(|i| 2 * i + 1)).collect();
    let split =
        |data: &[f32]| data.chunks(dim).flat_map(|row| order.iter().map(|&i| row[i])).collect::<Vec<f32>>();
    let angles = angles(&(0..rows).collect::<Vec<_>>(), &frequencies(dim));
    for device in &devices() {
        let rotate = |data: &[f32], layout| {
            added(device, rows, dim, data, |x| rope(x, 1, &on(device, &angles), layout))
        };
        let interleaved = rotate(&data, Layout::Interleaved);
        let halves = rotate(&split(&data), Layout::HalfSplit);
        assert_same_bits(&format!("{device}, half-split"), halves.data(), &split(interleaved.data()));
    }
}

#[test]
fn rows_are_independent() {
    let (rows, heads, dim) = (97, 3, 32);
    let mut inputs = Inputs::new(3);
    let data = inputs.bell(rows * heads * dim);
    let positions: Vec<usize> = (0..rows).map(|_| inputs.below(4096)).collect();
    let identity: Vec<usize> = (0..rows).collect();
    for (device, layout) in devices().iter().flat_map(|device| LAYOUTS.map(|layout| (device, layout))) {
        let rotate = |order: &[usize]| {
            let at: Vec<usize> = order.iter().map(|&row| positions[row]).collect();
            let angles = on(device, &angles(&at, &frequencies(dim)));
            let x = chosen(&tensor(&Device::Cpu, rows, heads * dim, &data), order);
            added(device, order.len(), heads * dim, x.data(), |x| rope(x, heads, &angles, layout))
        };
        let context = format!("{device} {layout:?}");
        let all = on_any_pool(&context, || rotate(&identity).into_data().unwrap());
        let row = |index: usize| &all[index * heads * dim..(index + 1) * heads * dim];
        let order = Inputs::new(4).order(rows);
        let shuffled = rotate(&order);
        for (place, &index) in order.iter().enumerate() {
            assert_same_bits(
                &format!("{context}, row {index} at place {place}"),
                shuffled.row(place),
                row(index),
            );
            assert_same_bits(&format!("{context}, row {index} alone"), rotate(&[index]).data(), row(index));
        }
    }
}

/// The gradient is the rotation by the negative angles, bit for bit, and of the heads alone.
#[test]
fn gradients_turn_back() {
    let (heads, rest) = (3, 5);
    let mut inputs = Inputs::new(5);
    for layout in LAYOUTS {
        for dim in [2, 6, 64] {
            for rows in [0, 1, 13] {
                let width = heads * dim + rest;
                let positions: Vec<usize> = (0..rows).map(|_| inputs.below(2000)).collect();
                let angles = angles(&positions, &frequencies(dim));
                let negative = angles.data().chunks(dim).flat_map(|row| {
                    let (cos, sin) = row.split_at(dim / 2);
                    cos.iter().copied().chain(sin.iter().map(|x| -x)).collect::<Vec<_>>()
                });
                let negative: Vec<f32> = negative.collect();
                let data = inputs.bell(rows * width);
                for device in devices() {
                    let [forward, negative] =
                        [angles.data(), &negative].map(|angles| tensor(&device, rows, dim, angles));
                    let back =
                        |angles, turn: fn(&mut Tensor, usize, &Tensor, Layout) -> fathom::Result<()>| {
                            let run =
                                || added(&device, rows, width, &data, |x| turn(x, heads, angles, layout));
                            on_any_pool("rope_backward", || run().into_data().unwrap())
                        };
                    let context = format!("{device} {layout:?}, {rows} rows of {dim}");
                    assert_same_bits(&context, &back(&forward, rope_backward), &back(&negative, rope));
                }
            }
        }
    }
}
