//! Losses of rows of logits, and their gradient in place.

use fathom::{Device, ops::cross_entropy::cross_entropy};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    poison::poisoned,
    reference,
};

use crate::common::{added, devices, on_any_pool};

/// Losses, then the gradient.
fn both(device: &Device, logits: &[f32], width: usize, targets: &[Option<u32>], scale: f32) -> Vec<f32> {
    let mut losses = Vec::new();
    let gradient = added(device, targets.len(), width, logits, |logits| {
        losses = cross_entropy(logits, targets, scale)?;
        Ok(())
    });
    [losses, gradient.into_data().unwrap()].concat()
}

/// Peaked and flat rows, with targets that are likely and not. A gradient takes six steps after its sum, with an exponential
/// within an ulp; a loss takes two.
#[test]
fn near_float64_on_any_pool() {
    devices().iter().for_each(near_float64);
}

fn near_float64(device: &Device) {
    for width in [1, 2, 31, 64, 65, 1000, 4101] {
        for spread in [0.1, 1.0, 20.0] {
            let mut inputs = Inputs::new(width as u64);
            let logits: Vec<f32> = inputs.bell(13 * width).iter().map(|x| spread * x).collect();
            let targets: Vec<Option<u32>> =
                (0..13).map(|row| (row % 5 != 3).then(|| inputs.below(width) as u32)).collect();
            let context = format!("{device}, {width} logits of {spread}");
            for rows in [0, 1, 13] {
                let (logits, targets) = (&logits[..rows * width], &targets[..rows]);
                let got = on_any_pool(&context, || both(device, logits, width, targets, 0.25));
                let (losses, gradients) = got.split_at(rows);
                for (row, (gradient, target)) in gradients.chunks(width).zip(targets).enumerate() {
                    let Some(target) = *target else {
                        assert_eq!((losses[row], gradient), (0.0, &vec![0.0; width][..]), "{context}");
                        continue;
                    };
                    let logits = &logits[row * width..(row + 1) * width];
                    let (exact, slopes) = reference::cross_entropy::<f64>(logits, target as usize);
                    let (naive, naive_slopes) = reference::cross_entropy::<f32>(logits, target as usize);
                    let scaled = |x: Vec<f32>| x.iter().map(|x| 0.25 * x).collect::<Vec<_>>();
                    let slopes: Vec<f64> = slopes.iter().map(|x| 0.25 * x).collect();
                    // Against the largest terms, a probability and a one, of which little may be left.
                    let slopes = [slopes, vec![0.25]].concat();
                    let (got, naive_slopes) =
                        ([gradient, &[0.25]].concat(), [scaled(naive_slopes), vec![0.25]].concat());
                    assert_near(&context, &got, &naive_slopes, &slopes, 6);
                    // The logarithm's argument is rounded, and so is the difference from the largest logit.
                    let terms = [exact, f64::from(spread) + 1.0];
                    assert_near(
                        &context,
                        &[losses[row], terms[1] as f32],
                        &[naive, terms[1] as f32],
                        &terms,
                        4,
                    );
                }
            }
        }
    }
}

/// Two even chances: ln 2, and half a unit each way.
#[test]
fn known_values() {
    for device in devices() {
        let got = both(&device, &[3.0, 3.0, 0.0, f32::NEG_INFINITY], 2, &[Some(0), Some(0)], 1.0);
        assert_eq!(got, [2f32.ln(), 0.0, -0.5, 0.5, 0.0, 0.0], "{device}");
    }
}

/// Nothing of a row without a target is read, and rows do not depend on each other.
#[test]
fn rows_are_independent() {
    devices().iter().for_each(independent);
}

fn independent(device: &Device) {
    let width = 70;
    let logits = Inputs::new(1).bell(5 * width);
    let targets = [Some(3), Some(0), Some(69), Some(7), Some(7)];
    let all = both(device, &logits, width, &targets, 1.0);
    for row in 0..5 {
        let mut among = poisoned(5 * width);
        let of = row * width..(row + 1) * width;
        among[of.clone()].copy_from_slice(&logits[of.clone()]);
        let only: Vec<Option<u32>> = (0..5).map(|i| targets[row].filter(|_| i == row)).collect();
        let got = both(device, &among, width, &only, 1.0);
        assert_same_bits("loss", &got[row..=row], &all[row..=row]);
        assert_same_bits("gradient", &got[5..][of.clone()], &all[5..][of]);
        assert!(got[5 + ((row + 1) % 5) * width..][..width].iter().all(|&x| x == 0.0));
    }
}
