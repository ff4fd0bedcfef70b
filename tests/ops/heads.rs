//! Rows of a projection taken apart and put together, and sums of tensors.

use fathom::{
    Tensor,
    ops::{
        add::add,
        attention::Heads,
        heads::{join, split},
    },
};
use fathom_testkit::{
    compare::assert_same_bits,
    inputs::Inputs,
    shapes::{HEADS, ROWS, WIDTHS},
};

use crate::common::{added, devices, tensor, written};

/// Every channel to its place, in any order of places; positions without a row keep what they had.
#[test]
fn split_and_joined() {
    let mut inputs = Inputs::new(1);
    for (query, kv, dim) in HEADS.into_iter().chain([(3, 1, 7), (1, 1, 1)]) {
        let heads = Heads { query, kv, dim };
        let [of_q, of_kv] = [query * dim, kv * dim];
        for rows in [0, 1, 2, 13] {
            let positions = rows + 3;
            let places: Vec<usize> = inputs.order(positions)[..rows].to_vec();
            let fused = inputs.bell(rows * heads.fused_width());
            let start = inputs.bell(positions * of_kv);
            let [mut q, mut k, mut v] = [Vec::new(), start.clone(), start.clone()];
            for (row, &place) in fused.chunks(heads.fused_width()).zip(&places) {
                q.extend(&row[..of_q]);
                k[place * of_kv..][..of_kv].copy_from_slice(&row[of_q..of_q + of_kv]);
                v[place * of_kv..][..of_kv].copy_from_slice(&row[of_q + of_kv..]);
            }
            for device in devices() {
                let context = format!("{device} {heads:?}, {rows} rows");
                let qkv = tensor(&device, rows, heads.fused_width(), &fused);
                let mut kv = [0, 1].map(|_| tensor(&device, positions, of_kv, &start));
                let mut queries = Tensor::empty(&device);
                let [keys, values] = &mut kv;
                split(&qkv, heads, &places, &mut queries, [keys, values]).unwrap();
                assert_same_bits(&context, &queries.to_vec().unwrap(), &q);
                assert_same_bits(&context, &kv[0].to_vec().unwrap(), &k);
                assert_same_bits(&context, &kv[1].to_vec().unwrap(), &v);
                let joined = written(&device, |out| join(&queries, [&kv[0], &kv[1]], heads, &places, out));
                assert_same_bits(&context, joined.data(), &fused);
            }
        }
    }
}

#[test]
fn sums() {
    let mut inputs = Inputs::new(2);
    for width in WIDTHS {
        for rows in ROWS.into_iter().chain([0]) {
            let (x, y) = (inputs.bell(rows * width), inputs.bell(rows * width));
            let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
            for device in devices() {
                let y = tensor(&device, rows, width, &y);
                let got = added(&device, rows, width, &x, |x| add(x, &y));
                assert_same_bits(&format!("{device} [{rows}, {width}]"), got.data(), &expected);
            }
        }
    }
}
