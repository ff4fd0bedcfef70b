//! What becomes of a product's tiles while they are hot.

use std::cell::Cell;

use super::{
    activation::{activation_backward_row, gelu_erf, gelu_tanh, gelu_tanh_slope, swiglu, swiglu_slopes},
    columns::add_rows,
    gemm::{Left, Shared, tiles},
    matrix::Matrix,
    perturb::perturb_lanes,
    simd::widest,
};
use crate::{
    Perturb, Weight,
    ops::{activation::Activation, linear::Epilogue},
    weight::PANEL,
};

/// What leaves every sum as it is: +0 would lift −0.
const NO_BIAS: [f32; PANEL] = [-0.0; PANEL];

/// out = epilogue(x·W + b); for the residual epilogue out += perturb(x·W + b).
pub(crate) fn linear(x: &[f32], w: &Weight, bias: Option<&[f32]>, epilogue: &Epilogue<'_>, out: &mut [f32]) {
    let width = if let Epilogue::SwiGlu = epilogue { w.n() / 2 } else { w.n() };
    let out = Shared::new(out, width);
    tiles(Left::Rows(x), w, |row, column, sums| {
        let (bias, place) = (&lanes(bias, column), Place { out: &out, row, column });
        match epilogue {
            Epilogue::None => store(sums, bias, place),
            Epilogue::GeluTanh => store_gelu_tanh(sums, bias, place),
            Epilogue::GeluErf => store_gelu_erf(sums, bias, place),
            Epilogue::SwiGlu => store_swiglu(sums, place),
            Epilogue::Residual(Perturb::None) => add(sums, bias, place),
            Epilogue::Residual(perturbation) => {
                for (i, lanes) in sums.iter_mut().enumerate() {
                    lanes.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
                    perturb_lanes(*perturbation, row + i, column, width, lanes);
                }
                add(sums, &NO_BIAS, place);
            }
        }
    });
}

/// A bias from `column` on.
fn lanes(bias: Option<&[f32]>, column: usize) -> [f32; PANEL] {
    let mut lanes = NO_BIAS;
    if let Some(bias) = bias {
        let bias = &bias[column..(column + PANEL).min(bias.len())];
        lanes[..bias.len()].copy_from_slice(bias);
    }
    lanes
}

/// up = x·W + b and out = f(up).
pub(crate) fn linear_activation(
    x: &[f32],
    w: &Weight,
    bias: Option<&[f32]>,
    kind: Activation,
    up: &mut [f32],
    out: &mut [f32],
) {
    let (up, out) = (Shared::new(up, w.n()), Shared::new(out, w.n() / kind.inputs()));
    tiles(Left::Rows(x), w, |row, column, sums| {
        let bias = &lanes(bias, column);
        let [kept, place] = [&up, &out].map(|out| Place { out, row, column });
        store(sums, bias, kept);
        match kind {
            Activation::GeluTanh => store_gelu_tanh(sums, bias, place),
            Activation::GeluErf => store_gelu_erf(sums, bias, place),
            Activation::SwiGlu => {
                let biased =
                    |sums: &mut [f32; PANEL]| sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
                sums.iter_mut().for_each(biased);
                store_swiglu(sums, place);
            }
        }
    });
}

/// dx = f'(x)·(dy·W).
pub(crate) fn linear_activation_backward(
    dy: &[f32],
    w: &Weight,
    kind: Activation,
    x: &[f32],
    dx: &mut [f32],
) {
    let (inputs, width) = (kind.inputs(), kind.inputs() * w.n());
    let out = Shared::new(dx, width);
    tiles(Left::Rows(dy), w, |row, column, sums| {
        for (row, sums) in (row..).zip(sums) {
            // SAFETY: this tile's columns of this row belong to this call alone.
            let dx = unsafe { out.piece(row, inputs * column, inputs * PANEL) };
            let x = &x[row * width + inputs * column..][..dx.len()];
            match (kind, dx.len() == inputs * PANEL) {
                (Activation::GeluTanh, true) => panel_gelu_tanh_backward(x, sums, dx),
                (Activation::SwiGlu, true) => panel_swiglu_backward(x, sums, dx),
                _ => activation_backward_row(kind, x, &sums[..dx.len() / inputs], dx),
            }
        }
    });
}

thread_local! {
    // Memory alone, kept from one product to the next.
    static PANELS: Cell<Option<Weight>> = const { Cell::new(None) };
}

/// dw `[n, k]` += dyᵀ·x: an element is one chain of fused multiply-adds by rising row, then added.
pub(crate) fn linear_backward_weight(x: Matrix<'_>, dy: Matrix<'_>, dw: &mut [f32]) {
    if x.rows() == 0 {
        return;
    }
    let mut panels = PANELS.take().unwrap_or_else(Weight::empty);
    panels.hold_rows(x);
    let out = Shared::new(dw, x.columns());
    tiles(Left::Columns(dy), &panels, |row, column, sums| {
        add(sums, &NO_BIAS, Place { out: &out, row, column });
    });
    PANELS.set(Some(panels));
}

/// db `[n]` += the sum of dy's rows.
pub(crate) fn linear_backward_bias(dy: &[f32], db: &mut [f32]) {
    add_rows(dy, db);
}

widest! {
    /// As of a row, of a panel's width: whole vectors without a rest.
    fn panel_gelu_tanh_backward(x: &[f32], dy: &[f32; PANEL], dx: &mut [f32]) {
        let (Some(x), Some(dx)) = (x.first_chunk::<PANEL>(), dx.first_chunk_mut::<PANEL>()) else { return };
        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = dy * gelu_tanh_slope(*x);
        }
    }
}

widest! {
    /// As [`panel_gelu_tanh_backward`], the pairs taken apart and put together again.
    fn panel_swiglu_backward(x: &[f32], dy: &[f32; PANEL], dx: &mut [f32]) {
        let (Some(x), Some(dx)) = (x.as_chunks().0.first_chunk::<PANEL>(), dx.as_chunks_mut().0.first_chunk_mut::<PANEL>())
        else {
            return;
        };
        let [mut gates, mut ups] = parted(x);
        for ((gate, up), dy) in gates.iter_mut().zip(&mut ups).zip(dy) {
            [*gate, *up] = swiglu_slopes([*gate, *up]).map(|slope| dy * slope);
        }
        for ((dx, gate), up) in dx.iter_mut().zip(gates).zip(ups) {
            *dx = [gate, up];
        }
    }
}

/// The first and the second of all pairs.
#[inline(always)]
fn parted<const N: usize>(pairs: &[[f32; 2]; N]) -> [[f32; N]; 2] {
    let mut parts = [[0.0; N]; 2];
    for (lane, &[first, second]) in pairs.iter().enumerate() {
        (parts[0][lane], parts[1][lane]) = (first, second);
    }
    parts
}

/// Where a tile stands in the result.
#[derive(Clone, Copy)]
struct Place<'a> {
    out: &'a Shared<'a>,
    row: usize,
    column: usize,
}

impl Place<'_> {
    /// Row i of the tile as `finish` makes it of what stands there and of the sums.
    #[inline(always)]
    fn each(self, sums: &[[f32; PANEL]], finish: impl Fn(f32, f32, usize) -> f32) {
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: this tile's columns of this row belong to this call alone.
            let piece = unsafe { self.out.piece(self.row + i, self.column, PANEL) };
            let mut out = [0.0; PANEL];
            match piece.first_chunk::<PANEL>() {
                Some(whole) => out = *whole,
                None => out[..piece.len()].copy_from_slice(piece),
            }
            // Nothing is written before all is read: otherwise it might be what is read next, and no vector would do.
            for (lane, (out, &sum)) in out.iter_mut().zip(sums).enumerate() {
                *out = finish(*out, sum, lane);
            }
            match piece.first_chunk_mut::<PANEL>() {
                Some(whole) => *whole = out,
                None => piece.copy_from_slice(&out[..piece.len()]),
            }
        }
    }
}

widest! {
    fn store(sums: &[[f32; PANEL]], bias: &[f32; PANEL], place: Place<'_>) {
        place.each(sums, |_, sum, lane| sum + bias[lane]);
    }
}

widest! {
    fn store_gelu_tanh(sums: &[[f32; PANEL]], bias: &[f32; PANEL], place: Place<'_>) {
        place.each(sums, |_, sum, lane| gelu_tanh(sum + bias[lane]));
    }
}

fn store_gelu_erf(sums: &[[f32; PANEL]], bias: &[f32; PANEL], place: Place<'_>) {
    place.each(sums, |_, sum, lane| gelu_erf(sum + bias[lane]));
}

widest! {
    fn add(sums: &[[f32; PANEL]], bias: &[f32; PANEL], place: Place<'_>) {
        place.each(sums, |out, sum, lane| out + (sum + bias[lane]));
    }
}

widest! {
    fn store_swiglu(sums: &[[f32; PANEL]], place: Place<'_>) {
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: as in `each`; half as many columns come out as went in.
            let piece = unsafe { place.out.piece(place.row + i, place.column / 2, PANEL / 2) };
            let Some(pairs) = sums.as_chunks().0.first_chunk::<{ PANEL / 2 }>() else { return };
            let [mut out, ups] = parted(pairs);
            for (gate, up) in out.iter_mut().zip(ups) {
                *gate = swiglu([*gate, up]);
            }
            match piece.first_chunk_mut() {
                Some(whole) => *whole = out,
                None => piece.copy_from_slice(&out[..piece.len()]),
            }
        }
    }
}
