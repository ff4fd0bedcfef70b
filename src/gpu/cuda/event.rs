//! Events: points of a stream whose time the device notes.

use cudarc::driver::{
    DriverError,
    result::event,
    sys::{CUevent, CUevent_flags, CUstream},
};

/// A point of a stream, once it is recorded. Its context is bound to the thread wherever it is used.
pub(super) struct Event(CUevent);

impl Event {
    pub(super) fn new() -> Result<Self, DriverError> {
        event::create(CUevent_flags::CU_EVENT_DEFAULT).map(Self)
    }

    /// Notes when what was submitted to `stream` has run.
    pub(super) fn record(&self, stream: CUstream) -> Result<(), DriverError> {
        // SAFETY: `new` made the event, and the stream is the context's own or its owner's, who keeps it alive.
        unsafe { event::record(self.0, stream) }
    }

    /// Seconds from `earlier`; both were recorded on one stream that was waited for since.
    pub(super) fn since(&self, earlier: &Self) -> Result<f64, DriverError> {
        // SAFETY: `new` made both, and they live.
        unsafe { event::elapsed(earlier.0, self.0) }.map(|milliseconds| f64::from(milliseconds) / 1e3)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody else's. There is nobody to hear an error.
        let _ = unsafe { event::destroy(self.0) };
    }
}
