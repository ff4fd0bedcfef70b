//! The native device: rayon over rows and panels, SIMD chosen at run time, the same bits at every level
//! (`docs/numerics.md` has the one exception).

pub(crate) mod activation;
pub(crate) mod adam;
pub(crate) mod arg_max;
pub(crate) mod attention;
mod columns;
pub(crate) mod cosine;
pub(crate) mod cross_entropy;
pub(crate) mod distance;
pub(crate) mod embedding;
pub(crate) mod entropy;
pub(crate) mod fetch;
pub(crate) mod gemm;
pub(crate) mod linear;
pub(crate) mod matrix;
pub(crate) mod memory;
pub(crate) mod norm;
pub(crate) mod perturb;
pub(crate) mod rope;
mod simd;
pub(crate) mod square_sum;
mod tile;
pub(crate) mod widen;
pub(crate) mod window_attention;
