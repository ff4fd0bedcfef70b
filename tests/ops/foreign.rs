//! Tensors in memory that is someone else's, and vectors of the wrong kind, on a GPU.

use fathom::{
    DType, Device, Emulated, Error, Tensor, Weight,
    ops::{
        linear::{Epilogue, linear},
        rms_norm::rms_norm,
        scale::scale,
    },
};
use fathom_emulator::Options;

use crate::common::{tensor, vector};

/// Sixteen-byte chunks, as owners of memory have to align it.
#[repr(align(16))]
struct Owned([f32; 16]);

fn gpu() -> Device {
    Emulated::sm_90a(Options::default()).device()
}

/// `[rows, 8]` in `memory`, an emulated card's being the host's.
fn lent(device: &Device, memory: &mut Owned, rows: usize) -> Tensor {
    let address = memory.0.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: as many rows as the memory has, which outlives the tensor in each test.
    unsafe { Tensor::foreign(device, DType::F32, rows, 8, address) }.unwrap()
}

#[test]
fn operations_write_where_the_owner_reads() {
    let (device, mut memory) = (gpu(), Owned([3.0; 16]));
    scale(&mut lent(&device, &mut memory, 2), 2.0).unwrap();
    assert_eq!(memory.0, [6.0; 16]);
}

/// What cannot be written there is an error, and the memory stays as it is.
#[test]
fn results_do_not_move_elsewhere() {
    let (device, mut memory) = (gpu(), Owned([3.0; 16]));
    let mut small = lent(&device, &mut memory, 1);
    let (x, weight) = (tensor(&device, 3, 8, &[1.0; 24]), vector(&device, &[1.0; 8]));
    assert!(matches!(rms_norm(&x, &weight, 1e-5, &mut small), Err(Error::Shape { .. })), "too small");
    let mut shared = lent(&device, &mut memory, 2);
    let clone = shared.clone();
    assert!(matches!(scale(&mut shared, 2.0), Err(Error::Shape { .. })), "a clone lives");
    drop(clone);
    assert_eq!(memory.0, [3.0; 16]);
}

#[test]
fn addresses_and_widths_are_checked() {
    let mut memory = Owned([0.0; 16]);
    let address = memory.0.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: refused before anything is read.
    let of =
        |device: &Device, width, address| unsafe { Tensor::foreign(device, DType::F32, 1, width, address) };
    assert!(of(&gpu(), 8, address + 4).is_err(), "an address within sixteen bytes");
    assert!(of(&gpu(), 7, address).is_err(), "a width that is no multiple of eight");
    assert!(of(&Device::Cpu, 8, address).is_err(), "the CPU");
}

/// Biases and norms are f32: rows rounded for products are refused, not read as if they were.
#[test]
fn vectors_are_f32() {
    let device = gpu();
    let mut rounded = Tensor::operand(&device, DType::Bf16);
    rounded.set(1, 8, &[1.0; 8]).unwrap();
    let x = tensor(&device, 2, 8, &[1.0; 16]);
    let mut out = Tensor::empty(&device);
    assert!(matches!(rms_norm(&x, &rounded, 1e-5, &mut out), Err(Error::Shape { .. })));
    let weight = Weight::from_fn(&device, DType::F32, 8, 8, |_, _| 1.0).unwrap();
    let with_bias = linear(&x, &weight, Some(&rounded), Epilogue::None, &mut out);
    assert!(matches!(with_bias, Err(Error::Shape { .. })));
}
