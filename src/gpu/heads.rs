//! Launches of `kernels/heads.cu`.

use super::{
    Gpu, Kernel, Table, launch_rows,
    params::{HeadsParams, Rows},
};
use crate::{DType, Result, Tensor, ops::attention::Heads};

const SPLIT: Kernel = Kernel { file: "heads", name: "split_heads" };
const JOIN: Kernel = Kernel { file: "heads", name: "join_heads" };

pub(crate) fn split(
    gpu: &Gpu,
    qkv: &Tensor,
    heads: Heads,
    places: &[usize],
    q: &mut Tensor,
    [k, v]: [&mut Tensor; 2],
) -> Result<()> {
    for x in [&*q, k, v] {
        x.rows_of("split", DType::F32)?;
    }
    let rows = qkv.rows_of("split", DType::F32)?;
    let apart = [q.device_rows_mut(gpu)?, k.device_rows_mut(gpu)?, v.device_rows_mut(gpu)?];
    launch(gpu, SPLIT, rows, apart, heads, places)
}

pub(crate) fn join(
    gpu: &Gpu,
    q: &Tensor,
    [k, v]: [&Tensor; 2],
    heads: Heads,
    places: &[usize],
    qkv: &mut Tensor,
) -> Result<()> {
    let apart =
        [q.rows_of("join", DType::F32)?, k.rows_of("join", DType::F32)?, v.rows_of("join", DType::F32)?];
    qkv.rows_of("join", DType::F32)?;
    let rows = qkv.device_rows_mut(gpu)?;
    launch(gpu, JOIN, rows, apart, heads, places)
}

fn launch(
    gpu: &Gpu,
    kernel: Kernel,
    qkv: Rows,
    [q, k, v]: [Rows; 3],
    heads: Heads,
    places: &[usize],
) -> Result<()> {
    let places: Vec<u32> = places.iter().map(|&place| place as u32).collect();
    let mut session = gpu.session();
    let params = HeadsParams {
        qkv,
        q,
        k,
        v,
        places: session.table(Table::Places, &places)?,
        rows: places.len() as u32,
        queries: (heads.query * heads.dim) as u32,
        keys: (heads.kv * heads.dim) as u32,
        padding: 0,
    };
    // SAFETY: rows and places that shapes were checked for.
    unsafe { launch_rows(&mut session, kernel, &params, places.len(), heads.fused_width(), 0) }
}
