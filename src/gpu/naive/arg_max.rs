//! The largest column of a product: integers, so that logits are exact in any order of their sums, and often equal.

use fathom_testkit::inputs::Inputs;

use super::{DTYPES, Grid, Matrix, gpus, launch, sm_90a};
use crate::{
    Device, Tensor, Tokens, Weight,
    gpu::{Buffer, Gpu, Kernel, params::ArgMaxParams},
    ops::arg_max::arg_max,
};

/// Rows for each of the tiles there are, on cards of either kind; more columns than one tile has, the last not full.
#[test]
fn columns_are_those_of_the_naive_kernel() {
    let mut inputs = Inputs::new(1);
    for gpu in gpus().into_iter().chain([sm_90a()]) {
        for (rows, k, n) in [(1, 1, 1), (3, 69, 97), (20, 133, 200), (70, 64, 130)] {
            let (x, w) = (inputs.integers(rows * k, 2), inputs.integers(n * k, 2));
            for dtype in DTYPES {
                let device = Device::Gpu(gpu.clone());
                let operand = Matrix::spoilt(&gpu, dtype, k, &x);
                let x = Tensor::new(&device, rows, k, x.clone()).unwrap();
                let weight =
                    Weight::from_fn(&device, dtype, k, n, |row, column| w[column * k + row]).unwrap();
                let mut got = Tokens::empty(&device);
                arg_max(&x, &weight, &mut got).unwrap();

                let name = ["naive_arg_max_f32", "naive_arg_max_bf16"][dtype as usize];
                let naive = columns(&gpu, name, rows, |out| ArgMaxParams {
                    x: operand.rows(),
                    weight: weight.device_columns(),
                    partials: 0,
                    out,
                    rows: rows as u32,
                    k: k as u32,
                    n: n as u32,
                    tiles: 0,
                });
                assert_eq!(got.to_vec().unwrap(), naive, "{gpu:?} {dtype} [{rows}, {k}]·[{k}, {n}]");
            }
        }
    }
}

fn columns(gpu: &Gpu, name: &'static str, rows: usize, params: impl Fn(u64) -> ArgMaxParams) -> Vec<u32> {
    let out = Buffer::holding(gpu, &vec![0xff; rows * size_of::<u32>()]).unwrap();
    launch(gpu, Kernel { file: "naive/arg_max", name }, &params(out.address()), Grid::of_rows(rows, 256));
    let mut columns = vec![0; rows];
    out.read(0, bytemuck::cast_slice_mut(&mut columns)).unwrap();
    columns
}
