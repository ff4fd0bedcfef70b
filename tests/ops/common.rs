//! Tensors, weights and thread pools of the tests.

use fathom::{
    DType, Device, Emulated, Result, Tensor, Weight, kv,
    random::{Coordinates, Draw},
};
use fathom_emulator::Options;
use fathom_testkit::{
    compare::{assert_same_bits, bits},
    inputs::Inputs,
    poison::poisoned,
};

pub(crate) const DTYPES: [DType; 2] = [DType::F32, DType::Bf16];

/// Multiply-adds of one call from which on a product is shared among threads; arg max counts 256 rows as a call.
pub(crate) const SHARED: usize = 1 << 22;

/// The devices that every operation is held to: the CPU, the emulated GPU, and a GPU where there is one.
pub(crate) fn devices() -> Vec<Device> {
    let emulated = Emulated::sm_90a(Options::default()).device();
    [Device::Cpu, emulated].into_iter().chain(Device::cuda(0)).collect()
}

/// Every device with weights of either type, and the emulated card of the generation before, whose products of bf16 are
/// other kernels.
pub(crate) fn everywhere() -> Vec<(Device, DType)> {
    let ampere = Emulated::sm_80(Options::default()).device();
    let each = |device: Device| DTYPES.map(|dtype| (device.clone(), dtype));
    devices().into_iter().flat_map(each).chain([(ampere, DType::Bf16)]).collect()
}

pub(crate) fn tensor(device: &Device, rows: usize, width: usize, data: &[f32]) -> Tensor {
    Tensor::new(device, rows, width, data.to_vec()).expect("as many elements as the shape has")
}

pub(crate) fn vector(device: &Device, data: &[f32]) -> Tensor {
    tensor(device, 1, data.len(), data)
}

/// The same elements on the CPU.
fn on_host(x: &Tensor) -> Tensor {
    tensor(&Device::Cpu, x.rows(), x.width(), &x.to_vec().expect("elements that were written"))
}

/// A tensor of another shape than `[rows, width]`, of more elements, all of them poison.
pub(crate) fn poisoned_tensor(device: &Device, rows: usize, width: usize) -> Tensor {
    tensor(device, width + 2, rows + 1, &poisoned((width + 2) * (rows + 1)))
}

/// What `operation` writes to an empty tensor, on the CPU; over poison in another shape it has to write the same.
#[track_caller]
pub(crate) fn written(device: &Device, operation: impl Fn(&mut Tensor) -> Result<()>) -> Tensor {
    let mut out = Tensor::empty(device);
    operation(&mut out).expect("operands that fit");
    let mut over_poison = poisoned_tensor(device, out.rows(), out.width());
    operation(&mut over_poison).expect("operands that fit");
    assert_eq!((over_poison.rows(), over_poison.width()), (out.rows(), out.width()), "shape");
    let (out, over_poison) = (on_host(&out), on_host(&over_poison));
    assert_same_bits("over poison", over_poison.data(), out.data());
    out
}

/// What `operation` makes of the stream `[rows, width]` that it adds to, behind which the tensor's memory holds poison;
/// on the CPU.
#[track_caller]
pub(crate) fn added(
    device: &Device,
    rows: usize,
    width: usize,
    stream: &[f32],
    operation: impl FnOnce(&mut Tensor) -> Result<()>,
) -> Tensor {
    let mut out = poisoned_tensor(device, rows, width);
    out.set(rows, width, stream).expect("as many elements as the shape has");
    operation(&mut out).expect("operands that fit");
    assert_eq!((out.rows(), out.width()), (rows, width), "shape");
    on_host(&out)
}

/// Rows of a tensor in the order given, on its device.
#[track_caller]
pub(crate) fn chosen(x: &Tensor, rows: &[usize]) -> Tensor {
    let on_host = written(x.device(), |out| x.select(rows, out));
    tensor(x.device(), rows.len(), x.width(), on_host.data())
}

/// A trajectory, position and iteration for each row.
pub(crate) fn coordinates(rows: usize) -> Vec<Coordinates> {
    let at = |row: u32| Coordinates {
        draw: Draw { key: 11 + u64::from(row % 3), trajectory: row },
        position: 40 + row / 2,
        iteration: row % 5,
    };
    (0..rows as u32).map(at).collect()
}

/// Packs a row-major matrix; an index outside of it would panic.
pub(crate) fn weight(device: &Device, dtype: DType, k: usize, n: usize, data: &[f32]) -> Weight {
    let element = |row: usize, column: usize| {
        assert!(row < k && column < n, "packing reads ({row}, {column}) of [{k}, {n}]");
        data[row * n + column]
    };
    Weight::from_fn(device, dtype, k, n, element).expect("memory for a small weight")
}

/// Runs `work` on pools of one, two and three threads; all have to give the same bits, which are returned.
#[track_caller]
pub(crate) fn on_any_pool(context: &str, work: impl Fn() -> Vec<f32> + Send + Sync) -> Vec<f32> {
    let on = |threads| {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of a few threads");
        pool.install(&work)
    };
    let alone = on(1);
    for threads in [2, 3] {
        assert_same_bits(&format!("{context}, {threads} threads"), &on(threads), &alone);
    }
    alone
}

/// Checks that `run`, a map of the rows of x `[rows, width]` to as many rows, gives each row the same bits on any
/// pool, alone, in another order, and among rows of NaN.
#[track_caller]
pub(crate) fn assert_rows_are_independent(
    context: &str,
    device: &Device,
    x: &[f32],
    width: usize,
    run: impl Fn(Tensor) -> Vec<f32> + Sync,
) {
    let rows = x.len() / width;
    let all = on_any_pool(context, || run(tensor(device, rows, width, x)));
    let out = all.len() / rows;
    assert!(all.iter().all(|x| x.is_finite()), "{context}: a result that is not finite");
    let row = |index: usize| &x[index * width..(index + 1) * width];
    let expected = |index: usize| &all[index * out..(index + 1) * out];

    for index in [0, rows / 2, rows - 1] {
        assert_same_bits(
            &format!("{context}, row {index} alone"),
            &run(tensor(device, 1, width, row(index))),
            expected(index),
        );

        let mut among = poisoned(x.len());
        among[index * width..(index + 1) * width].copy_from_slice(row(index));
        let got = run(tensor(device, rows, width, &among));
        let got = &got[index * out..(index + 1) * out];
        assert_same_bits(&format!("{context}, row {index} among NaN"), got, expected(index));
    }

    let order = Inputs::new(99).order(rows);
    let shuffled: Vec<f32> = order.iter().flat_map(|&index| row(index)).copied().collect();
    let got = run(tensor(device, rows, width, &shuffled));
    for (place, &index) in order.iter().enumerate() {
        let got = bits(&got[place * out..(place + 1) * out]);
        assert_eq!(got, bits(expected(index)), "{context}, row {index} at place {place}");
    }
}

/// Admits and writes `keys` and `values`, rows of `width`, at the end of `sequence`.
pub(crate) fn append(sequence: &mut kv::Sequence, slot: usize, width: usize, keys: &[f32], values: &[f32]) {
    let first = sequence.admit(keys.len() / width);
    sequence.write(slot, first, keys.chunks(width).zip(values.chunks(width))).expect("rows just admitted");
}
