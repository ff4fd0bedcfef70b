//! Queries, keys and values of rows in one product: bias, rotation, and the way to the cache in its epilogue.

use super::{
    attention::Heads,
    linear::{Epilogue, linear},
    rms_norm::rms_norm,
    rope::{Layout, rope},
    together,
};
use crate::{
    Device, Result, Tensor, Weight,
    error::check,
    gpu,
    kv::{Run, Slots},
};

/// What is projected.
#[derive(Debug)]
pub enum Input<'a> {
    /// Rows `[rows, h]` as they are.
    Plain(&'a Tensor),
    /// norm(x), normalised on the way in.
    RmsNorm {
        /// `[rows, h]`
        x: &'a Tensor,
        /// `[1, h]`
        weight: &'a Tensor,
        /// ε
        eps: f32,
        /// Where the CPU keeps the normalised rows.
        aside: &'a mut Tensor,
    },
}

impl Input<'_> {
    fn rows(&self) -> &Tensor {
        match self {
            Input::Plain(x) | Input::RmsNorm { x, .. } => x,
        }
    }
}

/// Rotary positions of queries and keys.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// (cos, sin) by row, `[rows, head dimension]`.
    pub angles: &'a Tensor,
    /// Which channels pair up.
    pub layout: Layout,
}

/// The projection of one attention layer.
#[derive(Debug, Clone, Copy)]
pub struct Projection<'a> {
    /// `[h, (query + 2 · kv heads) · head dimension]`: queries, keys, values.
    pub weight: &'a Weight,
    /// `[1, columns]`
    pub bias: Option<&'a Tensor>,
    /// How its columns fall into heads.
    pub heads: Heads,
}

/// Keys and values of all rows go to the first of `slots` of the runs' sequences; `out` holds the queries of the rows, first in fused rows
/// on the CPU: what [`super::attention::attention`] takes. Rows of x for one run alone stand for every run, on the CPU.
///
/// # Errors
/// Widths or numbers of rows that do not fit; operands on different devices; no memory on the device.
pub fn qkv<'s>(
    input: Input<'_>,
    projection: Projection<'_>,
    rotation: Option<Rotation<'_>>,
    runs: &mut [Run<'_>],
    slots: impl Into<Slots<'s>>,
    out: &mut Tensor,
) -> Result<()> {
    let (x, slots) = (input.rows(), slots.into());
    let Projection { weight, bias, heads } = projection;
    let all: usize = runs.iter().map(Run::count).sum();
    let alike = runs.iter().all(|run| run.count() == x.rows());
    let fits = x.width() == weight.k() && weight.n() == heads.fused_width() && heads.dim > 0;
    check("qkv", fits && (x.rows() == all || (alike && *x.device() == Device::Cpu)), || {
        format!(
            "[{}, {}] for {all} positions, a weight [{}, {}] and {heads:?}",
            x.rows(),
            x.width(),
            weight.k(),
            weight.n()
        )
    })?;
    together("qkv", x.device(), &[weight.device(), out.device()])?;
    for run in runs.iter() {
        let sequence = run.as_ref();
        check("qkv", sequence.layout().width == heads.kv * heads.dim, || {
            format!("a cache of {} channels for {heads:?}", sequence.layout().width)
        })?;
        together("qkv", x.device(), &[sequence.device()])?;
    }
    if let Some(Rotation { angles, .. }) = rotation {
        let fits = (angles.rows(), angles.width()) == (x.rows(), heads.dim) && heads.dim.is_multiple_of(2);
        check("qkv", fits, || format!("angles [{}, {}] for {heads:?}", angles.rows(), angles.width()))?;
        together("qkv", x.device(), &[angles.device()])?;
    }
    if let Some(bias) = bias {
        check("qkv", bias.rows() == 1 && bias.width() == weight.n(), || {
            format!("bias of {} for {} columns", bias.width(), weight.n())
        })?;
        together("qkv", x.device(), &[bias.device()])?;
    }
    match x.device() {
        Device::Cpu => on_cpu(input, projection, rotation, runs, slots, out),
        Device::Gpu(gpu) => {
            let gpu = gpu.clone();
            gpu::qkv::qkv(&gpu, input, projection, rotation, runs, slots, out)
        }
    }
}

fn on_cpu(
    input: Input<'_>,
    Projection { weight, bias, heads }: Projection<'_>,
    rotation: Option<Rotation<'_>>,
    runs: &mut [Run<'_>],
    slots: Slots<'_>,
    out: &mut Tensor,
) -> Result<()> {
    let x = match input {
        Input::Plain(x) => x,
        Input::RmsNorm { x, weight, eps, aside } => {
            rms_norm(x, weight, eps, aside)?;
            aside
        }
    };
    linear(x, weight, bias, Epilogue::None, out)?;
    if let Some(Rotation { angles, layout }) = rotation {
        rope(out, heads.query + heads.kv, angles, layout)?;
    }
    let (keys, values) = (heads.query * heads.dim, (heads.query + heads.kv) * heads.dim);
    let alike = runs.iter().map(Run::count).sum::<usize>() > out.rows();
    let mut first = 0;
    for (index, run) in runs.iter_mut().enumerate() {
        let (from, count) = (run.positions().start, run.count());
        let rows = (first..first + count).map(|row| (&out.row(row)[keys..values], &out.row(row)[values..]));
        run.sequence().write(slots.written(index), from, rows)?;
        first += if alike { 0 } else { count };
    }
    Ok(())
}
