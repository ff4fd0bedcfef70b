//! Launches of `kernels/window_attention.cu` and `kernels/window_attention_backward.cu`.

use super::{
    Gpu, Kernel, Session, Table,
    params::{Rows, WindowAttentionParams, WindowPositions, WindowTile},
};
use crate::{
    DType, Result, Tensor,
    error::check,
    ops::{
        attention::Heads,
        window_attention::{Gradients, Window},
    },
};

/// Rows of a tile, positions of one, and the threads of a block (window_attention.h).
const LINES: usize = 32;
const THREADS: u32 = 256;

/// Channels of a head up to which each form of a kernel goes.
const CHANNELS: [usize; 3] = [64, 128, 256];

const FORWARD: [&str; 3] = ["window_attention_64", "window_attention_128", "window_attention_256"];
const QUERIES: [&str; 3] = ["window_queries_64", "window_queries_128", "window_queries_256"];
const KEYS: [&str; 3] = ["window_keys_64", "window_keys_128", "window_keys_256"];

pub(crate) fn window_attention(
    gpu: &Gpu,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: Heads,
    windows: &[Window],
    out: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "window_attention";
    let form = form(NAME, heads)?;
    let tiles = tiles(windows);
    let mut session = gpu.session();
    let params = WindowAttentionParams {
        q: q.rows_of(NAME, DType::F32)?,
        k: k.rows_of(NAME, DType::F32)?,
        v: v.rows_of(NAME, DType::F32)?,
        out: out.rows_of(NAME, DType::F32)?,
        ..described(&mut session, heads, windows, &tiles)?
    };
    let kernel = Kernel { file: "window_attention", name: FORWARD[form] };
    // SAFETY: rows, heads and windows that shapes were checked for.
    unsafe { launch(&mut session, kernel, &params, [tiles.len(), heads.query], shared(heads, 3, 1)) }
}

/// The operands of a forward pass, its result and that's gradient.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) q: &'a Tensor,
    pub(crate) k: &'a Tensor,
    pub(crate) v: &'a Tensor,
    pub(crate) out: &'a Tensor,
    pub(crate) dout: &'a Tensor,
}

pub(crate) fn window_attention_backward(
    gpu: &Gpu,
    inputs: Inputs<'_>,
    heads: Heads,
    windows: &[Window],
    Gradients { dq, dk, dv }: Gradients<'_>,
) -> Result<()> {
    const NAME: &str = "window_attention_backward";
    let form = form(NAME, heads)?;
    let tiles = tiles(windows);
    let (positions, seers) = positions(&tiles, inputs.k.rows());
    for x in [&*dq, dk, dv] {
        x.rows_of(NAME, DType::F32)?;
    }
    let read = |x: &Tensor| x.rows_of(NAME, DType::F32);
    let changed: [Rows; 3] = [dq.device_rows_mut(gpu)?, dk.device_rows_mut(gpu)?, dv.device_rows_mut(gpu)?];
    let mut session = gpu.session();
    /// A row's and head's numbers for the second launch (`Statistics` of window_attention_backward.cu).
    const STATISTICS: usize = 4 * size_of::<f32>();
    let params = WindowAttentionParams {
        q: read(inputs.q)?,
        k: read(inputs.k)?,
        v: read(inputs.v)?,
        out: read(inputs.out)?,
        dout: read(inputs.dout)?,
        dq: changed[0],
        dk: changed[1],
        dv: changed[2],
        positions: session.table(Table::Spans, &positions)?,
        seers: session.table(Table::Ids, &seers)?,
        statistics: session.memory(Table::Partials, windows.len() * heads.query * STATISTICS)?,
        ..described(&mut session, heads, windows, &tiles)?
    };
    let kernel = |names: [&'static str; 3]| Kernel { file: NAME, name: names[form] };
    // SAFETY: rows, heads and windows that shapes were checked for; the second reads what the first leaves.
    unsafe {
        let grid = [tiles.len(), heads.query];
        launch(&mut session, kernel(QUERIES), &params, grid, shared(heads, 4, 1))?;
        launch(&mut session, kernel(KEYS), &params, [positions.len(), heads.kv], shared(heads, 4, 2))
    }
}

/// Which form of a kernel takes these heads.
fn form(name: &'static str, heads: Heads) -> Result<usize> {
    let form = CHANNELS.iter().position(|&channels| heads.dim <= channels);
    check(name, form.is_some(), || {
        format!("heads of {} channels on a GPU, {} at most", heads.dim, CHANNELS[2])
    })?;
    Ok(form.unwrap_or_default())
}

/// What is common to all kernels.
fn described(
    session: &mut Session<'_>,
    heads: Heads,
    windows: &[Window],
    tiles: &[WindowTile],
) -> Result<WindowAttentionParams> {
    let visible: Vec<u32> = windows.iter().map(|window| window.visible as u32).collect();
    Ok(WindowAttentionParams {
        visible: session.table(Table::Positions, &visible)?,
        tiles: session.table(Table::Tiles, tiles)?,
        query_heads: heads.query as u32,
        kv_heads: heads.kv as u32,
        head_dim: heads.dim as u32,
        scale: 1.0 / (heads.dim as f32).sqrt(),
        ..Default::default()
    })
}

/// Launches a block for each of the tiles and heads, where there are any.
///
/// # Safety
/// As [`super::Executor::launch`].
unsafe fn launch(
    session: &mut Session<'_>,
    kernel: Kernel,
    params: &WindowAttentionParams,
    [tiles, heads]: [usize; 2],
    shared: usize,
) -> Result<()> {
    if tiles == 0 {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { session.launch(kernel, params, [tiles, heads, 1], THREADS, shared) }
}

/// Bytes of shared memory: tiles of rows of a head, and of weights.
fn shared(heads: Heads, rows: usize, weights: usize) -> usize {
    let pitch = (heads.dim.div_ceil(4) | 1) * 4;
    (rows * pitch + weights * LINES) * LINES * size_of::<f32>()
}

/// Neighbouring rows of one first position in tiles, each run's from its first row on.
fn tiles(windows: &[Window]) -> Vec<WindowTile> {
    let (mut tiles, mut first_row) = (Vec::new(), 0);
    for run in windows.chunk_by(|a, b| a.first == b.first) {
        for tile in run.chunks(LINES) {
            let seen = tile.iter().map(|window| window.visible).max().unwrap_or(0) as u32;
            let rows = tile.len() as u32;
            tiles.push(WindowTile { first_row, rows, first: tile[0].first as u32, seen });
            first_row += rows;
        }
    }
    tiles
}

/// Positions in tiles that anybody sees, and who does.
fn positions(tiles: &[WindowTile], count: usize) -> (Vec<WindowPositions>, Vec<u32>) {
    let mut seen_by: Vec<Vec<u32>> = vec![Vec::new(); count.div_ceil(LINES)];
    for (index, tile) in tiles.iter().enumerate() {
        let (first, last) = (tile.first as usize, (tile.first + tile.seen - 1) as usize);
        seen_by[first / LINES..=last / LINES].iter_mut().for_each(|seers| seers.push(index as u32));
    }
    let (mut positions, mut all) = (Vec::new(), Vec::new());
    for (index, seers) in seen_by.iter().enumerate().filter(|(_, seers)| !seers.is_empty()) {
        positions.push(WindowPositions {
            first: (index * LINES) as u32,
            count: LINES.min(count - index * LINES) as u32,
            first_seer: all.len() as u32,
            seers: seers.len() as u32,
        });
        all.extend(seers);
    }
    (positions, all)
}
