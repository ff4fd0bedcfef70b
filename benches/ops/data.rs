//! Random operands.

use fathom::{
    DType, Device, Tensor, Weight,
    kv::{Layout, Sequence},
};
use fathom_testkit::inputs::Inputs;

/// Bytes that a rotation walks through, several times a last-level cache: a weight that comes round again has to come
/// from memory, as in a network whose other layers ran in between.
const STREAMED: usize = 128 << 20;

pub(crate) const DTYPES: [DType; 2] = [DType::F32, DType::Bf16];

pub(crate) fn tensor(rows: usize, width: usize) -> Tensor {
    Tensor::new(&Device::Cpu, rows, width, vector(rows * width)).expect("as many elements as the shape has")
}

/// Mean 0 and variance 1.
pub(crate) fn vector(count: usize) -> Vec<f32> {
    Inputs::new(1).bell(count)
}

/// As GPT-2 is initialised: variance 0.02².
pub(crate) fn weight(dtype: DType, k: usize, n: usize) -> Weight {
    let elements = vector(k * n);
    Weight::from_fn(&Device::Cpu, dtype, k, n, |row, column| 0.02 * elements[row * n + column])
}

/// Copies of one weight, taken in turn.
pub(crate) struct Rotation {
    copies: Vec<Weight>,
    at: usize,
}

impl Rotation {
    pub(crate) fn new(dtype: DType, k: usize, n: usize) -> Self {
        let weight = weight(dtype, k, n);
        Self { copies: vec![weight.clone(); STREAMED.div_ceil(weight.bytes())], at: 0 }
    }

    pub(crate) fn next(&mut self) -> &Weight {
        self.at = (self.at + 1) % self.copies.len();
        &self.copies[self.at]
    }
}

/// Appends `count` random positions to `slots` slots of `sequence`.
pub(crate) fn grow(sequence: &mut Sequence, slots: usize, count: usize) {
    let Layout { width, .. } = sequence.layout();
    let first = sequence.admit(count);
    let (keys, values) = (vector(count * width), vector(count * width));
    for slot in 0..slots {
        let rows = keys.chunks(width).zip(values.chunks(width));
        sequence.write(slot, first, rows).expect("positions just admitted");
    }
}
