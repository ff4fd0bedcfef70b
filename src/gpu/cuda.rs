//! The kernels on a GPU, through the driver's interface; the driver is looked for at run time.
//!
//! Everything runs on one stream, so its order is the order of calls and no events are needed between them. Memory comes
//! in the order of the stream too.

mod context;
mod event;
mod maps;
mod modules;
mod staging;
mod stream;

use std::{
    ffi::c_void,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cudarc::driver::result;

use self::{
    context::Context,
    event::Event,
    maps::Maps,
    modules::Modules,
    staging::Staging,
    stream::{Recorder, Stream},
};
use super::{Executor, Gpu, Graphs, Launch, Tiled, queue::Queue};
use crate::{Device, Error, Result};

/// Device `index` of the driver, with a stream of its own.
pub(crate) fn open(index: usize) -> Result<Device> {
    Ok(device(Context::open(index)?))
}

/// The device of a stream that stays its owner's.
///
/// # Safety
/// As [`Device::cuda_on`].
pub(crate) unsafe fn on(stream: *mut c_void) -> Result<Device> {
    // SAFETY: the caller's promise.
    Ok(device(unsafe { Context::on(stream.cast()) }?))
}

fn device(context: Context) -> Device {
    let name = context.name.clone();
    Device::Gpu(Gpu::new(name, Arc::new(Cuda { state: Mutex::default(), context })))
}

/// A GPU's context and stream, and what was loaded there.
struct Cuda {
    state: Mutex<State>,
    context: Context,
}

#[derive(Default)]
struct State {
    queue: Queue<stream::Graph>,
    recorder: Recorder,
    modules: Modules,
    maps: Maps,
    staging: Staging,
    /// Of a call that cannot return it: the next one does.
    parked: Option<Error>,
}

// SAFETY: the driver's handles belong to a context, not to a thread; each call binds the context to its thread, and those
// that must not be used at a time (graphs, the staging memory) are behind the mutex. Several threads may use a stream.
unsafe impl Send for Cuda {}
// SAFETY: as above.
unsafe impl Sync for Cuda {}

impl State {
    fn flush(&mut self, context: &Context) -> Result<()> {
        let (queue, mut stream) = self.stream(context);
        queue.flush(&mut stream)
    }

    fn stream<'a>(&'a mut self, context: &'a Context) -> (&'a mut Queue<stream::Graph>, Stream<'a>) {
        let Self { queue, recorder, modules, .. } = self;
        (queue, Stream { context, modules, recorder })
    }
}

impl Cuda {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a device that has no error to tell, the context bound to this thread.
    fn bound(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        match state.parked.take() {
            Some(error) => Err(error),
            None => self.context.bind().map(|()| state),
        }
    }

    /// As [`Cuda::bound`], with nothing held back.
    fn flushed(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.bound()?;
        state.flush(&self.context)?;
        Ok(state)
    }

    /// Copies to the device behind what was submitted.
    ///
    /// # Safety
    /// As [`Executor::upload_ahead`].
    unsafe fn send(&self, state: &mut State, to: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { state.staging.upload(&self.context, to, bytes) }.map_err(|error| {
            self.context.failed(&format!("a copy of {} bytes to the device", bytes.len()), error)
        })
    }

    /// Does `work` with nothing held back; the next call returns its error.
    fn parking(&self, work: impl FnOnce() -> Result<()>) {
        let mut state = self.state();
        let flushed = self.context.bind().and_then(|()| state.flush(&self.context));
        for error in [flushed, work()].into_iter().filter_map(Result::err) {
            state.parked.get_or_insert(error);
        }
    }
}

impl Executor for Cuda {
    fn allocate(&self, bytes: usize) -> Result<u64> {
        // An error of an earlier call is for one that has no other way to go on.
        let _state = self.state();
        self.context.bind()?;
        // SAFETY: the stream is alive; `bytes` is not 0.
        unsafe { result::malloc_async(self.context.stream, bytes) }
            .map_err(|error| self.context.failed(&format!("memory of {bytes} bytes"), error))
    }

    unsafe fn free(&self, address: u64, bytes: usize) {
        self.parking(|| {
            // SAFETY: the caller's promise.
            unsafe { result::free_async(address, self.context.stream) }
                .map_err(|error| self.context.failed(&format!("giving back {bytes} bytes"), error))
        });
    }

    unsafe fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.flushed()?;
        // SAFETY: the caller's promise.
        unsafe { self.send(&mut state, to, bytes) }
    }

    unsafe fn upload_ahead(&self, to: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.bound()?;
        // SAFETY: the caller's promise.
        unsafe { self.send(&mut state, to, bytes) }
    }

    fn flushes(&self) -> u64 {
        self.state().queue.flushes()
    }

    fn pools(&self) -> bool {
        true
    }

    unsafe fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        // Other threads go on submitting while this one waits.
        self.flush()?;
        // SAFETY: the caller's promise; `bytes` is borrowed until the copy has run.
        let copied = unsafe {
            result::memcpy_dtoh_async(bytes, from, self.context.stream)
                .and_then(|()| result::stream::synchronize(self.context.stream))
        };
        copied.map_err(|error| {
            self.context
                .failed(&format!("a copy of {} bytes to the host, or what ran before", bytes.len()), error)
        })
    }

    unsafe fn copy(&self, from: (u64, usize), to: (u64, usize), bytes: usize, rows: usize) -> Result<()> {
        let _state = self.flushed()?;
        // SAFETY: the caller's promise.
        unsafe { stream::copy(self.context.stream, from, to, bytes, rows) }
            .map_err(|error| self.context.failed(&format!("a copy of {rows} times {bytes} bytes"), error))
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        let mut state = self.bound()?;
        // Nothing may be loaded while a graph is captured, and who asks for a kernel is to hear that there is none.
        state.modules.function(&self.context, launch.kernel, launch.shared)?;
        let (queue, mut stream) = state.stream(&self.context);
        queue.push(launch, &mut stream)
    }

    fn flush(&self) -> Result<()> {
        self.flushed().map(drop)
    }

    fn let_go(&self) {
        self.parking(|| Ok(()));
    }

    fn graphs(&self) -> Graphs {
        self.state().queue.report()
    }

    fn synchronize(&self) -> Result<()> {
        self.flush()?;
        // SAFETY: the stream is alive.
        unsafe { result::stream::synchronize(self.context.stream) }
            .map_err(|error| self.context.failed("what ran since the last wait", error))
    }

    fn elapsed(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
        self.synchronize()?;
        let failed = |error| self.context.failed("the time of what ran", error);
        let [start, end] = [Event::new().map_err(failed)?, Event::new().map_err(failed)?];
        start.record(self.context.stream).map_err(failed)?;
        work()?;
        self.flush()?;
        end.record(self.context.stream).map_err(failed)?;
        self.synchronize()?;
        end.since(&start).map_err(failed)
    }

    fn tensor_map(&self, tiled: &Tiled) -> Result<[u64; 16]> {
        let mut state = self.bound()?;
        (state.maps.get(tiled, maps::encode))
            .map_err(|error| self.context.failed(&format!("a tensor map of {tiled:?}"), error))
    }

    fn hopper(&self) -> bool {
        self.context.capability.0 == 9
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        // What is held back writes memory of others at most, who may still read it; graphs and modules go while nothing of
        // them runs. An error has nobody left to hear it.
        self.state().parked = None;
        let _ = self.synchronize();
        let _ = self.context.bind();
        *self.state() = State::default();
    }
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cuda").field(&self.context.name).finish()
    }
}

#[cfg(test)]
#[path = "cuda/tests.rs"]
mod tests;
