//! Perturbations and the counter layout of their draws, with numbers.

use fathom::{
    Device, Keep, Perturb, Tensor,
    ops::perturb::perturb,
    random::{Coordinates, Draw, Site, Stream, fill_normals, key, truncated_normals, words},
};
use fathom_testkit::{compare::assert_same_bits, inputs::Inputs, poison::poisoned};

use crate::common::{added, chosen, devices, on_any_pool, tensor};

fn at(key: u64, trajectory: u32, position: u32, iteration: u32) -> Coordinates {
    Coordinates { draw: Draw { key, trajectory }, position, iteration }
}

/// `data` `[rows, width]` perturbed on `device`, brought to the CPU.
fn perturbed(device: &Device, rows: usize, width: usize, data: &[f32], form: Perturb<'_>) -> Tensor {
    added(device, rows, width, data, |x| perturb(x, form))
}

/// Random123's published answer for counter and key 0 is the embedding of trajectory 0 at position 0:
/// 6627e8d5 e169c58d bc57ac4c 9b00dbd8. With p = ½ a channel stays below 80000000 and doubles.
#[test]
fn published_answer_of_counter_zero() {
    let rows = [at(0, 0, 0, 0)];
    for device in &devices() {
        let x = perturbed(
            device,
            1,
            4,
            &[1.0, 3.0, 5.0, 7.0],
            Perturb::Dropout { keep: Keep::new(0.5), site: Site::Embedding, rows: &rows },
        );
        assert_eq!(x.data(), [2.0, 0.0, 0.0, 0.0]);
        // The same words as normals, cosine first, from words (0, 1) and (2, 3); σ is a power of two.
        let x = perturbed(
            device,
            1,
            3,
            &[0.0; 3],
            Perturb::Noise { std: 0.5, site: Site::Embedding, rows: &rows },
        );
        let normals = [0x3f7d_bb31, 0xbf6c_b6b0, 0xbf1e_1b9f].map(|bits| 0.5 * f32::from_bits(bits));
        assert_same_bits("noise", x.data(), &normals);
    }
}

/// Random123's third published answer, read through the layout: counter 243f6a88 85a308d3 13198a2e 03707344 is
/// channel block f6a88 of site 243 (the attention of layer 289), position 85a308d3, iteration 13198a2e, trajectory
/// 03707344; the words are d16cfe09 94fdcceb 5001e420 24126ea1 under key 299f31d0a4093822.
#[test]
fn published_answer_of_a_full_counter() {
    let rows = [at(0x299f_31d0_a409_3822, 0x0370_7344, 0x85a3_08d3, 0x1319_8a2e)];
    let (site, block) = (Site::Attention(289), 0xf_6a88);
    assert_eq!(words(rows[0], site, block), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    let width = 4 * (block as usize + 1);
    // p = ¼ keeps words below c0000000, p = ¾ those below 40000000.
    for device in &devices() {
        for (p, kept) in [(0.25, [0.0, 4.0 / 3.0, 4.0 / 3.0, 4.0 / 3.0]), (0.75, [0.0, 0.0, 0.0, 4.0])] {
            let x = perturbed(
                device,
                1,
                width,
                &vec![1.0; width],
                Perturb::Dropout { keep: Keep::new(p), site, rows: &rows },
            );
            assert_eq!(x.data()[width - 4..], kept, "p {p}");
        }
    }
}

/// Seed 42 and prompt [464, 3797, 1], worked out apart from this code: the keys of the streams, and the masks of
/// ten channels at position 17, iteration 2, trajectory 5.
#[test]
fn keys_and_masks_worked_out_by_hand() {
    let prompt = [464, 3797, 1];
    let streams = [
        (Stream::Trajectory, 0x1a9c_3986_1f6e_21cc),
        (Stream::State, 0x7696_2c1a_1f79_c4ab),
        (Stream::Beam, 0x778a_5b2e_aa4d_2696),
        (Stream::Rollout(3), 0x1bca_59e4_22bd_c4b3),
    ];
    for (stream, expected) in streams {
        assert_eq!(key(42, &prompt, stream), expected, "{stream:?}");
    }
    let rows = [at(key(42, &prompt, Stream::Trajectory), 5, 17, 2)];
    // Words of blocks 0, 1 and 2; kept below b3333333 = ⌊0.7·2³²⌋.
    let cases: [(Site, [u32; 10]); 3] = [
        (
            Site::Embedding,
            [
                0x9fd2_903d,
                0x3e02_0527,
                0x72b3_c0d4,
                0xbac1_0b82,
                0x7793_a6e0,
                0x4b82_5924,
                0xea43_f1b6,
                0xd157_d462,
                0x984a_6004,
                0xa83f_f6d5,
            ],
        ),
        (
            Site::Mlp(3),
            [
                0x8c76_260a,
                0x72e8_5dc9,
                0x40af_2e8a,
                0x1bcb_0487,
                0x29db_cbd3,
                0x6289_2a92,
                0xbfc7_3d47,
                0x6b9a_8de8,
                0x69e2_dbb4,
                0xb1a7_8721,
            ],
        ),
        (
            Site::Latent,
            [
                0xfe25_796c,
                0xb26c_b437,
                0x05fc_f39b,
                0x2758_c55e,
                0x6f48_36e1,
                0x9a26_cc55,
                0xcd14_6101,
                0xa9b3_f788,
                0x36ca_8a33,
                0xeb48_d959,
            ],
        ),
    ];
    for (device, (site, words)) in devices().iter().flat_map(|device| cases.map(|case| (device, case))) {
        let x = perturbed(
            device,
            1,
            10,
            &[1.0; 10],
            Perturb::Dropout { keep: Keep::new(0.3), site, rows: &rows },
        );
        let mask = words.map(|word| if word < 0xb333_3333 { 1.0 / 0.7 } else { 0.0 });
        assert_eq!(x.data(), mask, "{site:?}");
    }
}

/// ⌊(1−p)·2³²⌋ and 1/(1−p) of the f32 p.
#[test]
fn keep_rates() {
    let keep = |p| (Keep::new(p).threshold, Keep::new(p).scale);
    assert_eq!(keep(0.0), (1 << 32, 1.0));
    assert_eq!(keep(0.5), (1 << 31, 2.0));
    assert_eq!(keep(0.75), (1 << 30, 4.0));
    // 0.1 in f32 is 0.100000001490116…, of which (1−p)·2³² = 3865470560.0 exactly.
    assert_eq!(keep(0.1), (3_865_470_560, f32::from_bits(0x3f8e_38e4)));
}

/// A word below the threshold keeps its element, one that equals it does not, at both ends of the range.
#[test]
fn thresholds_are_exact() {
    let rows = [at(5, 6, 7, 8)];
    let kept = |device, channel: usize, threshold: u64| {
        let keep = Keep { threshold, scale: 2.0 };
        let x =
            perturbed(device, 1, 50, &[1.0; 50], Perturb::Dropout { keep, site: Site::Latent, rows: &rows });
        x.data()[channel] == 2.0
    };
    let devices = devices();
    for channel in 0..50 {
        let word = u64::from(words(rows[0], Site::Latent, channel as u32 / 4)[channel % 4]);
        let cases = [(0, false), (word, false), (word + 1, true), (1 << 32, true)];
        for (threshold, expected) in cases {
            for device in &devices {
                assert_eq!(
                    kept(device, channel, threshold),
                    expected,
                    "{device}, word {word} under {threshold}"
                );
            }
        }
    }
}

/// Nothing is dropped at p = 0, and zeros of either sign keep it.
#[test]
fn no_perturbation_keeps_every_bit() {
    let data = [Inputs::new(1).bell(95), vec![-0.0; 4]].concat();
    let rows: Vec<Coordinates> = (0..9).map(|i| at(1, i, 0, 0)).collect();
    for form in [Perturb::None, Perturb::Dropout { keep: Keep::new(0.0), site: Site::Latent, rows: &rows }] {
        for device in &devices() {
            let x = perturbed(device, 9, 11, &data, form);
            assert_same_bits(&format!("{device} {form:?}"), x.data(), &data);
        }
    }
}

/// Recorded factors and terms are applied element by element.
#[test]
fn recorded_values_on_integers() {
    let mut inputs = Inputs::new(2);
    let (data, other) = (inputs.integers(13 * 33, 50), inputs.integers(13 * 33, 50));
    let by = |f: fn(f32, f32) -> f32| data.iter().zip(&other).map(|(&a, &b)| f(a, b)).collect::<Vec<_>>();
    for device in &devices() {
        let apply = |form| perturbed(device, 13, 33, &data, form).into_data().unwrap();
        assert_eq!(apply(Perturb::Scale(&other)), by(|a, b| a * b), "{device}");
        assert_eq!(apply(Perturb::Add(&other)), by(|a, b| a + b), "{device}");
    }
}

/// Rows keep their draws wherever they stand, on any pool and at any width: a narrow row is the head of a wide one.
#[test]
fn draws_follow_coordinates_alone() {
    let (rows, width) = (97, 50);
    let data = Inputs::new(3).bell(rows * width);
    let coordinates: Vec<Coordinates> =
        (0..rows as u32).map(|i| at(7 + u64::from(i % 3), i / 2, i % 11, i % 5)).collect();
    let forms: [fn(&[Coordinates]) -> Perturb<'_>; 2] = [
        |rows| Perturb::Dropout { keep: Keep::new(0.2), site: Site::Mlp(4), rows },
        |rows| Perturb::Noise { std: 0.6, site: Site::Latent, rows },
    ];
    let identity: Vec<usize> = (0..rows).collect();
    for form in forms {
        let run = |device: &Device, order: &[usize]| {
            let at: Vec<Coordinates> = order.iter().map(|&row| coordinates[row]).collect();
            let x = chosen(&tensor(&Device::Cpu, rows, width, &data), order);
            perturbed(device, order.len(), width, x.data(), form(&at))
        };
        let all = on_any_pool("perturb", || run(&Device::Cpu, &identity).into_data().unwrap());
        assert_ne!(all, data);
        let order = Inputs::new(4).order(rows);
        for device in &devices() {
            assert_same_bits(&format!("{device}"), run(device, &identity).data(), &all);
            let shuffled = run(device, &order);
            for (place, &row) in order.iter().enumerate() {
                let context = format!("{device}, row {row}");
                let expected = &all[row * width..(row + 1) * width];
                assert_same_bits(&format!("{context} at place {place}"), shuffled.row(place), expected);
                assert_same_bits(&format!("{context} alone"), run(device, &[row]).data(), expected);
                let narrow = &data[row * width..row * width + 7];
                let narrow = perturbed(device, 1, 7, narrow, form(&coordinates[row..=row]));
                assert_same_bits(&format!("{context}, seven channels"), narrow.data(), &expected[..7]);
            }
        }
    }
}

/// Every element is written, whatever the width is modulo four.
#[test]
fn normals_fill_the_row() {
    for width in [1, 2, 3, 4, 5, 97] {
        let (mut plain, mut truncated) = (poisoned(width), poisoned(width));
        fill_normals(&mut plain, at(3, 1, 2, 0), Site::State);
        truncated_normals(&mut truncated, at(3, 1, 2, 0), Site::State);
        assert!(plain.iter().all(|x| x.is_finite()), "{width}: {plain:?}");
        for (plain, truncated) in plain.iter().zip(&truncated) {
            assert!(
                truncated.abs() <= 3.0 && (plain == truncated || plain.abs() > 3.0),
                "{plain} {truncated}"
            );
        }
    }
}

/// Dropout's gradient is the same dropout of the gradient: y = m∘x has dx = m∘dy, drawn again from the same coordinates.
#[test]
fn dropouts_gradient_is_its_mask() {
    let (rows, width) = (7, 37);
    let coordinates: Vec<Coordinates> = (0..rows as u32).map(|i| at(9, i, 3, i % 2)).collect();
    let form = Perturb::Dropout { keep: Keep::new(0.3), site: Site::Attention(1), rows: &coordinates };
    let dy = Inputs::new(5).bell(rows * width);
    for device in &devices() {
        let mask = perturbed(device, rows, width, &vec![1.0; rows * width], form);
        let expected: Vec<f32> = mask.data().iter().zip(&dy).map(|(m, dy)| m * dy).collect();
        let dropped = mask.data().iter().filter(|&&m| m == 0.0).count();
        assert!((40..130).contains(&dropped), "{dropped} of {}", rows * width);
        assert_eq!(perturbed(device, rows, width, &dy, form).data(), expected, "{device}");
    }
}
