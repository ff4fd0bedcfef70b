//! Lists of launches of one kernel.

use std::error::Error;

use fathom::{
    DType, Device, Perturb, Tensor, Weight,
    kv::{Layout, Sequence},
    ops::{
        attention::{Heads, Query, attention},
        distance::distance,
        linear::{Epilogue, linear},
        rms_norm::double_norm,
    },
};

use crate::{
    case::{Case, Product},
    data::{operand, random, tensor, weight},
    timing::{self, Job, LAUNCHES},
};

/// Rows of a result that are compared with the CPU's.
const COMPARED: usize = 8;

/// Where weights begin in the sequence of random elements: not where rows do.
const WEIGHTS: usize = 1 << 40;

/// A case with operands of `turns` bytes at least that take turns.
pub(crate) fn prepare(device: &Device, case: Case, turns: usize) -> Result<Job, Box<dyn Error>> {
    Ok(match case {
        Case::Copy { bytes } => copy(device, bytes)?,
        Case::Read { bytes } => read(device, bytes)?,
        Case::Product { product, m, k, n } => multiply(device, product, [m, k, n], turns)?,
        Case::Norm { m, h } => norm(device, m, h, turns)?,
        Case::Attention { heads: [query, kv, dim], prefix, suffix, rows } => {
            attend(device, Heads { query, kv, dim }, [prefix, suffix], rows, turns)?
        }
        Case::Step { .. } => return Err(format!("{case} is no kernel").into()),
    })
}

/// Sets of operands so that together they have `turns` bytes, at most as many as a list has launches.
fn sets(turns: usize, bytes: usize) -> usize {
    turns.div_ceil(bytes.max(1)).clamp(1, 10 * LAUNCHES)
}

fn copy(device: &Device, bytes: usize) -> fathom::Result<Job> {
    let (width, rows) = (1024, (bytes / 4096).max(1));
    let from = tensor(device, rows, width, 0)?;
    let mut to = Tensor::zeros(device, rows, width)?;
    to.put(0, &from)?;
    let error = timing::distance(&to.to_vec()?, &from.to_vec()?);
    Ok(Job { list: Box::new(move || to.put(0, &from)), count: 1, error })
}

fn read(device: &Device, bytes: usize) -> fathom::Result<Job> {
    // Two operands of rows of 4 KiB each.
    let (width, rows) = (1024, (bytes / 8192).max(1));
    let [x, y] = [tensor(device, rows, width, 0)?, tensor(device, rows, width, WEIGHTS)?];
    let mut sums = Tensor::empty(device);
    distance(&x, &y, &mut sums)?;
    let compared = rows.min(COMPARED);
    let host = |first| tensor(&Device::Cpu, compared, width, first);
    let mut expected = Tensor::empty(&Device::Cpu);
    distance(&host(0)?, &host(WEIGHTS)?, &mut expected)?;
    let error = timing::distance(&sums.to_vec()?[..4 * compared], expected.data());
    Ok(Job { list: Box::new(move || distance(&x, &y, &mut sums)), count: 1, error })
}

fn multiply(device: &Device, product: Product, [m, k, n]: [usize; 3], turns: usize) -> fathom::Result<Job> {
    let epilogue = match product {
        Product::Plain => Epilogue::None,
        Product::SwiGlu => Epilogue::SwiGlu,
        Product::Residual => Epilogue::Residual(Perturb::None),
    };
    let begin = |device: &Device, rows: usize| match product {
        Product::Residual => tensor(device, rows, n, 2 * WEIGHTS),
        _ => Ok(Tensor::operand(device, DType::Bf16)),
    };
    let copies = sets(turns, 2 * k * n);
    let made = |copy: usize| weight(device, k, n, WEIGHTS + copy * k * n);
    let weights: Vec<Weight> = (0..copies).map(made).collect::<fathom::Result<_>>()?;
    let x = operand(device, m, k, 0)?;
    let mut out = begin(device, m)?;
    linear(&x, &weights[0], None, epilogue, &mut out)?;

    let compared = m.min(COMPARED);
    let host = Device::Cpu;
    let mut expected = begin(&host, compared)?;
    let rows = Tensor::new(&host, compared, k, random(0, compared * k))?;
    linear(&rows, &weight(&host, k, n, WEIGHTS)?, None, epilogue, &mut expected)?;
    let got = out.to_rows()?;
    let error = timing::distance(&got[..compared].concat(), expected.data());

    let count = copies.max(LAUNCHES);
    let list = move || {
        let each = weights.iter().cycle().take(count);
        each.into_iter().try_for_each(|w| linear(&x, w, None, epilogue, &mut out))
    };
    Ok(Job { list: Box::new(list), count, error })
}

fn norm(device: &Device, m: usize, h: usize, turns: usize) -> fathom::Result<Job> {
    const EPS: f32 = 1e-6;
    let copies = sets(turns, 10 * m * h);
    let [first, second] = [tensor(device, 1, h, WEIGHTS)?, tensor(device, 1, h, 2 * WEIGHTS)?];
    let made = |copy: usize| {
        fathom::Result::Ok((tensor(device, m, h, copy * m * h)?, Tensor::operand(device, DType::Bf16)))
    };
    let mut streams: Vec<(Tensor, Tensor)> = (0..copies).map(made).collect::<fathom::Result<_>>()?;
    let (x, out) = &mut streams[0];
    double_norm(x, [&first, &second], EPS, out)?;

    let host = Device::Cpu;
    let compared = m.min(COMPARED);
    let (mut x, mut expected) = (tensor(&host, compared, h, 0)?, Tensor::empty(&host));
    let weights = [tensor(&host, 1, h, WEIGHTS)?, tensor(&host, 1, h, 2 * WEIGHTS)?];
    double_norm(&mut x, [&weights[0], &weights[1]], EPS, &mut expected)?;
    let error = timing::distance(&streams[0].1.to_rows()?[..compared].concat(), expected.data());

    let count = copies.max(LAUNCHES);
    let list = move || {
        (0..count).try_for_each(|launch| {
            let (x, out) = &mut streams[launch % copies];
            double_norm(x, [&first, &second], EPS, out)
        })
    };
    Ok(Job { list: Box::new(list), count, error })
}

fn attend(
    device: &Device,
    heads: Heads,
    [prefix, suffix]: [usize; 2],
    rows: usize,
    turns: usize,
) -> fathom::Result<Job> {
    let (width, cached) = (heads.query * heads.dim, heads.kv * heads.dim);
    let slots = sets(turns, 4 * cached * (prefix + rows * suffix)).min(LAUNCHES);
    let every = |sequence| Query { sequence, visible: prefix + suffix };
    let queries: Vec<Query> = (0..rows).map(every).collect();
    let sequences = trajectories(device, cached, [prefix, suffix], rows, slots)?;
    let q = operand(device, rows, width, 0)?;
    let mut out = Tensor::operand(device, DType::Bf16);
    attention(&q, heads, &sequences, &[0], &queries, &mut out)?;

    let host = Device::Cpu;
    let compared = rows.min(COMPARED);
    let of_host = trajectories(&host, cached, [prefix, suffix], compared, 1)?;
    // The kernel rounds queries as it does keys.
    let mut expected = Tensor::empty(&host);
    let q_of_host = Tensor::new(&host, compared, width, q.to_rows()?[..compared].concat())?;
    attention(&q_of_host, heads, &of_host, &[0], &queries[..compared], &mut expected)?;
    let error = timing::distance(&out.to_rows()?[..compared].concat(), expected.data());

    let count = LAUNCHES;
    let list = move || {
        (0..count)
            .try_for_each(|launch| attention(&q, heads, &sequences, &[launch % slots], &queries, &mut out))
    };
    Ok(Job { list: Box::new(list), count, error })
}

/// Sequences that share a prefix, of equal keys and values on every device.
fn trajectories(
    device: &Device,
    width: usize,
    [prefix, suffix]: [usize; 2],
    rows: usize,
    slots: usize,
) -> fathom::Result<Vec<Sequence>> {
    let mut root = Sequence::new(device, Layout { width, dtype: DType::Bf16, slots });
    grow(&mut root, slots, prefix, 0)?;
    let mut sequences = root.fork(rows);
    for (row, sequence) in sequences.iter_mut().enumerate() {
        grow(sequence, slots, suffix, (row + 1) * (prefix + suffix) * width)?;
    }
    Ok(sequences)
}

/// Appends `count` random positions to all slots.
fn grow(sequence: &mut Sequence, slots: usize, count: usize, seed: usize) -> fathom::Result<()> {
    let width = sequence.layout().width;
    let first = sequence.admit(count);
    for slot in 0..slots {
        let [keys, values] =
            [1, 2].map(|part| random(part * WEIGHTS + slot * WEIGHTS / 64 + seed, count * width));
        sequence.write(slot, first, keys.chunks(width).zip(values.chunks(width)))?;
    }
    Ok(())
}
