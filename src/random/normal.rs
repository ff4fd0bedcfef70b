//! Standard normals by Box–Muller, from integer words through explicit fused multiply-adds and one correctly
//! rounded square root: the same bits wherever IEEE 754 holds.
//!
//! A pair of words (a, b) gives r·cos φ and r·sin φ with r = √(−2 ln u), u = (a + ½)·2⁻³², φ = 2π·b·2⁻³².
//! The angle is reduced to a quarter turn in integers, so no rounding enters before the polynomials. These
//! polynomials are the single-precision minimax ones of the Cephes library (S. L. Moshier).

use super::{Coordinates, Site, words};

/// Two independent standard normals; |x| ≤ 6.77.
#[inline(always)]
pub fn normals(a: u32, b: u32) -> [f32; 2] {
    let radius = (-2.0 * ln_unit(a)).sqrt();
    let (sin, cos) = sin_cos_turn(b);
    [radius * cos, radius * sin]
}

/// ln((a + ½)·2⁻³²), the argument rounded to f32; in [−22.9, 0].
#[inline(always)]
fn ln_unit(a: u32) -> f32 {
    const TWO_POW_NEG_32: f32 = 1.0 / 4_294_967_296.0;
    const P: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let u = (a as f32).mul_add(TWO_POW_NEG_32, 0.5 * TWO_POW_NEG_32);
    // u = m·2^e with m in [√½, √2).
    let offset = u.to_bits().wrapping_sub(0x3F35_04F3) as i32 >> 23;
    let m = f32::from_bits(u.to_bits().wrapping_sub((offset as u32) << 23));
    let (f, e) = (m - 1.0, offset as f32);
    let square = f * f;
    let poly = P[1..].iter().fold(P[0], |sum, &c| sum.mul_add(f, c));
    let tail = (-0.5f32).mul_add(square, poly * f * square);
    e.mul_add(std::f32::consts::LN_2, f + tail)
}

/// (sin, cos) of 2π·b·2⁻³².
#[inline(always)]
fn sin_cos_turn(b: u32) -> (f32, f32) {
    const RADIANS: f32 = (std::f64::consts::TAU / 4_294_967_296.0) as f32;
    let quarter = b.wrapping_add(1 << 29) >> 30;
    let x = b.wrapping_sub(quarter << 30) as i32 as f32 * RADIANS;
    let z = x * x;
    let sin = {
        let poly = (-1.951_529_6e-4f32).mul_add(z, 8.332_161e-3).mul_add(z, -1.666_665_5e-1);
        (poly * z).mul_add(x, x)
    };
    let cos = {
        let poly = 2.443_315_7e-5f32.mul_add(z, -1.388_731_6e-3).mul_add(z, 4.166_664_6e-2);
        (poly * z).mul_add(z, (-0.5f32).mul_add(z, 1.0))
    };
    let (s, c) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let negate = |x: f32, when: u32| f32::from_bits(x.to_bits() ^ (when & 1) << 31);
    (negate(s, quarter >> 1), negate(c, (quarter >> 1) ^ quarter))
}

/// Fills `row` with the standard normals of a row at `site`.
pub fn fill_normals(row: &mut [f32], at: Coordinates, site: Site) {
    for (block, channels) in row.chunks_mut(4).enumerate() {
        let [a, b, c, d] = words(at, site, block as u32);
        let ([n0, n1], [n2, n3]) = (normals(a, b), normals(c, d));
        for (channel, normal) in channels.iter_mut().zip([n0, n1, n2, n3]) {
            *channel = normal;
        }
    }
}

/// Fills `row` with normals truncated to ±3 (spec huginn §1.7): an element outside is drawn again with the
/// iteration word raised by one. Sixteen draws in a row outside have probability 10⁻⁴¹; the last is clamped.
pub fn truncated_normals(row: &mut [f32], at: Coordinates, site: Site) {
    fill_normals(row, at, site);
    let width = row.len();
    let mut again = vec![0.0; width];
    for attempt in 1..=16 {
        if row.iter().all(|x| x.abs() <= 3.0) {
            return;
        }
        fill_normals(&mut again, Coordinates { iteration: at.iteration + attempt, ..at }, site);
        for (x, &other) in row.iter_mut().zip(&again) {
            if x.abs() > 3.0 {
                *x = other;
            }
        }
    }
    row.iter_mut().for_each(|x| *x = x.clamp(-3.0, 3.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draw;

    /// Each part against float64, over a lattice of words with both ends.
    #[test]
    fn parts_agree_with_float64() {
        for step in 0..=100_000u64 {
            let word = (step * u64::from(u32::MAX) / 100_000) as u32;
            // The argument is one f32 rounding away from the exact one: 2⁻²⁴ relative, hence absolute in ln.
            let exact = ((f64::from(word) + 0.5) / 4_294_967_296.0).ln();
            assert!((f64::from(ln_unit(word)) - exact).abs() <= 1.2e-7 * exact.abs().max(1.0), "ln {word}");
            let turn = f64::from(word) / 4_294_967_296.0 * std::f64::consts::TAU;
            let (sin, cos) = sin_cos_turn(word);
            assert!((f64::from(sin) - turn.sin()).abs() < 1.2e-7, "sin {word}");
            assert!((f64::from(cos) - turn.cos()).abs() < 1.2e-7, "cos {word}");
        }
    }

    /// Bits that every other implementation of this text has to give: computed in exact rational arithmetic with
    /// one rounding to nearest even an operation.
    #[test]
    fn known_answers() {
        let known = [
            ((0x0000_0000, 0x0000_0000), [0x40d8_7047, 0x0000_0000]),
            ((0x6627_e8d5, 0xe169_c58d), [0x3f7d_bb31, 0xbf6c_b6b0]),
            ((0x8000_0000, 0x2000_0000), [0x3f55_224c, 0x3f55_224b]),
            ((0xbc57_ac4c, 0x9b00_dbd8), [0xbf1e_1b9f, 0xbef6_d1b2]),
        ];
        for ((a, b), expected) in known {
            assert_eq!(normals(a, b).map(f32::to_bits), expected, "({a:#x}, {b:#x})");
        }
        assert_eq!(normals(u32::MAX, 12345), [0.0, 0.0], "u rounds to 1");
    }

    /// Moments and tails of 4·10⁶ draws; bounds are five standard errors of each estimate.
    #[test]
    fn moments() {
        let n = 4_000_000usize;
        let mut row = vec![0.0; 2000];
        let (mut m1, mut m2, mut m3, mut m4, mut beyond) = (0.0, 0.0, 0.0, 0.0, 0usize);
        for trajectory in 0..(n / row.len()) as u32 {
            let at = Coordinates { draw: Draw { key: 42, trajectory }, position: 3, iteration: 0 };
            fill_normals(&mut row, at, Site::Latent);
            for &x in &row {
                let x = f64::from(x);
                m1 += x;
                m2 += x * x;
                m3 += x * x * x;
                m4 += x * x * x * x;
                beyond += usize::from(x.abs() > 3.0);
            }
        }
        let n = n as f64;
        assert!((m1 / n).abs() < 5.0 * (1.0 / n).sqrt(), "mean {}", m1 / n);
        assert!((m2 / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "variance {}", m2 / n);
        assert!((m3 / n).abs() < 5.0 * (15.0 / n).sqrt(), "third moment {}", m3 / n);
        assert!((m4 / n - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "fourth moment {}", m4 / n);
        let p = 0.002_699_796;
        assert!((beyond as f64 / n - p).abs() < 5.0 * (p / n).sqrt(), "beyond three sigma {beyond}");
    }

    /// Standard deviation 0.9865784 after truncation at three sigma (spec huginn §1.7).
    #[test]
    fn truncation() {
        let mut row = vec![0.0; 4096];
        let (mut squares, mut count) = (0.0, 0.0);
        for trajectory in 0..500 {
            let at = Coordinates { draw: Draw { key: 7, trajectory }, position: 0, iteration: 0 };
            truncated_normals(&mut row, at, Site::State);
            assert!(row.iter().all(|x| x.abs() <= 3.0));
            squares += row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            count += row.len() as f64;
        }
        let std = (squares / count).sqrt();
        assert!((std - 0.986_578_4).abs() < 5.0 / (2.0f64 * count).sqrt(), "{std}");
    }
}
