//! What becomes of a product's tiles while they are hot.

use super::{
    activation,
    gemm::{Shared, tiles},
    perturb,
    simd::widest,
};
use crate::{Weight, ops::linear::Epilogue, weight::PANEL};

/// out = epilogue(x·W + b); for the residual epilogue out += perturb(x·W + b).
pub(crate) fn linear(x: &[f32], w: &Weight, bias: Option<&[f32]>, epilogue: &Epilogue<'_>, out: &mut [f32]) {
    let width = if let Epilogue::SwiGlu = epilogue { w.n() / 2 } else { w.n() };
    let out = Shared::new(out, width);
    tiles(x, w, |row, column, sums| {
        if let Some(bias) = bias {
            add_bias(sums, &bias[column..(column + PANEL).min(bias.len())]);
        }
        match epilogue {
            Epilogue::None => store(sums, &out, row, column),
            Epilogue::GeluTanh => {
                activation::gelu_tanh(sums.as_flattened_mut());
                store(sums, &out, row, column);
            }
            Epilogue::GeluErf => {
                activation::gelu_erf(sums.as_flattened_mut());
                store(sums, &out, row, column);
            }
            Epilogue::SwiGlu => swiglu(sums, &out, row, column / 2),
            Epilogue::Residual(perturbation) => {
                for (i, lanes) in sums.iter_mut().enumerate() {
                    perturb::perturb_lanes(*perturbation, row + i, column, width, lanes);
                }
                add(sums, &out, row, column);
            }
        }
    });
}

widest! {
    fn add_bias(sums: &mut [[f32; PANEL]], bias: &[f32]) {
        let mut lanes = [0.0; PANEL];
        lanes[..bias.len()].copy_from_slice(bias);
        for sum in sums.as_flattened_mut().as_chunks_mut::<PANEL>().0 {
            sum.iter_mut().zip(lanes).for_each(|(sum, bias)| *sum += bias);
        }
    }
}

widest! {
    fn store(sums: &mut [[f32; PANEL]], out: &Shared, row: usize, column: usize) {
        for (i, lanes) in sums.iter().enumerate() {
            // SAFETY: this tile's columns of this row belong to this call alone.
            let piece = unsafe { out.piece(row + i, column, PANEL) };
            piece.copy_from_slice(&lanes[..piece.len()]);
        }
    }
}

widest! {
    fn add(sums: &mut [[f32; PANEL]], out: &Shared, row: usize, column: usize) {
        for (i, lanes) in sums.iter().enumerate() {
            // SAFETY: as in `store`.
            let piece = unsafe { out.piece(row + i, column, PANEL) };
            piece.iter_mut().zip(lanes).for_each(|(out, sum)| *out += sum);
        }
    }
}

widest! {
    fn swiglu(sums: &mut [[f32; PANEL]], out: &Shared, row: usize, column: usize) {
        for (i, lanes) in sums.iter().enumerate() {
            // SAFETY: as in `store`; half as many columns come out as went in.
            let piece = unsafe { out.piece(row + i, column, PANEL / 2) };
            activation::swiglu(&lanes[..2 * piece.len()], piece);
        }
    }
}
