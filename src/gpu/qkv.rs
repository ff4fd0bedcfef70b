//! Launches of `kernels/qkv.cu`.

use super::{
    Gpu, Table,
    params::{KvPlace, QkvParams},
    rope,
    tile::{self, Kernels},
};
use crate::{
    DType, Result, Tensor,
    error::check,
    kv::{Run, Slots},
    ops::qkv::{Input, Projection, Rotation},
};

pub(super) const PLAIN: Kernels = Kernels {
    file: "qkv",
    input: tile::Input::Plain,
    f32: "qkv_f32",
    skinny: "qkv_bf16_skinny",
    medium: "qkv_bf16_medium",
    tall: Some("qkv_bf16_tall"),
};

pub(super) const NORM: Kernels = Kernels {
    file: "qkv",
    input: tile::Input::Transformed,
    f32: "qkv_norm_f32",
    skinny: "qkv_norm_bf16_skinny",
    medium: "qkv_norm_bf16_medium",
    tall: None,
};

pub(crate) fn qkv(
    gpu: &Gpu,
    input: Input<'_>,
    projection: Projection<'_>,
    rotation: Option<Rotation<'_>>,
    runs: &mut [Run<'_>],
    slots: Slots<'_>,
    out: &mut Tensor,
) -> Result<()> {
    let Projection { weight, bias, heads } = projection;
    let (places, kv_dtype) = places(runs, slots)?;
    out.reshape(places.len(), heads.query * heads.dim)?;
    if places.is_empty() {
        return Ok(());
    }
    let mut session = gpu.session();
    let mut params = QkvParams {
        weight: weight.device_columns(),
        out: out.device_rows(),
        bias: bias.map_or(Ok(0), |bias| bias.vector_address("qkv"))?,
        places: session.table(Table::Places, &places)?,
        rows: places.len() as u32,
        k: weight.k() as u32,
        query_heads: heads.query as u32,
        kv_heads: heads.kv as u32,
        head_dim: heads.dim as u32,
        slot: slots.base() as u32,
        kv_dtype: super::dtype(kv_dtype),
        ..Default::default()
    };
    let kernels = match input {
        Input::Plain(x) => {
            params.x = session.operand("qkv", x, weight.dtype())?;
            PLAIN
        }
        Input::RmsNorm { x, weight, eps, .. } => {
            check("qkv", weight.width() == x.width() && weight.device() == x.device(), || {
                format!("a norm of {} channels on {} for {}", weight.width(), weight.device(), x.width())
            })?;
            params.x = x.rows_of("qkv", DType::F32)?;
            (params.norm_weight, params.eps) = (weight.vector_address("qkv")?, eps);
            NORM
        }
    };
    if let Some(Rotation { angles, layout }) = rotation {
        let rows = angles.rows_of("qkv", DType::F32)?;
        (params.angles, params.angles_pitch) = (rows.data, rows.pitch);
        params.rotate = rope::rotate(layout);
    }
    let form = kernels.form(weight.dtype(), places.len());
    let grid = form.tile.grid(places.len(), weight.n());
    // SAFETY: rows, columns, vectors and places of the extents that shapes were checked for.
    unsafe { session.launch(form.kernel, &params, grid, form.tile.threads, form.shared)? };
    for (index, run) in runs.iter_mut().enumerate() {
        let positions = run.positions();
        run.sequence().mark(slots.written(index), positions);
    }
    Ok(())
}

/// Where the keys and values of all rows go, in one type of cache, counted from the slot that kernels add.
fn places(runs: &mut [Run<'_>], slots: Slots<'_>) -> Result<(Vec<KvPlace>, DType)> {
    let dtype = runs.first().map_or(DType::F32, |run| run.as_ref().layout().dtype);
    let mut places = Vec::new();
    for (index, run) in runs.iter_mut().enumerate() {
        let slot = slots.written(index);
        check("qkv", run.as_ref().layout().dtype == dtype, || {
            format!("caches of {dtype} and {}", run.as_ref().layout().dtype)
        })?;
        let positions = run.positions();
        run.sequence().reserve(slot, positions.clone())?;
        places.extend(run.as_ref().places(positions, slot - slots.base()));
    }
    Ok((places, dtype))
}
