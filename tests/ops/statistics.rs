//! Rates, means, moments and correlations of draws. Bounds are four standard errors (see the table of tolerances).

use fathom::{
    Device, Keep, Perturb,
    ops::perturb::perturb,
    random::{Coordinates, Draw, Site, Stream, key},
};
use fathom_testkit::{
    inputs::Inputs,
    tolerance::{SIGMAS, correlation, rate_error},
};

use crate::common::tensor;

const SITES: [Site; 7] = [
    Site::Embedding,
    Site::Attention(0),
    Site::Mlp(0),
    Site::Attention(11),
    Site::Mlp(31),
    Site::Latent,
    Site::State,
];

fn at(key: u64, trajectory: u32, position: u32, iteration: u32) -> Coordinates {
    Coordinates { draw: Draw { key, trajectory }, position, iteration }
}

/// A tensor `[rows, width]` of `value` after `form`.
fn perturbed(
    width: usize,
    value: f32,
    rows: &[Coordinates],
    form: impl Fn(&[Coordinates]) -> Perturb<'_>,
) -> Vec<f32> {
    let mut x = tensor(&Device::Cpu, rows.len(), width, &vec![value; rows.len() * width]);
    perturb(&mut x, form(rows)).expect("a coordinate for each row");
    x.into_data().unwrap()
}

/// Trajectories × positions of one question.
fn grid(trajectories: u32, positions: u32) -> Vec<Coordinates> {
    let key = key(1, &[5, 6, 7], Stream::Trajectory);
    (0..trajectories).flat_map(|t| (0..positions).map(move |p| at(key, t, p, 0))).collect()
}

#[test]
fn keep_rate_by_site() {
    let rows = grid(64, 10);
    for p in [0.03, 0.1, 0.5] {
        let keep = Keep::new(p);
        for site in SITES {
            let mask = perturbed(768, 1.0, &rows, |rows| Perturb::Dropout { keep, site, rows });
            let kept = mask.iter().filter(|&&m| m != 0.0).count();
            assert!(
                mask.iter().all(|&m| m == 0.0 || m == keep.scale),
                "a factor that is neither 0 nor 1/(1−p)"
            );
            let (rate, expected) = (kept as f64 / mask.len() as f64, 1.0 - f64::from(p));
            let allowed = SIGMAS * rate_error(expected, mask.len());
            assert!((rate - expected).abs() < allowed, "{site:?}, p {p}: kept {rate}, ±{allowed}");
        }
    }
}

/// E[x·m/(1−p)] = x: the variance of one draw is x²·p/(1−p), so the mean of n has √(p/(1−p)/n)·|x|.
#[test]
fn dropout_keeps_the_mean() {
    let rows = grid(2000, 1);
    let values = Inputs::new(1).bell(24);
    for p in [0.03, 0.1, 0.5] {
        let keep = Keep::new(p);
        for &value in &values {
            let out = perturbed(4, value, &rows, |rows| Perturb::Dropout { keep, site: Site::Mlp(2), rows });
            let n = out.len() as f64;
            let mean = out.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let (value, p) = (f64::from(value), f64::from(p));
            let allowed = SIGMAS * (p / (1.0 - p) / n).sqrt() * value.abs();
            assert!((mean - value).abs() <= allowed, "p {p}: mean {mean} of {value}, ±{allowed}");
        }
    }
}

/// Mean 0, variance σ², third and fourth moments 0 and 3σ⁴; their estimates have variances 1, 2, 15 and 96 over n.
#[test]
fn noise_moments() {
    let rows = grid(256, 2);
    for (std, site) in [(0.6f32, Site::Latent), (1.0, Site::Embedding), (0.05, Site::Attention(3))] {
        let noise = perturbed(1000, 0.0, &rows, |rows| Perturb::Noise { std, site, rows });
        let n = noise.len() as f64;
        let moment =
            |power| noise.iter().map(|&x| (f64::from(x) / f64::from(std)).powi(power)).sum::<f64>() / n;
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0f64)] {
            let (got, allowed) = (moment(power), SIGMAS * (variance / n).sqrt());
            assert!(
                (got - expected).abs() < allowed,
                "σ {std}: moment {power} is {got}, not {expected} ± {allowed}"
            );
        }
    }
}

/// Noise is added to the value, not put in its place: x + σ·ε, rounded once.
#[test]
fn noise_is_centred_on_the_value() {
    let rows = grid(8, 1);
    let noise =
        |value| perturbed(100, value, &rows, |rows| Perturb::Noise { std: 0.5, site: Site::Latent, rows });
    for (shifted, plain) in noise(3.0).into_iter().zip(noise(0.0)) {
        assert_eq!(shifted, 3.0 + plain, "σ is a power of two: σ·ε is exact");
    }
}

fn pearson(a: &[f32], b: &[f32]) -> f64 {
    let n = a.len() as f64;
    let mean = |x: &[f32]| x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt()
}

/// Rows that differ in one coordinate alone, by one or by a single high bit: neither masks nor noise, nor its square,
/// may go together. Neighbouring channels of one row are held to the same.
#[test]
fn no_correlation_between_coordinates() {
    const WIDTH: usize = 40_000;
    let prompt = [10, 20, 30];
    let base = key(42, &prompt, Stream::Trajectory);
    let here = (at(base, 3, 7, 2), Site::Mlp(1));
    let others = [
        ("next trajectory", at(base, 4, 7, 2), here.1),
        ("far trajectory", at(base, 3 + (1 << 31), 7, 2), here.1),
        ("next position", at(base, 3, 8, 2), here.1),
        ("far position", at(base, 3, 7 + (1 << 20), 2), here.1),
        ("next iteration", at(base, 3, 7, 3), here.1),
        ("far iteration", at(base, 3, 7, 2 + (1 << 16)), here.1),
        ("trajectory and position swapped", at(base, 7, 3, 2), here.1),
        ("position and iteration swapped", at(base, 3, 2, 7), here.1),
        ("next site", here.0, Site::Attention(2)),
        ("far site", here.0, Site::Latent),
        ("next seed", at(key(43, &prompt, Stream::Trajectory), 3, 7, 2), here.1),
        ("another prompt", at(key(42, &[10, 20, 31], Stream::Trajectory), 3, 7, 2), here.1),
        ("shorter prompt", at(key(42, &[10, 20], Stream::Trajectory), 3, 7, 2), here.1),
        ("another stream", at(key(42, &prompt, Stream::Beam), 3, 7, 2), here.1),
        ("next key", at(base + 1, 3, 7, 2), here.1),
    ];
    let masks = |(at, site): (Coordinates, Site)| {
        perturbed(WIDTH, 1.0, &[at], |rows| Perturb::Dropout { keep: Keep::new(0.1), site, rows })
    };
    let noise = |(at, site): (Coordinates, Site)| {
        perturbed(WIDTH, 0.0, &[at], |rows| Perturb::Noise { std: 1.0, site, rows })
    };
    let square = |x: &[f32]| x.iter().map(|x| x * x).collect::<Vec<_>>();
    let allowed = correlation(WIDTH);
    let independent = |what: &str, a: &[f32], b: &[f32]| {
        let r = pearson(a, b);
        assert!(r.abs() < allowed, "{what}: r = {r}, allowed {allowed}");
    };
    let (mask, normal) = (masks(here), noise(here));
    for (what, at, site) in others {
        independent(&format!("masks, {what}"), &mask, &masks((at, site)));
        let other = noise((at, site));
        independent(&format!("noise, {what}"), &normal, &other);
        independent(&format!("squared noise, {what}"), &square(&normal), &square(&other));
    }
    for lag in 1..=8 {
        independent(&format!("masks, lag {lag}"), &mask[lag..], &mask[..WIDTH - lag]);
        independent(&format!("noise, lag {lag}"), &normal[lag..], &normal[..WIDTH - lag]);
        let squared = square(&normal);
        independent(&format!("squared noise, lag {lag}"), &squared[lag..], &squared[..WIDTH - lag]);
    }
    assert!((pearson(&mask, &masks(here)) - 1.0).abs() < 1e-9, "the measure sees what is the same");
}

/// Draws of 64 trajectories at one channel, over many channels: the pairwise correlations have the spread of
/// independent samples, 1/√n, and their mean is 0.
#[test]
fn trajectories_are_pairwise_independent() {
    const WIDTH: usize = 2000;
    let rows: Vec<Coordinates> = (0..64).map(|t| at(99, t, 12, 0)).collect();
    let noise = perturbed(WIDTH, 0.0, &rows, |rows| Perturb::Noise { std: 1.0, site: Site::Latent, rows });
    let rows: Vec<&[f32]> = noise.chunks(WIDTH).collect();
    let pairs = (0..64).flat_map(|i| (0..i).map(move |j| (i, j)));
    let scaled: Vec<f64> = pairs.map(|(i, j)| pearson(rows[i], rows[j]) * (WIDTH as f64).sqrt()).collect();
    let n = scaled.len() as f64;
    let mean = scaled.iter().sum::<f64>() / n;
    let variance = scaled.iter().map(|r| r * r).sum::<f64>() / n;
    assert!(mean.abs() < SIGMAS / n.sqrt(), "mean {mean}");
    assert!((variance - 1.0).abs() < SIGMAS * (2.0 / n).sqrt(), "variance {variance}");
}
