//! A GPU's context and the stream that everything runs on.

use cudarc::driver::{
    DriverError,
    result::{self, ctx, device, primary_ctx, stream},
    sys::{self, CUdevice_attribute as Attribute},
};

use crate::{Error, Result};

/// The least CUDA version of a driver, as it counts them: it loads what nvcc 13.0 makes.
const DRIVER: i32 = 13_000;

/// Handles up to here stand for default streams: null, `CU_STREAM_LEGACY`, `CU_STREAM_PER_THREAD`.
const DEFAULT_STREAMS: usize = 2;

/// A context, bound to threads as they come, and a stream of it that is no default stream.
pub(super) struct Context {
    pub(super) name: String,
    pub(super) stream: sys::CUstream,
    /// The compute capability, major and minor.
    pub(super) capability: (i32, i32),
    context: sys::CUcontext,
    device: sys::CUdevice,
    /// Whether stream and context are to be given back.
    own: bool,
}

impl Context {
    /// The primary context of device `index`, and a stream of our own.
    pub(super) fn open(index: usize) -> Result<Self> {
        let name = format!("cuda:{index}");
        let unavailable = |why: String| Error::Unavailable { device: name.clone(), why };
        driver().map_err(unavailable)?;
        let count = device::get_count().map_err(|error| unavailable(said("counting GPUs", error)))?;
        let ordinal = i32::try_from(index).ok().filter(|&ordinal| ordinal < count);
        let ordinal =
            ordinal.ok_or_else(|| unavailable(format!("GPUs that the CUDA driver sees: {count}")))?;
        let device = device::get(ordinal).map_err(|error| unavailable(said("the GPU", error)))?;
        let capability = capability(device).map_err(unavailable)?;
        // SAFETY: a device that the driver gave.
        let opened = unsafe {
            primary_ctx::retain(device).and_then(|context| {
                let stream =
                    ctx::set_current(context).and_then(|()| stream::create(stream::StreamKind::NonBlocking));
                if stream.is_err() {
                    primary_ctx::release(device).unwrap_or_default();
                }
                Ok((context, stream?))
            })
        };
        let (context, stream) = opened.map_err(|error| unavailable(said("opening the GPU", error)))?;
        Ok(Self { name, stream, capability, context, device, own: true })
    }

    /// The context of a stream.
    ///
    /// # Safety
    /// `stream` is a default stream or alive, and stays alive while this lives.
    pub(super) unsafe fn on(stream: sys::CUstream) -> Result<Self> {
        let unavailable = |why: String| Error::Unavailable { device: format!("cuda stream {stream:p}"), why };
        if stream.addr() <= DEFAULT_STREAMS {
            return Err(unavailable(
                "default streams cannot be captured, or are another one in each thread".into(),
            ));
        }
        driver().map_err(unavailable)?;
        let (mut context, mut device) = (std::ptr::null_mut(), 0);
        // SAFETY: a stream that is alive; the answers go to live variables.
        let found = unsafe {
            (sys::cuStreamGetCtx(stream, &mut context).result())
                .and_then(|()| ctx::set_current(context))
                .and_then(|()| sys::cuCtxGetDevice(&mut device).result())
        };
        found.map_err(|error| unavailable(said("its context", error)))?;
        let capability = capability(device).map_err(unavailable)?;
        Ok(Self { name: format!("cuda:{device}"), stream, capability, context, device, own: false })
    }

    /// Makes the context the calling thread's.
    pub(super) fn bind(&self) -> Result<()> {
        // SAFETY: the context is alive while this is.
        unsafe { ctx::set_current(self.context) }.map_err(|error| self.failed("binding its context", error))
    }

    /// An error of this device.
    pub(super) fn failed(&self, what: &str, error: DriverError) -> Error {
        Error::Device { device: self.name.clone(), what: said(what, error) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.own {
            // SAFETY: made and retained by `open`, used by nobody any more. There is nobody to hear an error.
            unsafe {
                let _ = ctx::set_current(self.context);
                let _ = stream::destroy(self.stream);
                let _ = primary_ctx::release(self.device);
            }
        }
    }
}

/// What was tried and what the driver says of it.
fn said(what: &str, error: DriverError) -> String {
    let text = |text: std::result::Result<&std::ffi::CStr, DriverError>| {
        text.map_or_else(|_| format!("error {:?}", error.0), |text| text.to_string_lossy().into_owned())
    };
    format!("{what}: {} ({})", text(error.error_name()), text(error.error_string()))
}

/// Starts the driver; what is missing otherwise. Functions of a library that is not there must not be called.
fn driver() -> std::result::Result<(), String> {
    // SAFETY: loads the library and lets it go.
    if !unsafe { sys::is_culib_present() } {
        return Err("no CUDA driver on this machine (libcuda is not found)".into());
    }
    result::init().map_err(|error| said("the CUDA driver does not start", error))?;
    let mut version = 0;
    // SAFETY: the answer goes to a live variable.
    unsafe { sys::cuDriverGetVersion(&mut version).result() }.map_err(|error| said("its version", error))?;
    if version < DRIVER {
        let dotted = |version: i32| format!("{}.{}", version / 1000, version % 1000 / 10);
        return Err(format!("the CUDA driver is of {}, {} is wanted", dotted(version), dotted(DRIVER)));
    }
    Ok(())
}

/// The compute capability of a device that the kernels run on.
fn capability(device: sys::CUdevice) -> std::result::Result<(i32, i32), String> {
    // SAFETY: a device that the driver gave.
    let attribute = |attribute| unsafe { device::get_attribute(device, attribute) };
    let asked = || {
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        Ok(((major, minor), attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? != 0))
    };
    let ((major, minor), pools) = asked().map_err(|error| said("its attributes", error))?;
    if major < 8 {
        return Err(format!("its compute capability is {major}.{minor}, the kernels want 8.0"));
    }
    if pools { Ok((major, minor)) } else { Err("it has no stream-ordered memory".into()) }
}
