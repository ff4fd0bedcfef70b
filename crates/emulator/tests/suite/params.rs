//! Parameters of the kernels: tests/kernels/params.h and those of hopper.cu and instructions.cu.

use fathom_emulator::TensorMap;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Reduce {
    pub x: u64,
    pub y: u64,
    pub width: u32,
    pub bug: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Gemm {
    pub a: u64,
    pub b: u64,
    pub c: u64,
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub bug: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub input: u64,
    pub output: u64,
    pub mode: u32,
    pub n: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Hopper {
    pub a: TensorMap,
    pub b: TensorMap,
    pub c: u64,
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub bug: u32,
    pub padding: [u64; 5],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Box2d {
    pub map: TensorMap,
    pub output: u64,
    pub x: i32,
    pub y: i32,
    pub words: u32,
    pub padding: [u32; 11],
}
