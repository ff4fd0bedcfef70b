//! What runs on a stream: launches, graphs of them, copies.

use cudarc::driver::{
    DriverError,
    result::{self, graph},
    sys,
};

use super::{context::Context, modules::Modules};
use crate::{
    Result,
    gpu::{
        Launch, Tiled,
        queue::{List, Submit},
    },
};

/// A context's stream, bound to this thread, and the kernels for it.
pub(super) struct Stream<'a> {
    pub(super) context: &'a Context,
    pub(super) modules: &'a mut Modules,
}

/// Launches of a stream that was captured.
pub(super) struct Graph(sys::CUgraphExec);

impl Submit for Stream<'_> {
    type Graph = Graph;

    fn submit(&mut self, launch: &Launch<'_>) -> Result<()> {
        let Launch { kernel, params, grid: [x, y, z], block, shared } = *launch;
        let function = self.modules.function(self.context, kernel, shared)?;
        let mut params = [params.as_ptr().cast_mut().cast()];
        let stream = self.context.stream;
        // SAFETY: the promise of whom the launch is from. The driver copies the parameters.
        unsafe { result::launch_kernel(function, (x, y, z), (block, 1, 1), shared, stream, &mut params) }
            .map_err(|error| {
                let how =
                    format!("{kernel} on {x} x {y} x {z} blocks of {block} threads, {shared} bytes shared");
                self.context.failed(&how, error)
            })
    }

    fn capture(&mut self, list: &List) -> Result<Graph> {
        let context = self.context;
        let failed = |what: &'static str| move |error| context.failed(what, error);
        // What other threads do with other streams does not matter.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is alive, nobody else uses it meanwhile, and what is begun is ended whatever happens between.
        let (submitted, captured) = unsafe {
            result::stream::begin_capture(context.stream, mode).map_err(failed("beginning a graph"))?;
            let submitted = list.iter().try_for_each(|launch| self.submit(&launch));
            (submitted, result::stream::end_capture(context.stream))
        };
        let made = captured.map_err(failed("ending a graph")).and_then(|captured| {
            // SAFETY: the graph was just made; the instance is another one, which stays.
            let instance = unsafe {
                let instance = graph::instantiate(captured, sys::CUgraphInstantiate_flags(0));
                graph::destroy(captured).unwrap_or_default();
                instance
            };
            instance.map(Graph).map_err(failed("making a graph"))
        });
        submitted.and(made)
    }

    fn replay(&mut self, graph: &Graph) -> Result<()> {
        // SAFETY: both are alive; the promises of whom the launches are from.
        unsafe { graph::launch(graph.0, self.context.stream) }
            .map_err(|error| self.context.failed("a graph", error))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made by `capture`; the driver keeps what still runs. There is nobody to hear an error.
        let _ = unsafe { graph::exec_destroy(self.0) };
    }
}

/// Copies within the device (`Executor::copy`); the context is bound.
///
/// # Safety
/// As [`crate::gpu::Executor::copy`].
pub(super) unsafe fn copy(
    stream: sys::CUstream,
    from: (u64, usize),
    to: (u64, usize),
    bytes: usize,
    rows: usize,
) -> std::result::Result<(), DriverError> {
    if from.1 < bytes || to.1 < bytes {
        // One row, or rows that overlap at the source: no pitches of a copy in two dimensions.
        return (0..rows as u64).try_for_each(|row| {
            let at = |(address, pitch): (u64, usize)| address + row * pitch as u64;
            // SAFETY: the caller's promise.
            unsafe { result::memcpy_dtod_async(at(to), at(from), bytes, stream) }
        });
    }
    let device = sys::CUmemorytype::CU_MEMORYTYPE_DEVICE;
    let copy = sys::CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: device,
        srcHost: std::ptr::null(),
        srcDevice: from.0,
        srcArray: std::ptr::null_mut(),
        srcPitch: from.1,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: device,
        dstHost: std::ptr::null_mut(),
        dstDevice: to.0,
        dstArray: std::ptr::null_mut(),
        dstPitch: to.1,
        WidthInBytes: bytes,
        Height: rows,
    };
    // SAFETY: the caller's promise.
    unsafe { sys::cuMemcpy2DAsync_v2(&raw const copy, stream).result() }
}

/// The map of a matrix of bf16 in tiles (`Executor::tensor_map`).
pub(super) fn tensor_map(tiled: &Tiled) -> std::result::Result<[u64; 16], DriverError> {
    let Tiled { address, rows, columns, pitch, tile_rows } = *tiled;
    let mut map = sys::CUtensorMap { opaque: [0; 16] };
    // SAFETY: two dimensions, one stride, as the arrays have; the address goes into the map as it is.
    unsafe {
        sys::cuTensorMapEncodeTiled(
            &raw mut map,
            sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
            2,
            std::ptr::without_provenance_mut(address as usize),
            [columns, rows].as_ptr(),
            [pitch].as_ptr(),
            [64, tile_rows].as_ptr(),
            [1, 1].as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
        .result()?;
    }
    Ok(map.opaque)
}
