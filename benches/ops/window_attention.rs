//! Attention of training and its gradients: causal sequences at widths of small networks and of GPT-2.

use std::hint::black_box;

use fathom::{
    DType, Device,
    ops::{
        attention::Heads,
        window_attention::{Gradients, Window, window_attention, window_attention_backward},
    },
};

use crate::harness::suite::{Suite, Work};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("window_attention", DType::F32, |place, group| {
        if place.device != Device::Cpu {
            return;
        }
        for (query, dim) in [(4, 32), (12, 64)] {
            for (sequences, length) in [(32, 64), (4, 512)] {
                let heads = Heads { query, kv: query, dim };
                let (rows, width) = (sequences * length, query * dim);
                let window = |row| Window { first: row / length * length, visible: row % length + 1 };
                let windows: Vec<Window> = (0..rows).map(window).collect();
                let pairs = sequences * length * (length + 1) / 2;
                let work = |products: usize, tensors: usize| Work {
                    dtype: DType::F32,
                    flop: products * 2 * pairs * width,
                    bytes: 4 * tensors * rows * width,
                };
                let name = format!("{sequences} of {length} rows, {query} · {dim}");
                group.case(name.clone(), work(2, 4), || {
                    let [q, k, v] = [0; 3].map(|_| place.tensor(rows, width));
                    let (windows, mut out) = (windows.clone(), place.empty());
                    move || {
                        window_attention(black_box(&q), &k, &v, heads, &windows, &mut out)
                            .expect("shapes fit")
                    }
                });
                group.case(format!("{name}, gradients"), work(5, 10), || {
                    let [q, k, v, dout] = [0; 4].map(|_| place.tensor(rows, width));
                    let [mut out, mut dq, mut dk, mut dv] = [0; 4].map(|_| place.tensor(rows, width));
                    window_attention(&q, &k, &v, heads, &windows, &mut out).expect("shapes fit");
                    move || {
                        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
                        let outs = [&out, &dout];
                        window_attention_backward(black_box(&q), &k, &v, outs, heads, &windows, gradients)
                            .expect("shapes fit")
                    }
                });
            }
        }
    });
}
