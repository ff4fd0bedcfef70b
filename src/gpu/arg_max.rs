//! Launches of `kernels/arg_max.cu` and `kernels/arg_max_hopper.cu`.

use super::{
    Gpu, Kernel, Session, Table, hopper,
    params::{ArgMaxHopperParams, ArgMaxParams, ArgMaxPartial},
    tile::{Input, Kernels},
};
use crate::{Result, Tensor, Weight};

const ARG_MAX: Kernels = Kernels {
    file: "arg_max",
    input: Input::Plain,
    f32: "arg_max_f32",
    skinny: "arg_max_bf16_skinny",
    medium: "arg_max_bf16_medium",
    tall: None,
};

const HOPPER: hopper::Kernels = hopper::Kernels {
    file: "arg_max_hopper",
    names: ["arg_max_hopper_16", "arg_max_hopper_64", "arg_max_hopper_128"],
};

const FINISH: Kernel = Kernel { file: "arg_max", name: "arg_max_finish" };

/// Threads of a block of `arg_max_finish`, and its bytes of shared memory: a partial a warp.
const FINISH_THREADS: u32 = 256;
const FINISH_SHARED: usize = FINISH_THREADS as usize / 32 * size_of::<ArgMaxPartial>();

/// Writes u32 [rows] to `out`.
pub(crate) fn arg_max(gpu: &Gpu, x: &Tensor, head: &Weight, out: u64) -> Result<()> {
    if x.rows() == 0 {
        return Ok(());
    }
    let mut session = gpu.session();
    let mut params = ArgMaxParams {
        x: session.operand("arg_max", x, head.dtype())?,
        weight: head.device_columns(),
        rows: x.rows() as u32,
        k: head.k() as u32,
        n: head.n() as u32,
        out,
        ..Default::default()
    };
    if hopper::runs(gpu, head.dtype()) {
        let form = HOPPER.form(gpu, (x.rows(), params.x), (head.n(), params.weight), head.k())?;
        params = with_room(&mut session, params, form.grid[1])?;
        let params = ArgMaxHopperParams { x_map: form.x_map, weight_map: form.weight_map, arg_max: params };
        // SAFETY: rows and columns of the extents that shapes were checked for, and room for what comes out.
        unsafe { session.launch(form.kernel, &params, form.grid, form.threads, form.shared)? };
    } else {
        let form = ARG_MAX.form(head.dtype(), x.rows());
        let grid = form.tile.grid(x.rows(), head.n());
        params = with_room(&mut session, params, grid[1])?;
        // SAFETY: as above.
        unsafe { session.launch(form.kernel, &params, grid, form.tile.threads, form.shared)? };
    }
    // SAFETY: as above; the partials of all tiles are there.
    unsafe { session.launch(FINISH, &params, [x.rows(), 1, 1], FINISH_THREADS, FINISH_SHARED) }
}

/// Partials of so many tiles a row.
fn with_room(session: &mut Session<'_>, params: ArgMaxParams, tiles: usize) -> Result<ArgMaxParams> {
    let bytes = params.rows as usize * tiles * size_of::<ArgMaxPartial>();
    let partials = session.memory(Table::Partials, bytes)?;
    Ok(ArgMaxParams { partials, tiles: tiles as u32, ..params })
}
