//! Every operation in its plainest form, at either precision: in f64 it is the reference, in f32 the naive version
//! whose error sets the tolerance. Sums run from left to right, a multiplication and an addition a term.

mod attention;
mod cross_entropy;
mod distance;
mod entropy;
mod linear;
mod norm;
mod rope;
mod window_attention;

pub use attention::{Shape, attention, attention_bf16};
pub use cross_entropy::cross_entropy;
pub use distance::{cosine, distance};
pub use entropy::entropy;
pub use linear::{
    column_sums, gelu_erf, gelu_erf_slope, gelu_tanh, gelu_tanh_slope, linear, linear_backward_weight,
    swiglu, swiglu_slopes,
};
pub use norm::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};
pub use rope::{angles, rope};
pub use window_attention::{window_attention, window_attention_backward};

use std::ops::{Add, Div, Mul, Neg, Sub};

use half::bf16;

/// The arithmetic of a precision.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The value at this precision; f32 widens exactly, a count below 2²⁴ is exact in both.
    fn of(value: f64) -> Self;
    /// e to the power of this.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Error function.
    fn erf(self) -> Self;
    /// (sine, cosine).
    fn sin_cos(self) -> (Self, Self);
}

macro_rules! real {
    ($float:ident, $erf:path) => {
        impl Real for $float {
            fn of(value: f64) -> Self {
                value as $float
            }
            fn exp(self) -> Self {
                $float::exp(self)
            }
            fn ln(self) -> Self {
                $float::ln(self)
            }
            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }
            fn tanh(self) -> Self {
                $float::tanh(self)
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn sin_cos(self) -> (Self, Self) {
                $float::sin_cos(self)
            }
        }
    };
}

real!(f32, libm::erff);
real!(f64, libm::erf);

/// Values as bf16 stores them, to nearest even.
pub fn rounded_to_bf16(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&x| bf16::from_f32(x).to_f32()).collect()
}

fn at<R: Real>(values: &[f32]) -> impl Iterator<Item = R> + '_ {
    values.iter().map(|&x| R::of(f64::from(x)))
}

fn sum<R: Real>(terms: impl Iterator<Item = R>) -> R {
    terms.fold(R::of(0.0), |sum, term| sum + term)
}

fn dot<R: Real>(a: &[f32], b: &[f32]) -> R {
    sum(at::<R>(a).zip(at::<R>(b)).map(|(a, b)| a * b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inputs::Inputs, tolerance::UNIT_BF16};

    /// bf16 keeps eight significant bits: integers up to 2⁸, halfway cases to even, anything else within a unit.
    #[test]
    fn bf16_rounds_to_nearest_even() {
        assert_eq!(rounded_to_bf16(&[255.0, -256.0, 257.0, 259.0]), [255.0, -256.0, 256.0, 260.0]);
        let values = Inputs::new(1).bell(1000);
        for (rounded, value) in rounded_to_bf16(&values).into_iter().zip(values) {
            let (rounded, value) = (f64::from(rounded), f64::from(value));
            assert!((rounded - value).abs() <= UNIT_BF16 * value.abs(), "{value} became {rounded}");
        }
    }
}
