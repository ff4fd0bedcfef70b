//! Random operands on a device.

use std::cell::Cell;

use fathom::{
    DType, Device, Tensor, Weight,
    kv::{Layout, Sequence},
    ops::{
        rope::{angles, frequency},
        sandwich::Block,
    },
};
use fathom_testkit::inputs::Inputs;

use super::network::Network;

/// Element `index` of a bell of mean 0 and variance 1.
fn element(index: usize) -> f32 {
    let bits = Inputs::new(index as u64).bits();
    // Four uniforms on [0, 2¹⁶) have variance 2³²/3.
    let sum: u32 = (0..4).map(|field| (bits >> (16 * field)) as u32 & 0xFFFF).sum();
    (sum as f32 / 65536.0 - 2.0) * 3.0f32.sqrt()
}

/// Mean 0 and variance 1.
pub(crate) fn random(count: usize) -> Vec<f32> {
    (0..count).map(element).collect()
}

/// Where operands are kept, and in what type the operands of products are.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) device: Device,
    pub(crate) dtype: DType,
}

impl Place {
    /// f32 rows of mean 0 and variance 1.
    pub(crate) fn tensor(&self, rows: usize, width: usize) -> Tensor {
        Tensor::new(&self.device, rows, width, random(rows * width)).expect("memory of the device")
    }

    /// Rows that products read.
    pub(crate) fn operand(&self, rows: usize, width: usize) -> Tensor {
        let mut tensor = self.empty_operand();
        tensor.set(rows, width, &random(rows * width)).expect("memory of the device");
        tensor
    }

    /// f32 rows to be.
    pub(crate) fn empty(&self) -> Tensor {
        Tensor::empty(&self.device)
    }

    /// Rows to be that products read.
    pub(crate) fn empty_operand(&self) -> Tensor {
        Tensor::operand(&self.device, self.dtype)
    }

    /// Bytes that operands which a network reads once a step walk through, several times a last-level cache: what comes
    /// round again has to come from memory, as in a network whose other layers ran in between.
    pub(crate) fn streamed(&self) -> usize {
        match self.device {
            Device::Cpu => 128 << 20,
            _ => 256 << 20,
        }
    }

    /// As GPT-2 is initialised: variance 0.02².
    pub(crate) fn weight(&self, k: usize, n: usize) -> Weight {
        // Not the elements that the rows have.
        let first = usize::MAX / 2;
        let at = |row, column| 0.02 * element(first + row * n + column);
        Weight::from_fn(&self.device, self.dtype, k, n, at).expect("memory of the device")
    }

    /// Weights of one shape, [`Place::streamed`] bytes of them at least.
    pub(crate) fn copies(&self, k: usize, n: usize) -> Copies {
        let copies = self.streamed().div_ceil(k * n * self.dtype.bytes());
        Copies { copies: (0..copies).map(|_| self.weight(k, n)).collect(), at: Cell::new(0) }
    }

    /// Angles of `rows` rows at `position`, for heads of `dim` channels.
    pub(crate) fn turns(&self, rows: usize, position: usize, dim: usize) -> Tensor {
        let frequencies: Vec<f32> = (0..dim / 2).map(|pair| frequency(10_000.0, 2 * pair, dim)).collect();
        let mut turns = self.empty();
        angles(&vec![position; rows], &frequencies, &mut turns).expect("memory of the device");
        turns
    }

    /// An empty sequence.
    pub(crate) fn sequence(&self, width: usize, slots: usize) -> Sequence {
        Sequence::new(&self.device, Layout { width, dtype: self.dtype, slots })
    }
}

/// Weights that are taken in turn.
pub(crate) struct Copies {
    copies: Vec<Weight>,
    at: Cell<usize>,
}

impl Copies {
    pub(crate) fn next(&self) -> &Weight {
        self.at.set((self.at.get() + 1) % self.copies.len());
        &self.copies[self.at.get()]
    }
}

/// Appends `count` random positions to `slots` slots of `sequence`.
pub(crate) fn grow(sequence: &mut Sequence, slots: usize, count: usize) {
    let Layout { width, .. } = sequence.layout();
    let first = sequence.admit(count);
    let (keys, values) = (random(count * width), random(count * width));
    for slot in 0..slots {
        let rows = keys.chunks(width).zip(values.chunks(width));
        sequence.write(slot, first, rows).expect("positions just admitted");
    }
}

/// `rows` sequences with `prompt` positions that they share or each have, and `suffix` of their own.
pub(crate) fn trajectories(
    place: &Place,
    width: usize,
    slots: usize,
    rows: usize,
    [prompt, suffix]: [usize; 2],
    shared: bool,
) -> Vec<Sequence> {
    if shared {
        let mut root = place.sequence(width, slots);
        grow(&mut root, slots, prompt);
        let mut sequences = root.fork(rows);
        sequences.iter_mut().for_each(|sequence| grow(sequence, slots, suffix));
        sequences
    } else {
        let private = |_| {
            let mut sequence = place.sequence(width, slots);
            grow(&mut sequence, slots, prompt + suffix);
            sequence
        };
        (0..rows).map(private).collect()
    }
}

/// A sandwich block of `network`.
pub(crate) fn block(place: &Place, network: &Network) -> Block {
    let Network { width, hidden, heads, .. } = *network;
    Block {
        norms: std::array::from_fn(|_| place.tensor(1, width)),
        qkv: place.weight(width, heads.fused_width()),
        bias: Some(place.tensor(1, heads.fused_width())),
        out: place.weight(heads.query * heads.dim, width),
        gate_up: place.weight(width, 2 * hidden),
        down: place.weight(hidden, width),
    }
}
