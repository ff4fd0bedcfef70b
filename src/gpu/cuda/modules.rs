//! Kernel files on a device, each loaded when a kernel of it is launched first.

use std::{collections::HashMap, ffi::CString};

use cudarc::driver::{
    DriverError,
    result::{function, module},
    sys::{self, CUfunction_attribute_enum as Attribute},
};

use super::context::Context;
use crate::{Error, Result, gpu::Kernel};

include!(concat!(env!("OUT_DIR"), "/fatbins.rs"));

/// Bytes of shared memory that a block has without asking for more.
const UNASKED: u32 = 48 << 10;

#[derive(Default)]
pub(super) struct Modules {
    loaded: HashMap<&'static str, sys::CUmodule>,
    functions: HashMap<Kernel, Function>,
}

#[derive(Clone, Copy)]
struct Function {
    function: sys::CUfunction,
    /// Bytes of dynamic shared memory that it may be launched with.
    allowed: u32,
}

impl Modules {
    /// A kernel that may be launched with `shared` bytes of dynamic shared memory; the context is bound.
    pub(super) fn function(
        &mut self,
        context: &Context,
        kernel: Kernel,
        shared: u32,
    ) -> Result<sys::CUfunction> {
        let known = self.functions.get(&kernel).copied();
        if let Some(found) = known.filter(|found| found.allowed >= shared) {
            return Ok(found.function);
        }
        let mut found = known.map_or_else(|| self.find(context, kernel), Ok)?;
        if found.allowed < shared {
            let most = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: a function of a module that is loaded.
            unsafe { function::set_function_attribute(found.function, most, shared as i32) }.map_err(
                |error| context.failed(&format!("{shared} bytes of shared memory for {kernel}"), error),
            )?;
            found.allowed = shared;
        }
        self.functions.insert(kernel, found);
        Ok(found.function)
    }

    fn find(&mut self, context: &Context, kernel: Kernel) -> Result<Function> {
        let failed = |error: DriverError| context.failed(&format!("loading {kernel}"), error);
        let module = match self.loaded.get(kernel.file) {
            Some(module) => *module,
            None => {
                let fatbin = FATBINS.iter().find(|(file, _)| *file == kernel.file);
                let (_, fatbin) = fatbin.ok_or_else(|| Error::Device {
                    device: context.name.clone(),
                    what: format!("{kernel} is not in this build"),
                })?;
                // The driver reads words of it.
                let mut image = vec![0u64; fatbin.len().div_ceil(size_of::<u64>())];
                bytemuck::cast_slice_mut(&mut image)[..fatbin.len()].copy_from_slice(fatbin);
                // SAFETY: a fatbin, which the driver copies.
                let module = unsafe { module::load_data(image.as_ptr().cast()) }.map_err(failed)?;
                self.loaded.insert(kernel.file, module);
                module
            }
        };
        let name = CString::new(kernel.name).unwrap_or_default();
        // SAFETY: the module is loaded, and stays so while this lives.
        unsafe {
            let function = module::get_function(module, name).map_err(failed)?;
            let fixed = Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
            let fixed = function::get_function_attribute(function, fixed).map_err(failed)?;
            Ok(Function { function, allowed: UNASKED.saturating_sub(fixed as u32) })
        }
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        for module in self.loaded.values() {
            // SAFETY: loaded by `find`; nothing of it runs any more. There is nobody to hear an error.
            let _ = unsafe { module::unload(*module) };
        }
    }
}
